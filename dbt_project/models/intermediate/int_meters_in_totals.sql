with meters as (

    select * from {{ ref('stg_lake__meters') }}

)

select
    *,
    channel = 'main' or not bool_or(channel = 'main') over same_site as is_in_site_total,
    channel = 'main' or not bool_or(channel = 'main') over same_source as is_in_fleet_total,
    case when bool_or(channel = 'main') over same_source then 'main' else 'all' end as fleet_channels
from meters
window
    same_site as (partition by site_id, commodity),
    same_source as (partition by source, commodity)
