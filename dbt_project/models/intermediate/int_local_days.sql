{{ config(materialized='table') }}

with meters as (

    select
        meter_no,
        min(local_date) as first_date,
        max(local_date) as newest_date
    from {{ ref('stg_lake__day_loads') }}
    group by meter_no

),

zones as (

    select
        named.time_zone,
        min(meters.first_date) as first_date,
        max(meters.newest_date) as newest_date
    from meters
    inner join {{ ref('stg_lake__meters') }} as named
        on meters.meter_no = named.meter_no
    group by named.time_zone

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
