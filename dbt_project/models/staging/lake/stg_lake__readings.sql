with source as (

    select * from {{ source('lake', 'readings') }}

)

select
    meter_id,
    channel,
    {{ local_date('interval_start_utc', 'utc_offset_minutes') }} as local_date,
    interval_start_utc,
    interval_minutes,
    utc_offset_minutes,
    energy_kwh,
    quality,
    file_id,
    available_at_utc
from source
