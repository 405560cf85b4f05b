{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['meter_no', 'block_number']
    )
}}

{% set block_days = var('hour_block_days') | int %}
{% set newest_file = newest_file_number() %}
{% set touched_blocks_sql -%}
    select
        meter_no,
        {{ day_number('local_date') }} // {{ block_days }} as block_number,
        bool_or(has_superseding) as is_corrected
    from {{ ref('stg_lake__day_loads') }}
    where file_id > {{ newest_file }}
    group by all
{%- endset %}
{% set corrected_edges_sql -%}
    select
        meter_no,
        cast('1969-12-29' as date) + cast(block_number * {{ block_days }} + unnest([0, {{ block_days }}]) as integer) as local_date
    from ({{ touched_blocks_sql }})
    where is_corrected
{%- endset %}

-- A day's load is added to what its block holds, so that the block's other days are not read again; a block in which a
-- reading was corrected is summed anew.
with readings as (

    select
        meter_no,
        interval_start_utc,
        energy_kwh,
        file_id,
        utc_offset_minutes,
        {{ local_hour_number('interval_start_utc', 'utc_offset_minutes') }} as hour_number
    from {{ ref('int_readings_in_use') }}

),

{% if is_incremental() %}
    touched_blocks as (

        {{ touched_blocks_sql }}

    ),

    readings_to_sum as (

        select readings.*
        from readings
        inner join touched_blocks
            on
                readings.meter_no = touched_blocks.meter_no
                and readings.hour_number // {{ 24 * block_days }} = touched_blocks.block_number
        where
            readings.file_id > {{ newest_file }}
            and not touched_blocks.is_corrected
        union all
        select readings.*
        from readings
        inner join touched_blocks
            on
                readings.meter_no = touched_blocks.meter_no
                and readings.hour_number // {{ 24 * block_days }} = touched_blocks.block_number
        where
            touched_blocks.is_corrected
            and {{ near_days('readings', corrected_edges_sql) }}

    ),
{% else %}
    readings_to_sum as (

        select * from readings

    ),
{% endif %}

slot_sums as (

    select
        readings_to_sum.meter_no,
        hours.slot_number,
        sum(readings_to_sum.energy_kwh) as energy_kwh,
        count(*) as readings,
        -- One bit per day of the block that has a reading in this hour, so that hours are counted without a pass over
        -- (meter, day, hour). The hour that a clock change repeats has another offset, hence bits of its own.
        bit_or(
            hours.day_bit << ({{ block_days }} * ((readings_to_sum.utc_offset_minutes + 1440) // 60 % 2))
        ) as hour_mask,
        max(readings_to_sum.file_id) as file_id
    from readings_to_sum
    inner join {{ ref('int_local_hours') }} as hours
        on readings_to_sum.hour_number = hours.hour_number
    group by readings_to_sum.meter_no, hours.slot_number

),

sums as (

    select
        meter_no,
        slot_number // 48 as block_number,
        slot_number // 24 % 2 = 1 as is_weekend,
        slot_number % 24 as local_hour,
        energy_kwh,
        readings,
        hour_mask,
        file_id
    from slot_sums

),

parts as (

    select * from sums
    {% if is_incremental() %}
        union all by name
        select built.*
        from {{ this }} as built
        inner join touched_blocks
            on
                built.meter_no = touched_blocks.meter_no
                and built.block_number = touched_blocks.block_number
        where not touched_blocks.is_corrected
    {% endif %}

),

blocks as (

    {% if is_incremental() %}
        select
            meter_no,
            block_number,
            is_weekend,
            local_hour,
            sum(energy_kwh) as energy_kwh,
            sum(readings) as readings,
            bit_or(hour_mask) as hour_mask,
            max(file_id) as file_id
        from parts
        group by all
    {% else %}
        select * from parts
    {% endif %}

)

select
    meter_no,
    cast(block_number as integer) as block_number,
    is_weekend,
    cast(local_hour as tinyint) as local_hour,
    energy_kwh,
    cast(readings as bigint) as readings,
    hour_mask,
    cast(bit_count(hour_mask) as bigint) as hours,
    file_id
from blocks
