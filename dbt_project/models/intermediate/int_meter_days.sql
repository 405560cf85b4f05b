{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['meter_no', 'local_date']
    )
}}

{% set touched_loads_sql -%}
    select loads.*
    from {{ ref('stg_lake__day_loads') }} as loads
    {% if is_incremental() %}
        inner join (
            select distinct
                meter_no,
                local_date
            from {{ ref('stg_lake__day_loads') }}
            where file_id > {{ newest_file_built() }}
        ) as touched_days
            on
                loads.meter_no = touched_days.meter_no
                and loads.local_date = touched_days.local_date
    {% endif %}
{%- endset %}
{% set corrected_days_sql -%}
    select
        meter_no,
        local_date
    from ({{ touched_loads_sql }})
    group by meter_no, local_date
    having bool_or(has_superseding)
{%- endset %}

-- Loads add up to their day, so that no reading is read again: 0.5 s in place of 3 s per 16.8 million readings. Only
-- where a reading was corrected does a load hold energy that is no longer in use. Almost all days have one load; the
-- others are few, so that looking each load up among them costs little.
with loads as (

    {{ touched_loads_sql }}

),

other_days as (

    select
        meter_no,
        local_date,
        bool_or(has_superseding) as is_corrected
    from loads
    group by meter_no, local_date
    having count(*) > 1 or bool_or(has_superseding)

),

days_of_one_load as (

    select
        loads.*,
        loads.readings * loads.interval_minutes as covered_minutes
    from loads
    anti join other_days
        on
            loads.meter_no = other_days.meter_no
            and loads.local_date = other_days.local_date

),

several_loads as (

    select
        loads.*,
        sum(loads.energy_kwh) over same_day / sum(loads.readings) over same_day as day_mean_kwh
    from loads
    inner join other_days
        on
            loads.meter_no = other_days.meter_no
            and loads.local_date = other_days.local_date
    where not other_days.is_corrected
    window same_day as (partition by loads.meter_no, loads.local_date)

),

-- Chan, Golub and LeVeque (1979): the variance of all from those of the parts.
days_of_several_loads as (

    select
        meter_no,
        local_date,
        sum(energy_kwh) as energy_kwh,
        sum(readings) as readings,
        sum(readings * interval_minutes) as covered_minutes,
        sum(estimated_readings) as estimated_readings,
        sum(readings * (variance_kwh2 + (energy_kwh / readings - day_mean_kwh) ** 2)) / sum(readings) as variance_kwh2,
        max(peak_kwh) as peak_kwh,
        arg_max(peak_interval_start_utc, row(peak_kwh, -epoch_us(peak_interval_start_utc))) as peak_interval_start_utc,
        min(first_interval_start_utc) as first_interval_start_utc,
        max(newest_interval_start_utc) as newest_interval_start_utc,
        max(file_id) as file_id
    from several_loads
    group by meter_no, local_date

),

corrected_days as (

    {{ corrected_days_sql }}

),

days_with_corrections as (

    select
        readings.meter_no,
        readings.local_date,
        sum(readings.energy_kwh) as energy_kwh,
        count(*) as readings,
        sum(readings.interval_minutes) as covered_minutes,
        count(*) filter (where readings.is_estimated) as estimated_readings,
        var_pop(readings.energy_kwh) as variance_kwh2,
        max(readings.energy_kwh) as peak_kwh,
        arg_max(readings.interval_start_utc, row(readings.energy_kwh, -epoch_us(readings.interval_start_utc)))
            as peak_interval_start_utc,
        min(readings.interval_start_utc) as first_interval_start_utc,
        max(readings.interval_start_utc) as newest_interval_start_utc,
        max(readings.file_id) as file_id
    from {{ ref('int_readings_in_use') }} as readings
    inner join corrected_days
        on
            readings.meter_no = corrected_days.meter_no
            and readings.local_date = corrected_days.local_date
    where {{ near_days('readings', corrected_days_sql) }}
    group by readings.meter_no, readings.local_date

),

days as (

    select * from days_of_one_load
    union all by name
    select * from days_of_several_loads
    union all by name
    select * from days_with_corrections

)

select
    days.meter_no,
    days.local_date,
    days.energy_kwh,
    cast(days.readings as bigint) as readings,
    cast(days.covered_minutes as bigint) as covered_minutes,
    cast(days.estimated_readings as bigint) as estimated_readings,
    days.variance_kwh2,
    days.peak_kwh,
    days.peak_interval_start_utc,
    days.first_interval_start_utc,
    days.newest_interval_start_utc,
    days.file_id,
    files.available_at_utc
from days
left join {{ ref('stg_lake__files') }} as files
    on days.file_id = files.file_id
