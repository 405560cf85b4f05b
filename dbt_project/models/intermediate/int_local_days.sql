{{ config(materialized='table') }}

with zones as (

    select
        meters.time_zone,
        min(day_loads.local_date) as first_date,
        max(day_loads.local_date) as newest_date
    from {{ ref('stg_lake__day_loads') }} as day_loads
    inner join {{ ref('stg_lake__meters') }} as meters
        on day_loads.meter_no = meters.meter_no
    group by meters.time_zone

),

days as (

    select
        time_zone,
        cast(unnest(generate_series(first_date, newest_date, interval 1 day)) as date) as local_date
    from zones

)

select
    time_zone,
    local_date,
    {{ minutes_of_local_period('local_date', 'local_date + 1', 'time_zone') }} as day_minutes
from days
