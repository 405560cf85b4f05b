{#- Guards the grain: returns each key that more than one row has. `changed_by`: see is_changed. -#}
{% test one_row_per(model, columns, changed_by=none) %}
    select {{ columns | join(', ') }}
    from {{ model }}
    where {{ is_changed(model, changed_by) }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}

{#-
    Guards values: returns each row of which a condition does not hold, null included, with these conditions. One test
    for all conditions of a model, because each test costs dbt as much as a look at 30 million values.
-#}
{% test every_row(model, holds, changed_by=none) %}
    select
        *,
        concat_ws(
            '; '
            {%- for condition in holds %},
            case when ({{ condition }}) is not true then '{{ condition | replace("'", "''") }}' end
            {%- endfor %}
        ) as broken
    from {{ model }}
    where
        {{ is_changed(model, changed_by) }}
        and (({{ holds | join(') and (') }})) is not true
{% endtest %}
