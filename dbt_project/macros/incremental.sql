{#-
    What an incremental model has not seen yet. Files are numbered in order of loading, so a day whose newest file is
    newer than everything in the model is a day to build again; all other rows stay as they are.
-#}

{#- Highest file number that the model's own table has taken in; -1, which is before all, on a build from scratch. -#}
{% macro newest_file_built(column_name='file_id') -%}
    {% if is_incremental() -%}
        (select coalesce(max({{ column_name }}), -1) from {{ this }})
    {%- else -%}
        -1
    {%- endif %}
{%- endmacro %}

{#- The same, looked up first: readings are then skipped by the row group, as in near_days. -#}
{% macro newest_file_number() -%}
    {%- if not execute or not is_incremental() -%}
        {{ return(-1) }}
    {%- endif -%}
    {{ return(run_query('select coalesce(max(file_id), -1) from ' ~ this).rows[0][0]) }}
{%- endmacro %}

{#-
    Keeps the readings that can lie on one of the local days of one of the meters that `days_sql` selects (meter_no,
    local_date). A coarse filter before the exact join: local days begin up to 14 hours before and 12 hours after the
    UTC day. The days are looked up first and written down as constants, because DuckDB then skips whole row groups;
    against a subquery it compares every row, 6 s per 168 million readings even when there is no day to build. A few
    meters corrected long ago are named one by one: by dates alone, one correction of last year made a day's load read
    the whole year again.
-#}
{% macro near_days(readings, days_sql) -%}
    {{ near_these_days(readings, days_sql) if execute and is_incremental() else 'true' }}
{%- endmacro %}

{#- The same in a test, which knows itself whether it looks at all days. -#}
{% macro near_these_days(readings, days_sql) -%}
    {%- if not execute -%}
        true
    {%- else -%}
        {%- set few_meters = 100 -%}
        {%- set recent_days = 31 -%}
        {%- set bounds_sql -%}
            with days as ({{ days_sql }}),
            newest as (select max(local_date) - {{ recent_days }} as since from days)
            select
                min(local_date) - 1,
                max(local_date) + 2,
                min(local_date) filter (where local_date >= since) - 1,
                count(distinct meter_no) filter (where local_date < since),
                string_agg(distinct meter_no, ', ') filter (where local_date < since)
            from days cross join newest
        {%- endset -%}
        {%- set oldest, end, recent, meters, names = run_query(bounds_sql).rows[0] -%}
        {%- set start = readings ~ '.interval_start_utc' -%}
        {%- if oldest is none -%}
            false
        {%- elif 0 < meters <= few_meters -%}
            {{ start }} < '{{ end }}' and (
                {{ start }} >= '{{ recent }}'
                or {{ start }} >= '{{ oldest }}' and {{ readings }}.meter_no in ({{ names }})
            )
        {%- else -%}
            {{ start }} >= '{{ oldest }}' and {{ start }} < '{{ end }}'
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#-
    The same for sums over all meters: every reading that can lie on a day in UTC that `days_sql` selects (utc_date),
    whichever its meter. `loads` tells how long the longest interval is.
-#}
{% macro near_dates(readings, days_sql, loads) -%}
    {%- if not execute or not is_incremental() -%}
        true
    {%- else -%}
        {%- set ranges_sql -%}
            with days as (select distinct utc_date from ({{ days_sql }})),
            runs as (select utc_date, utc_date - cast(row_number() over (order by utc_date) as integer) as run from days)
            select
                min(utc_date) - (select to_minutes(max(interval_minutes) - 1) from {{ loads }}),
                max(utc_date) + 1
            from runs group by run order by run
        {%- endset -%}
        {%- set ranges = run_query(ranges_sql).rows -%}
        {%- set start = readings ~ '.interval_start_utc' -%}
        {%- if ranges | length == 0 -%}
            false
        {%- else -%}
            {{ start }} >= '{{ ranges[0][0] }}' and {{ start }} < '{{ ranges[-1][1] }}'
            {%- if ranges | length <= 20 %} and (
                {%- for first, end in ranges -%}
                    {{ ' or ' if not loop.first }}{{ start }} >= '{{ first }}' and {{ start }} < '{{ end }}'
                {%- endfor -%}
            )
            {%- endif -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#-
    A source sums its main channels if it has any, else all. When its first main channel arrives, what was summed
    before is of another kind: those rows go, and the model builds that source anew.
-#}
{% macro forget_fleets_with_other_channels() -%}
    {% if is_incremental() -%}
        delete from {{ this }}
        where
            (source, commodity, fleet_channels) not in (
                select (source, commodity, fleet_channels) from {{ ref('int_meters_in_totals') }}
            )
    {%- endif %}
{%- endmacro %}
