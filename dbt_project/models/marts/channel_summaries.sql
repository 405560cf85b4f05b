with totals as (

    select
        meter_no,
        sum(energy_kwh) as total_kwh,
        cast(sum(readings) as bigint) as readings,
        sum(energy_kwh) / sum(readings) as mean_kwh,
        min(first_interval_start_utc) as first_interval_start_utc,
        max(newest_interval_start_utc) as newest_interval_start_utc
    from {{ ref('int_meter_days') }}
    group by meter_no

),

-- Chan, Golub and LeVeque (1979): the squared deviations of all readings from those of each day. A sum of squares
-- over everything would lose the digits of a small spread around a large mean.
deviations as (

    select
        days.meter_no,
        sum(
            days.readings * (days.variance_kwh2 + (days.energy_kwh / days.readings - totals.mean_kwh) ** 2)
        ) as squared_kwh2
    from {{ ref('int_meter_days') }} as days
    inner join totals
        on days.meter_no = totals.meter_no
    group by days.meter_no

),

hours_of_day as (

    select
        meter_no,
        local_hour,
        sum(energy_kwh) / sum(readings) as mean_kwh
    from {{ ref('int_meter_hour_blocks') }}
    group by meter_no, local_hour

),

-- Equal means differ in the last bits by the order of summation: nine decimals make them equal again.
peak_hours as (

    select
        meter_no,
        local_hour as peak_hour
    from hours_of_day
    qualify
        row_number() over (
            partition by meter_no
            order by round(mean_kwh, 9) desc, local_hour
        ) = 1

)

select
    meters.meter_id,
    meters.channel,
    meters.site_id,
    meters.source,
    meters.commodity,
    meters.interval_minutes,
    totals.total_kwh,
    totals.mean_kwh,
    case when totals.readings > 1 then sqrt(deviations.squared_kwh2 / (totals.readings - 1)) end as std_kwh,
    totals.readings,
    peak_hours.peak_hour,
    totals.first_interval_start_utc,
    totals.newest_interval_start_utc
from totals
inner join deviations
    on totals.meter_no = deviations.meter_no
inner join peak_hours
    on totals.meter_no = peak_hours.meter_no
left join {{ ref('stg_lake__meters') }} as meters
    on totals.meter_no = meters.meter_no
