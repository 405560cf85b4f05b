{{ config(severity='warn') }}
-- The same time told twice, by intervals of two lengths or by a meter under two ids, is energy counted twice.
-- Returns one row for each day with more readings than intervals. A warning: one such meter must not stop the others.
select
    meter_id,
    channel,
    local_date,
    readings,
    expected_readings
from {{ ref('meter_days') }}
where readings > expected_readings
