with blocks as (

    select * from {{ ref('int_meter_hour_blocks') }}

),

hours_of_day as (

    select
        meter_no,
        is_weekend,
        local_hour,
        sum(energy_kwh) as energy_kwh,
        cast(sum(hours) as bigint) as hours
    from blocks
    group by meter_no, is_weekend, local_hour

)

select
    meters.meter_id,
    meters.channel,
    meters.site_id,
    meters.source,
    meters.commodity,
    hours_of_day.is_weekend,
    hours_of_day.local_hour,
    hours_of_day.energy_kwh / hours_of_day.hours as mean_kwh,
    hours_of_day.hours
from hours_of_day
left join {{ ref('stg_lake__meters') }} as meters
    on hours_of_day.meter_no = meters.meter_no
