with source as (

    select * from {{ source('lake', 'files') }}

)

select
    file_id,
    available_at_utc
from source
