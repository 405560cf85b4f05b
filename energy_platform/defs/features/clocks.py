"""Where each source stands in its own time: what the planner of a flow reads.

Belongs here: the asset features/source_clocks. Does not belong here: which cutoffs follow from
it (domain/flow_plan.py).
"""

import json

import dagster as dg

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.metadata import markdown_table, row_count, table_spec
from energy_platform.domain.columns import METER_DAYS, SOURCE_CLOCKS

# A day is complete for a clock when nothing of it is missing; a meter is active in the week up to it.
CLOCKS_SQL = f"""
WITH newest AS (
    SELECT source, max(local_date) FILTER (WHERE readings = expected_readings) AS newest_complete_day,
           max(file_id) AS newest_file_id
    FROM {METER_DAYS.full_name} GROUP BY source
)
SELECT source, newest_complete_day,
       (SELECT count(DISTINCT (days.meter_id, days.channel)) FROM {METER_DAYS.full_name} AS days
        WHERE days.source = newest.source
          AND days.local_date BETWEEN newest_complete_day - 6 AND newest_complete_day) AS active_meters,
       newest_file_id
FROM newest WHERE newest_complete_day IS NOT NULL ORDER BY source
"""


@dg.multi_asset(
    name="source_clocks",
    specs=[
        table_spec(
            SOURCE_CLOCKS,
            description="Historical sources end in different years, so each has its own 'now'.",
            kinds={"duckdb"},
            deps=[[METER_DAYS.schema, METER_DAYS.name]],
        )
    ],
    pool="warehouse",
)
def source_clocks(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult[None]:
    """Newest complete day, active meters and newest file of each source."""
    clocks = warehouse.read(CLOCKS_SQL)
    warehouse.replace(SOURCE_CLOCKS, clocks, where="true")
    return dg.MaterializeResult(
        asset_key=[SOURCE_CLOCKS.schema, SOURCE_CLOCKS.name],
        metadata={
            **row_count(clocks.height),
            "clocks": dg.MetadataValue.text(json.dumps(clocks.to_dicts(), default=str)),
            "table": markdown_table(clocks),
        },
    )


@dg.asset_check(asset=[SOURCE_CLOCKS.schema, SOURCE_CLOCKS.name], pool="warehouse")
def clocks_are_not_in_the_future(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """A source whose newest day lies ahead of the wall clock has its stamps wrong."""
    ahead = warehouse.read(f"SELECT * FROM {SOURCE_CLOCKS.full_name} WHERE newest_complete_day > current_date + 1")
    return dg.AssetCheckResult(passed=ahead.is_empty(), metadata={"ahead": markdown_table(ahead)})
