with source as (

    select * from {{ source('lake', 'reading_rows') }}

)

select
    meter_no,
    {{ local_date('interval_start_utc', 'utc_offset_minutes') }} as local_date,
    interval_start_utc,
    interval_minutes,
    utc_offset_minutes,
    energy_kwh,
    is_estimated,
    file_id
from source
