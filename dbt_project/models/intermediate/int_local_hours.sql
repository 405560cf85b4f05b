{{ config(materialized='table') }}

{% set block_days = var('hour_block_days') | int %}

with days as (

    select distinct {{ day_number('local_date') }} as day_number
    from {{ ref('int_local_days') }}

),

hours as (

    select
        day_number,
        unnest(range(24)) as local_hour
    from days

)

select
    cast(day_number * 24 + local_hour as integer) as hour_number,
    cast((day_number // {{ block_days }} * 2 + cast(day_number % 7 >= 5 as integer)) * 24 + local_hour as integer)
        as slot_number,
    cast(1 as bigint) << (day_number % {{ block_days }}) as day_bit
from hours
