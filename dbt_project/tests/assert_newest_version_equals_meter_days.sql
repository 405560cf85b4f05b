{{ config(meta={'dagster': {'ref': {'name': 'meter_days'}}}) }}
-- meter_days picks the newest versions by anti join, meter_day_versions by window: two ways to one number.
-- Returns one row for each corrected day whose last total differs from the total in use.
with last_versions as (

    select * from {{ ref('meter_day_versions') }}
    qualify row_number() over (partition by meter_id, channel, local_date order by available_at_utc desc) = 1

)

select
    days.meter_id,
    days.channel,
    days.local_date,
    days.energy_kwh,
    last_versions.energy_kwh as version_energy_kwh
from {{ ref('meter_days') }} as days
left join last_versions
    on
        days.meter_id = last_versions.meter_id
        and days.channel = last_versions.channel
        and days.local_date = last_versions.local_date
where
    days.versions > 0
    and (
        abs(days.energy_kwh - last_versions.energy_kwh) <= 1e-9 * greatest(1, abs(days.energy_kwh))
        and days.readings = last_versions.readings
    ) is not true
