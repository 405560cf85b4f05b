"""published/generation: the tables that people and programs read, switched as one.

Belongs here: which tables are published, and with which facts. How a generation is written and
swapped: adapters/published.py.
"""

from datetime import UTC, datetime

import dagster as dg
import polars as pl

from energy_platform.adapters.published import Published
from energy_platform.adapters.registry import git_commit
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.metadata import FRESHNESS, OWNERS, markdown_table, row_count
from energy_platform.domain.columns import DAY_LOADS, FILES, SOURCE_CLOCKS, TABLES, Table
from energy_platform.settings import PROJECT_ROOT

KEY = dg.AssetKey(["published", "generation"])
# Features are for models and day_loads for the loader; the clocks are what planners of the next flow read.
PUBLISHED_TABLES: tuple[Table, ...] = tuple(
    table for table in TABLES if (table.schema != "features" and table is not DAY_LOADS) or table is SOURCE_CLOCKS
)


@dg.asset(
    key=KEY,
    group_name="published",
    deps=[[table.schema, table.name] for table in PUBLISHED_TABLES],
    kinds={"duckdb", "parquet"},
    owners=OWNERS,
    freshness_policy=FRESHNESS,
    pool="warehouse",
    description=(
        "One generation of Parquet files: every table that people and programs read, switched by one pointer file. "
        "Readers never meet a lock and never see half a run; readings are written once and taken over from then on."
    ),
)
def generation(
    warehouse: dg.ResourceParam[Warehouse], published: dg.ResourceParam[Published]
) -> dg.MaterializeResult[None]:
    """Write a new generation and make it current."""
    now = datetime.now(UTC).replace(tzinfo=None)
    with warehouse.transaction() as connection:
        newest = connection.execute(f"SELECT max(file_id) FROM {FILES.full_name}").fetchall()[0][0]
        facts = {"newest_file_id": newest, "commit": git_commit(PROJECT_ROOT)}
        made = published.publish(connection, PUBLISHED_TABLES, facts=facts, now=now)
    tables = pl.DataFrame(sorted(made.tables.items()), schema=["table", "rows"], orient="row")
    return dg.MaterializeResult(
        metadata={
            **row_count(sum(made.tables.values())),
            "generation": made.generation_id,
            "place": made.store.address,
            "tables": markdown_table(tables, rows=50),
            "reading_parts": len(made.parts),
            "bytes": sum(mark.bytes for mark in made.marks.values()),
        }
    )
