{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['meter_id', 'channel', 'local_date']
    )
}}

{% set touched_days_sql -%}
    select distinct
        meter_id,
        channel,
        local_date
    from {{ ref('stg_lake__day_loads') }}
    where file_id > {{ newest_file_built() }}
{%- endset %}

with readings as (

    select * from {{ ref('int_readings_in_use') }}

),

{% if is_incremental() %}
    touched_days as (

        {{ touched_days_sql }}

    ),

    readings_to_sum as (

        select readings.*
        from readings
        inner join touched_days
            on
                readings.meter_id = touched_days.meter_id
                and readings.channel = touched_days.channel
                and readings.local_date = touched_days.local_date
        where {{ starts_near_days('readings.interval_start_utc', touched_days_sql) }}

    )
{% else %}
    readings_to_sum as (

        select * from readings

    )
{% endif %}

select
    meter_id,
    channel,
    local_date,
    sum(energy_kwh) as energy_kwh,
    count(*) as readings,
    cast(sum(interval_minutes) as bigint) as covered_minutes,
    count(*) filter (where quality = 'estimated') as estimated_readings,
    var_pop(energy_kwh) as variance_kwh2,
    max(energy_kwh) as peak_kwh,
    -- The earliest of equal peaks: a plain arg_max would return whichever thread came first.
    arg_max(interval_start_utc, row(energy_kwh, -epoch_us(interval_start_utc))) as peak_interval_start_utc,
    min(interval_start_utc) as first_interval_start_utc,
    max(interval_start_utc) as newest_interval_start_utc,
    max(file_id) as file_id,
    max(available_at_utc) as available_at_utc
from readings_to_sum
group by meter_id, channel, local_date
