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

{#-
    Keeps the readings whose start can lie on one of the local days that `days_sql` selects. A coarse filter before the
    exact join: local days begin up to 14 hours before and 12 hours after the UTC day. The days are looked up first and
    written down as constants, because DuckDB then skips whole row groups; against a subquery it compares every row,
    6 s per 168 million readings even when there is no day to build.
-#}
{% macro starts_near_days(start_utc, days_sql) -%}
    {%- if not execute -%}
        true
    {%- else -%}
        {%- set bounds_sql = "select min(local_date) - 1, max(local_date) + 2 from (" ~ days_sql ~ ")" -%}
        {%- set bounds = run_query(bounds_sql).rows[0] -%}
        {%- if bounds[0] is none -%}
            false
        {%- else -%}
            {{ start_utc }} >= '{{ bounds[0] }}' and {{ start_utc }} < '{{ bounds[1] }}'
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
