"""dbt's three layers (staging, intermediate, marts) as assets. The SQL lives in dbt_project/; here is only the glue."""
