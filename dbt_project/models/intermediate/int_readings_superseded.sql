{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['meter_no', 'local_date']
    )
}}

{% set corrected_days_sql -%}
    select distinct
        meter_no,
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
        readings.meter_no,
        readings.local_date,
        readings.interval_start_utc,
        readings.file_id,
        max(readings.file_id) over same_day as newest_file_id,
        row_number() over newest_first as age
    from {{ ref('stg_lake__reading_rows') }} as readings
    inner join corrected_days
        on
            readings.meter_no = corrected_days.meter_no
            and readings.local_date = corrected_days.local_date
    where {{ near_days('readings', corrected_days_sql) }}
    window
        same_day as (partition by readings.meter_no, readings.local_date),
        newest_first as (
            partition by readings.meter_no, readings.interval_start_utc
            order by readings.file_id desc
        )

)

select
    meter_no,
    local_date,
    interval_start_utc,
    file_id,
    newest_file_id
from versions
where age > 1
