{{ config(meta={'dagster': {'ref': {'name': 'meter_days'}}}) }}
-- A join that loses or doubles rows would show a day's energy wrong and still pass every test on one column.
-- Returns one row when the energy of all days is not the energy of all readings in use, to one part in 10⁹; of all
-- days that are new since the tests last passed.
{% set checked = checked_file() %}
{% set days_sql -%}
    select distinct
        meter_no,
        local_date
    from {{ ref('stg_lake__reading_rows') }}
    where file_id > {{ checked }}
{%- endset %}
{% set is_of_new_days -%}
    {% if checked < 0 -%}
        true
    {%- else -%}
        (readings.meter_no, readings.local_date) in ({{ days_sql }})
        and {{ near_these_days('readings', days_sql) }}
    {%- endif %}
{%- endset %}
with days as (

    select
        sum(energy_kwh) as energy_kwh,
        sum(readings) as readings
    from {{ ref('meter_days') }}
    where file_id > {{ checked }}

),

used as (

    select
        sum(readings.energy_kwh) as energy_kwh,
        count(*) as readings,
        sum(abs(readings.energy_kwh)) as size_kwh
    from {{ ref('int_readings_in_use') }} as readings
    where {{ is_of_new_days }}

)

select
    days.readings as readings_in_days,
    used.readings as readings_in_use,
    days.energy_kwh as energy_in_days_kwh,
    used.energy_kwh as energy_in_use_kwh
from days
cross join used
where
    days.readings is distinct from used.readings
    and used.readings > 0
    or abs(days.energy_kwh - used.energy_kwh) > 1e-9 * used.size_kwh
