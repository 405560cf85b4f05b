with source as (

    select * from {{ source('lake', 'meters') }}

)

select
    meter_no,
    meter_id,
    channel,
    site_id,
    source,
    commodity,
    interval_minutes,
    time_zone
from source
