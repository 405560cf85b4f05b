{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['meter_id', 'channel', 'local_date']
    )
}}

{# Also a file that corrects nothing adds a version to a day that was corrected before. -#}
{% set days_sql -%}
    select distinct
        meter_days.meter_no,
        meter_days.local_date
    from {{ ref('int_meter_days') }} as meter_days
    inner join {{ ref('int_readings_superseded') }} as superseded
        on
            meter_days.meter_no = superseded.meter_no
            and meter_days.local_date = superseded.local_date
    where meter_days.file_id > {{ newest_file_built() }}
{%- endset %}

with days as (

    {{ days_sql }}

),

readings as (

    select
        readings.*,
        files.available_at_utc
    from {{ ref('stg_lake__reading_rows') }} as readings
    inner join days
        on
            readings.meter_no = days.meter_no
            and readings.local_date = days.local_date
    inner join {{ ref('stg_lake__files') }} as files
        on readings.file_id = files.file_id
    where {{ near_days('readings', days_sql) }}

),

moments as (

    select distinct
        meter_no,
        local_date,
        available_at_utc
    from readings

),

-- Per moment, each interval's newest version among those known by then.
known as (

    select
        moments.available_at_utc as known_at_utc,
        readings.*
    from moments
    inner join readings
        on
            moments.meter_no = readings.meter_no
            and moments.local_date = readings.local_date
            and moments.available_at_utc >= readings.available_at_utc
    qualify
        row_number() over (
            partition by
                readings.meter_no, moments.available_at_utc, readings.interval_start_utc
            order by readings.file_id desc
        ) = 1

),

totals as (

    select
        meter_no,
        local_date,
        known_at_utc,
        sum(energy_kwh) as energy_kwh,
        count(*) as readings,
        cast(sum(interval_minutes) as bigint) as covered_minutes,
        count(*) filter (where is_estimated) as estimated_readings,
        max(file_id) as file_id
    from known
    group by meter_no, local_date, known_at_utc

),

counted as (

    select
        totals.*,
        meters.meter_id,
        meters.channel,
        {{ expected_readings('totals.readings', 'totals.covered_minutes', 'local_days.day_minutes') }}
            as expected_readings
    from totals
    left join {{ ref('stg_lake__meters') }} as meters
        on totals.meter_no = meters.meter_no
    left join {{ ref('int_local_days') }} as local_days
        on
            meters.time_zone = local_days.time_zone
            and totals.local_date = local_days.local_date

)

select
    meter_id,
    channel,
    local_date,
    known_at_utc as available_at_utc,
    energy_kwh,
    readings,
    expected_readings,
    {{ completeness('readings', 'expected_readings') }} as completeness,
    cast(estimated_readings as double) / readings as estimated_share,
    file_id
from counted
