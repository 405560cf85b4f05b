{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['source', 'commodity', 'interval_start_utc'],
        pre_hook="{{ forget_fleets_with_other_channels() }}"
    )
}}

{# A local day lies on its own date in UTC and on part of the one before or after. -#}
{% set touched_utc_days_sql -%}
    select distinct
        meters.source,
        meters.commodity,
        day_loads.local_date + unnest([-1, 0, 1]) as local_date
    from {{ ref('stg_lake__day_loads') }} as day_loads
    inner join {{ ref('int_meters_in_totals') }} as meters
        on
            day_loads.meter_id = meters.meter_id
            and day_loads.channel = meters.channel
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
    touched_utc_days as (

        {{ touched_utc_days_sql }}

    ),
{% endif %}

-- Not materialized, though both kinds below read it: to keep every reading took 1.7 s CPU per 16.8 million, not 1.1 s.
readings as not materialized (

    select
        meters.fleet_number,
        readings.meter_id,
        readings.channel,
        readings.interval_start_utc,
        readings.interval_minutes,
        readings.energy_kwh,
        readings.file_id
    from {{ ref('int_readings_in_use') }} as readings
    inner join meters
        on
            readings.meter_id = meters.meter_id
            and readings.channel = meters.channel
    {% if is_incremental() %}
        where {{ starts_near_days('readings.interval_start_utc', touched_utc_days_sql) }}
    {% endif %}

),

-- One row a meter and half-hour already; almost all readings are of this kind.
main_half_hours as (

    select
        fleet_number,
        interval_start_utc,
        sum(energy_kwh) as energy_kwh,
        count(*) as meters,
        max(file_id) as file_id
    from readings
    where interval_minutes = 30 and channel = 'main'
    group by all

),

other_readings as (

    select
        *,
        range(
            time_bucket(interval 30 minute, interval_start_utc),
            interval_start_utc + to_minutes(interval_minutes),
            interval 30 minute
        ) as half_hour_starts
    from readings
    where not (interval_minutes = 30 and channel = 'main')

),

other_parts as (

    select
        fleet_number,
        meter_id,
        unnest(half_hour_starts) as interval_start_utc,
        energy_kwh / len(half_hour_starts) as energy_kwh,
        file_id
    from other_readings

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
    inner join touched_utc_days
        on
            fleets.source = touched_utc_days.source
            and fleets.commodity = touched_utc_days.commodity
            and cast(half_hours.interval_start_utc as date) = touched_utc_days.local_date
{% endif %}
