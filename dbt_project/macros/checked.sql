{#-
    Tests look again only at what is new since all of them passed, so that a day's load costs the tests of a day. Up to
    which file that was stands in the comment of marts.meter_days. Every row is looked at when that table is new, with
    --full-refresh, with the variable check_all, a week after it was last done, and when loads of files that were
    checked came or went. Tables are named here as they are called in the warehouse: `ref` would make each test wait for them.
-#}

{#- What stands in the comment, with these names; none when every row is to be looked at. -#}
{% macro checked_mark() -%}
    {%- if not execute or flags.FULL_REFRESH or var('check_all', false) -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set mark_sql -%}
        select
            cast(comment ->> '$.file_id' as integer) as file_id,
            cast(comment ->> '$.day_loads' as bigint) as day_loads,
            comment ->> '$.whole_at_utc' as whole_at_utc
        from duckdb_tables()
        where
            database_name = current_database()
            and schema_name = 'marts'
            and table_name = 'meter_days'
            and comment is not null
    {%- endset -%}
    {%- set rows = run_query(mark_sql).rows -%}
    {{ return(rows[0] if rows else none) }}
{%- endmacro %}

{#-
    At the start of a run: a mark that no longer holds is taken away. Once for all tests: to count the loads takes 0.02 s
    at 168 million readings, and thirty tests ask for the mark.
-#}
{% macro forget_checked() -%}
    {%- set mark = checked_mark() -%}
    {%- set holds_sql -%}
        select
            timestamp '{{ mark['whole_at_utc'] }}' > timestamp '{{ started_at_utc() }}' - interval {{ var('check_all_days') }} day
            and count(*) = {{ mark['day_loads'] }}
        from lake.day_loads
        where file_id <= {{ mark['file_id'] }}
    {%- endset -%}
    {%- if mark and not run_query(holds_sql).rows[0][0] -%}
        comment on table marts.meter_days is null
    {%- endif -%}
{%- endmacro %}

{#- The newest file whose rows have passed all tests; -1, which is before all, when every row is to be looked at. -#}
{% macro checked_file() -%}
    {%- set mark = checked_mark() -%}
    {{ return(mark['file_id'] | int if mark else -1) }}
{%- endmacro %}

{#-
    Whether a test is to look at a row. `column` tells rows that can belong together: all rows whose value of it a new
    row has. So a key that was written twice is found even when one of the rows is old. None for small tables.
-#}
{% macro is_changed(model, column) -%}
    {%- set newest = checked_file() if column else -1 -%}
    {%- if newest < 0 -%}
        true
    {%- elif column == 'file_id' -%}
        file_id > {{ newest }}
    {%- else -%}
        {{ column }} in (select distinct {{ column }} from {{ model }} where file_id > {{ newest }})
    {%- endif -%}
{%- endmacro %}

{#- At the end of a run in which every test was made and passed: writes down how far that goes. -#}
{% macro remember_checked(results) -%}
    {%- if execute -%}
        {%- set args = invocation_args_dict -%}
        {%- set is_of_all = not (args.get('select') or args.get('exclude') or args.get('selector')) -%}
        {%- set tests = results | selectattr('node.resource_type', 'equalto', 'test') | list -%}
        {%- set bad = results | rejectattr('status', 'in', ['success', 'pass', 'warn']) | list -%}
        {%- if is_of_all and tests and not bad -%}
            {%- set mark = checked_mark() -%}
            {%- set newest_sql -%}
                with newest as (select coalesce(max(file_id), -1) as file_id from marts.meter_days)
                select file_id, (select count(*) from lake.day_loads where lake.day_loads.file_id <= newest.file_id) from newest
            {%- endset -%}
            {%- set file_id, day_loads = run_query(newest_sql).rows[0] -%}
            {%- set whole_at_utc = mark['whole_at_utc'] if mark else started_at_utc() -%}
            comment on table marts.meter_days is '{"file_id": {{ file_id }}, "day_loads": {{ day_loads }}, "whole_at_utc": "{{ whole_at_utc }}"}'
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro started_at_utc() -%}
    {{ return(run_started_at.strftime('%Y-%m-%d %H:%M:%S')) }}
{%- endmacro %}
