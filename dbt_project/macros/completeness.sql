{#-
    Intervals that a day of that many minutes holds, at the mean length of the intervals seen on it. With one length
    (the rule) this is minutes / length; a daily reading expects 1 on a day of 23 or 25 hours as well.
-#}
{% macro expected_readings(readings, covered_minutes, day_minutes) -%}
    cast(greatest(1, round({{ day_minutes }} * {{ readings }} / {{ covered_minutes }})) as bigint)
{%- endmacro %}

{#- Readings present over readings expected, 0 to 1. -#}
{% macro completeness(readings, expected_readings) -%}
    least(1.0, cast({{ readings }} as double) / {{ expected_readings }})
{%- endmacro %}
