with meters as (

    select * from {{ ref('int_meters_in_totals') }}
    where is_in_site_total

),

days as (

    select
        meters.site_id,
        meters.source,
        meters.commodity,
        meters.time_zone,
        days.meter_id,
        days.channel,
        days.local_date,
        days.energy_kwh,
        days.readings,
        cast(date_trunc('month', days.local_date) as date) as local_month,
        days.estimated_share * days.readings as estimated_readings,
        days.completeness * local_days.day_minutes as covered_minutes
    from {{ ref('meter_days') }} as days
    inner join meters
        on
            days.meter_id = meters.meter_id
            and days.channel = meters.channel
    inner join {{ ref('int_local_days') }} as local_days
        on
            meters.time_zone = local_days.time_zone
            and days.local_date = local_days.local_date

),

months as (

    select
        site_id,
        commodity,
        local_month,
        min(source) as source,
        min(time_zone) as time_zone,
        sum(energy_kwh) as energy_kwh,
        count(distinct local_date) as days,
        count(distinct row(meter_id, channel)) as channels,
        sum(covered_minutes) as covered_minutes,
        sum(estimated_readings) / sum(readings) as estimated_share
    from days
    group by site_id, commodity, local_month

),

lengths as (

    select
        *,
        {{ minutes_of_local_period('local_month', 'local_month + interval 1 month', 'time_zone') }} as month_minutes
    from months

)

select
    site_id,
    source,
    commodity,
    local_month,
    energy_kwh,
    days,
    -- Over the whole month: days without any reading count as missing.
    least(1.0, covered_minutes / (channels * month_minutes)) as completeness,
    estimated_share
from lengths
