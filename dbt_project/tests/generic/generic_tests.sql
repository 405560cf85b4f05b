{#- Guards the grain: returns each key that more than one row has. -#}
{% test one_row_per(model, columns) %}
    select {{ columns | join(', ') }}
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}

{#- Guards shares: returns rows outside 0 to 1. Null is outside too. -#}
{% test is_share(model, column_name) %}
    select {{ column_name }}
    from {{ model }}
    where ({{ column_name }} between 0 and 1) is not true
{% endtest %}

{#- Guards counts and quantities: returns rows outside the range. Null is outside too. -#}
{% test is_between(model, column_name, lowest, highest) %}
    select {{ column_name }}
    from {{ model }}
    where ({{ column_name }} between {{ lowest }} and {{ highest }}) is not true
{% endtest %}

{#- Guards sums against overflow and division by zero: returns rows that are not a finite number. -#}
{% test is_finite(model, column_name) %}
    select {{ column_name }}
    from {{ model }}
    where isfinite({{ column_name }}) is not true
{% endtest %}
