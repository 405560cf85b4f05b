{{ config(meta={'dagster': {'ref': {'name': 'meter_days'}}}) }}
-- Incremental models build the days of files that are newer than what they hold. A file that was loaded under an older
-- number, or a lake that was filled anew below an old warehouse, would be passed over without a word.
-- Returns one row for each meter, channel and day whose newest file is not the one that meter_days was built from.
-- Remedy: `dbt build --full-refresh`. Not a test of values: see the unit tests.
{% set checked = checked_file() %}
with loaded as (

    select
        meter_no,
        local_date,
        max(file_id) as file_id
    from {{ ref('stg_lake__day_loads') }}
    where file_id > {{ checked }}
    group by meter_no, local_date

),

named as (

    select
        loaded.*,
        meters.meter_id,
        meters.channel
    from loaded
    left join {{ ref('stg_lake__meters') }} as meters
        on loaded.meter_no = meters.meter_no

),

built as (

    select * from {{ ref('meter_days') }}
    where file_id > {{ checked }}

)

select
    coalesce(named.meter_id, built.meter_id) as meter_id,
    coalesce(named.channel, built.channel) as channel,
    coalesce(named.local_date, built.local_date) as local_date,
    named.file_id as loaded_file_id,
    built.file_id as built_file_id
from named
full outer join built
    on
        named.meter_id = built.meter_id
        and named.channel = built.channel
        and named.local_date = built.local_date
where named.file_id is distinct from built.file_id
