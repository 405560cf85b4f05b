with source as (

    select * from {{ source('lake', 'day_loads') }}

)

select
    file_id,
    meter_id,
    channel,
    local_date,
    interval_minutes,
    readings,
    has_superseding,
    available_at_utc
from source
