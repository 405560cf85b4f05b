{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['source', 'commodity', 'interval_start_utc'],
        pre_hook="{{ forget_fleets_with_other_channels() }}"
    )
}}

{# The days in UTC on which a half-hour has another sum than before. -#}
{% set touched_days_sql -%}
    select distinct
        meters.source,
        meters.commodity,
        cast(
            unnest(
                generate_series(
                    date_trunc('day', day_loads.first_interval_start_utc),
                    day_loads.newest_interval_start_utc + to_minutes(day_loads.interval_minutes - 1),
                    interval 1 day
                )
            ) as date
        ) as utc_date
    from {{ ref('stg_lake__day_loads') }} as day_loads
    inner join {{ ref('int_meters_in_totals') }} as meters
        on day_loads.meter_no = meters.meter_no
    left join (
        select source, commodity, fleet_channels, max(file_id) as file_id
        from {{ this }}
        group by source, commodity, fleet_channels
    ) as built
        on
            meters.source = built.source
            and meters.commodity = built.commodity
            and meters.fleet_channels = built.fleet_channels
    where
        meters.is_in_fleet_total
        and day_loads.file_id > coalesce(built.file_id, -1)
{%- endset %}

-- One small number in the key of the sums below, in place of three names.
with meters as (

    select
        *,
        cast(dense_rank() over (order by source, commodity) as smallint) as fleet_number
    from {{ ref('int_meters_in_totals') }}
    where is_in_fleet_total

),

fleets as (

    select distinct
        fleet_number,
        source,
        commodity,
        fleet_channels
    from meters

),

{% if is_incremental() %}
    touched_days as (

        {{ touched_days_sql }}

    ),
{% endif %}

{% set is_near = near_dates('readings', touched_days_sql, ref('stg_lake__day_loads')) %}
main_meters as (

    select * from meters
    where channel = 'main'

),

device_meters as (

    select * from meters
    where channel <> 'main'

),

-- One row a meter and half-hour already; almost all readings are of this kind. The others are looked for by a
-- comparison that DuckDB answers from the statistics of a row group, without reading it.
main_half_hours as (

    select
        main_meters.fleet_number,
        readings.interval_start_utc,
        sum(readings.energy_kwh) as energy_kwh,
        count(*) as meters,
        max(readings.file_id) as file_id
    from {{ ref('int_readings_in_use') }} as readings
    inner join main_meters
        on readings.meter_no = main_meters.meter_no
    where
        {{ is_near }}
        and readings.interval_minutes = 30
    group by all

),

other_readings as (

    select
        main_meters.fleet_number,
        main_meters.meter_id,
        readings.*
    from {{ ref('int_readings_in_use') }} as readings
    inner join main_meters
        on readings.meter_no = main_meters.meter_no
    where
        {{ is_near }}
        and readings.interval_minutes <> 30
    union all
    select
        device_meters.fleet_number,
        device_meters.meter_id,
        readings.*
    from {{ ref('int_readings_in_use') }} as readings
    inner join device_meters
        on readings.meter_no = device_meters.meter_no
    where {{ is_near }}

),

other_starts as (

    select
        *,
        range(
            time_bucket(interval 30 minute, interval_start_utc),
            interval_start_utc + to_minutes(interval_minutes),
            interval 30 minute
        ) as half_hour_starts
    from other_readings

),

other_parts as (

    select
        fleet_number,
        meter_id,
        unnest(half_hour_starts) as interval_start_utc,
        energy_kwh / len(half_hour_starts) as energy_kwh,
        file_id
    from other_starts

),

other_meter_half_hours as (

    select
        fleet_number,
        meter_id,
        interval_start_utc,
        sum(energy_kwh) as energy_kwh,
        max(file_id) as file_id
    from other_parts
    group by all

),

both_kinds as (

    select
        fleet_number,
        interval_start_utc,
        energy_kwh,
        meters,
        file_id
    from main_half_hours
    union all
    select
        fleet_number,
        interval_start_utc,
        sum(energy_kwh) as energy_kwh,
        count(*) as meters,
        max(file_id) as file_id
    from other_meter_half_hours
    group by all

),

half_hours as (

    select
        fleet_number,
        interval_start_utc,
        sum(energy_kwh) as energy_kwh,
        cast(sum(meters) as bigint) as meters,
        max(file_id) as file_id
    from both_kinds
    group by all

)

select
    fleets.source,
    fleets.commodity,
    fleets.fleet_channels,
    half_hours.interval_start_utc,
    half_hours.energy_kwh,
    half_hours.meters,
    half_hours.file_id
from half_hours
inner join fleets
    on half_hours.fleet_number = fleets.fleet_number
{% if is_incremental() %}
    inner join touched_days
        on
            fleets.source = touched_days.source
            and fleets.commodity = touched_days.commodity
            and cast(half_hours.interval_start_utc as date) = touched_days.utc_date
{% endif %}
