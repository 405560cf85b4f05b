{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['meter_id', 'channel', 'local_date']
    )
}}

{% set corrected_days_sql -%}
    select distinct
        meter_id,
        channel,
        local_date
    from {{ ref('stg_lake__day_loads') }}
    where
        has_superseding
        and file_id > {{ newest_file_built('newest_file_id') }}
{%- endset %}

with corrected_days as (

    {{ corrected_days_sql }}

),

versions as (

    select
        readings.meter_id,
        readings.channel,
        readings.local_date,
        readings.interval_start_utc,
        readings.available_at_utc,
        readings.file_id,
        max(readings.file_id) over same_day as newest_file_id,
        row_number() over newest_first as age
    from {{ ref('stg_lake__readings') }} as readings
    inner join corrected_days
        on
            readings.meter_id = corrected_days.meter_id
            and readings.channel = corrected_days.channel
            and readings.local_date = corrected_days.local_date
    {% if is_incremental() %}
        where {{ starts_near_days('readings.interval_start_utc', corrected_days_sql) }}
    {% endif %}
    window
        same_day as (partition by readings.meter_id, readings.channel, readings.local_date),
        newest_first as (
            partition by readings.meter_id, readings.channel, readings.interval_start_utc
            order by readings.available_at_utc desc, readings.file_id desc
        )

)

select
    meter_id,
    channel,
    local_date,
    interval_start_utc,
    available_at_utc,
    file_id,
    newest_file_id
from versions
where age > 1
