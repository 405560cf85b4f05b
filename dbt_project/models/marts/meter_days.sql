{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['meter_id', 'channel', 'local_date']
    )
}}

with days as (

    select * from {{ ref('int_meter_days') }}
    where file_id > {{ newest_file_built() }}

),

superseded as (

    select
        meter_no,
        local_date,
        count(*) as versions
    from {{ ref('int_readings_superseded') }}
    group by meter_no, local_date

),

counted as (

    select
        days.*,
        meters.meter_id,
        meters.channel,
        meters.site_id,
        meters.source,
        meters.commodity,
        coalesce(superseded.versions, 0) as versions,
        {{ expected_readings('days.readings', 'days.covered_minutes', 'local_days.day_minutes') }} as expected_readings
    from days
    left join {{ ref('stg_lake__meters') }} as meters
        on days.meter_no = meters.meter_no
    left join {{ ref('int_local_days') }} as local_days
        on
            meters.time_zone = local_days.time_zone
            and days.local_date = local_days.local_date
    left join superseded
        on
            days.meter_no = superseded.meter_no
            and days.local_date = superseded.local_date

)

select
    meter_id,
    channel,
    site_id,
    source,
    commodity,
    local_date,
    energy_kwh,
    readings,
    expected_readings,
    {{ completeness('readings', 'expected_readings') }} as completeness,
    cast(estimated_readings as double) / readings as estimated_share,
    peak_kwh,
    peak_interval_start_utc,
    versions,
    file_id,
    available_at_utc
from counted
