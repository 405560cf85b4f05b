"""What must hold of the lake before anything is computed from it: contracts, and the account of every row.

Blocking: dbt, features and models do not run on a lake that breaks them.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import duckdb

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.lake.assets import DESCRIPTIONS
from energy_platform.defs.metadata import markdown_table
from energy_platform.domain.columns import FILES, READING_ROWS, REJECTED, TELEMETRY, WEATHER, Table

# Great Expectations reads pandas: 0.2 s for this many rows. Above it, whole vectors are drawn evenly
# over the table, always the same ones for the same table.
SAMPLE_ROWS = 200_000

CONTRACT_CHECK = "keeps_its_contract"
ACCOUNT_CHECK = "every_row_is_accounted_for"
_ACCOUNT_SQL = f"""
    WITH held AS (
        SELECT file_id, count(*) AS rows FROM {READING_ROWS.full_name}
        WHERE file_id NOT IN (SELECT file_id FROM {TELEMETRY.full_name}) GROUP BY file_id
        UNION ALL SELECT file_id, count(*) FROM {TELEMETRY.full_name} GROUP BY file_id
        UNION ALL SELECT file_id, count(*) FROM {WEATHER.full_name} GROUP BY file_id),
    refused AS (SELECT file_id, count(*) AS rows FROM {REJECTED.full_name} GROUP BY file_id)
    SELECT coalesce(uri, 'no ledger row: file ' || file_id) AS file, rows_read, rows_accepted, rows_rejected, rows_duplicate,
           coalesce(held.rows, 0) AS held, coalesce(refused.rows, 0) AS refused
    FROM {FILES.full_name} AS files FULL JOIN held USING (file_id) FULL JOIN refused USING (file_id)
    WHERE uri IS NULL OR rows_read <> rows_accepted + rows_rejected + rows_duplicate
       OR rows_accepted <> coalesce(held.rows, 0) OR rows_rejected <> coalesce(refused.rows, 0)
    ORDER BY file"""


@dg.multi_asset_check(
    name="lake_checks",
    specs=[
        *(
            dg.AssetCheckSpec(
                CONTRACT_CHECK,
                asset=[table.schema, table.name],
                blocking=True,
                description="Great Expectations suite made from the contract: columns, types, no nulls, key, sets, ranges.",
            )
            for table in DESCRIPTIONS
        ),
        dg.AssetCheckSpec(
            ACCOUNT_CHECK,
            asset=[FILES.schema, FILES.name],
            blocking=True,
            description="Read = accepted + rejected + duplicate for every file, and the lake holds exactly those rows.",
        ),
    ],
    pool="warehouse",
)
def lake_checks(warehouse: dg.ResourceParam[Warehouse]) -> Iterator[dg.AssetCheckResult]:
    """Hold every table of the lake against its contract, and the ledger against the tables."""
    from energy_platform.adapters.expectations import open_contracts

    contracts = open_contracts()
    with warehouse.connect() as connection:
        totals = _totals(connection)
    for table in DESCRIPTIONS:
        total = totals[table]
        rows = _rows(warehouse, table, total)
        outcome = contracts.check(table, rows, is_whole=len(rows) == total)
        yield dg.AssetCheckResult(
            asset_key=[table.schema, table.name],
            check_name=CONTRACT_CHECK,
            passed=outcome.passed,
            metadata={
                "expectations": outcome.expectations,
                "rows": total,
                "rows_looked_at": outcome.rows,
                "failures": list(outcome.failures),
            },
        )
    unaccounted = warehouse.read(_ACCOUNT_SQL)
    yield dg.AssetCheckResult(
        asset_key=[FILES.schema, FILES.name],
        check_name=ACCOUNT_CHECK,
        passed=unaccounted.is_empty(),
        metadata={"files_that_do_not_add_up": unaccounted.height, "files": markdown_table(unaccounted)},
    )


def _totals(connection: duckdb.DuckDBPyConnection) -> dict[Table, int]:
    """How many rows each table has; a view has those of the stored readings."""
    stored = [table for table in DESCRIPTIONS if not table.view_sql]
    counts = " UNION ALL ".join(f"SELECT '{table.name}', count(*) FROM {table.full_name}" for table in stored)
    rows = dict(connection.execute(counts).fetchall())
    return {table: rows[(READING_ROWS if table.view_sql else table).name] for table in DESCRIPTIONS}


def _rows(warehouse: Warehouse, table: Table, total: int) -> Any:
    """All rows of a table as a pandas frame, or an even sample of a large one."""
    with warehouse.connect() as connection:
        stored = (READING_ROWS if table.view_sql else table).full_name
        sample = f"USING SAMPLE {100 * SAMPLE_ROWS / total:.6f}% (system, 42)" if total > SAMPLE_ROWS else ""
        names = ", ".join(table.column_names)
        # A view over all readings is looked at through a sample of them, or all would be joined to be left out.
        drawn = f"(SELECT * FROM {stored} {sample})"
        source = f"({table.view_sql.replace(stored, drawn)})" if table.view_sql else drawn
        return connection.execute(f"SELECT {names} FROM {source}").df()
