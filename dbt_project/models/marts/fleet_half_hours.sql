select
    source,
    commodity,
    interval_start_utc,
    energy_kwh,
    meters
from {{ ref('int_fleet_half_hours') }}
