with meters as (

    select * from {{ ref('int_meters_in_totals') }}
    where is_in_site_total

),

-- What a day says of itself, once for each day of a zone: for each meter's day it took a third of the time.
days_of_months as (

    select
        time_zone,
        local_date,
        day_minutes,
        cast(date_trunc('month', local_date) as date) as local_month,
        cast(1 as integer) << (day(local_date) - 1) as day_bit
    from {{ ref('int_local_days') }}

),

-- First by meter, under its number, and then by site: counting distinct days and meters over all days costs 3 times as
-- much. Days are counted as bits, for two meters of a site that have the same day.
meter_months as (

    select
        meters.meter_no,
        local_days.local_month,
        sum(days.energy_kwh) as energy_kwh,
        bit_or(local_days.day_bit) as day_mask,
        sum(days.completeness * local_days.day_minutes) as covered_minutes,
        sum(days.estimated_share * days.readings) as estimated_readings,
        sum(days.readings) as readings
    from {{ ref('meter_days') }} as days
    inner join meters
        on
            days.meter_id = meters.meter_id
            and days.channel = meters.channel
    inner join days_of_months as local_days
        on
            meters.time_zone = local_days.time_zone
            and days.local_date = local_days.local_date
    group by meters.meter_no, local_days.local_month

),

months as (

    select
        meters.site_id,
        meters.commodity,
        meter_months.local_month,
        min(meters.source) as source,
        min(meters.time_zone) as time_zone,
        sum(meter_months.energy_kwh) as energy_kwh,
        cast(bit_count(bit_or(meter_months.day_mask)) as bigint) as days,
        count(*) as channels,
        sum(meter_months.covered_minutes) as covered_minutes,
        sum(meter_months.estimated_readings) / sum(meter_months.readings) as estimated_share
    from meter_months
    inner join meters
        on meter_months.meter_no = meters.meter_no
    group by meters.site_id, meters.commodity, meter_months.local_month

),

zone_months as (

    select distinct
        time_zone,
        local_month
    from months

),

lengths as (

    select
        time_zone,
        local_month,
        {{ minutes_of_local_period('local_month', 'local_month + interval 1 month', 'time_zone') }} as month_minutes
    from zone_months

)

select
    months.site_id,
    months.source,
    months.commodity,
    months.local_month,
    months.energy_kwh,
    months.days,
    -- Over the whole month: days without any reading count as missing.
    least(1.0, months.covered_minutes / (months.channels * lengths.month_minutes)) as completeness,
    months.estimated_share
from months
inner join lengths
    on
        months.time_zone = lengths.time_zone
        and months.local_month = lengths.local_month
