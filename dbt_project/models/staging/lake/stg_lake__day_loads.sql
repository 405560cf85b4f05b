with source as (

    select * from {{ source('lake', 'day_loads') }}

)

select
    file_id,
    meter_no,
    local_date,
    interval_minutes,
    readings,
    has_superseding,
    energy_kwh,
    estimated_readings,
    variance_kwh2,
    peak_kwh,
    peak_interval_start_utc,
    first_interval_start_utc,
    newest_interval_start_utc,
    available_at_utc
from source
