{{ config(meta={'dagster': {'ref': {'name': 'meter_days'}}}) }}
-- Incremental models build the days of files that are newer than what they hold. A file that was loaded under an older
-- number, or a lake that was filled anew below an old warehouse, would be passed over without a word.
-- Returns one row for each meter, channel and day whose newest file is not the one that meter_days was built from.
-- Remedy: `dbt build --full-refresh`. Not a test of values: see the unit tests.
with loaded as (

    select
        meters.meter_id,
        meters.channel,
        day_loads.local_date,
        max(day_loads.file_id) as file_id
    from {{ ref('stg_lake__day_loads') }} as day_loads
    left join {{ ref('stg_lake__meters') }} as meters
        on day_loads.meter_no = meters.meter_no
    group by meters.meter_id, meters.channel, day_loads.local_date

)

select
    coalesce(loaded.meter_id, built.meter_id) as meter_id,
    coalesce(loaded.channel, built.channel) as channel,
    coalesce(loaded.local_date, built.local_date) as local_date,
    loaded.file_id as loaded_file_id,
    built.file_id as built_file_id
from loaded
full outer join {{ ref('meter_days') }} as built
    on
        loaded.meter_id = built.meter_id
        and loaded.channel = built.channel
        and loaded.local_date = built.local_date
where loaded.file_id is distinct from built.file_id
