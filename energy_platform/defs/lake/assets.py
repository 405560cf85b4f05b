"""The lake: ledger, readings, rejected rows, meters, sites and weather, loaded together.

Belongs here: reading, calling, writing. How a file is loaded: adapters/lake_loader.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import polars as pl

from energy_platform.adapters.declarations import Declarations
from energy_platform.adapters.lake_loader import ledger_totals, load_pending
from energy_platform.adapters.landing import LandingZone
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.metadata import markdown_table, row_count, table_spec
from energy_platform.domain.columns import (
    DAY_LOADS,
    FILES,
    METERS,
    READING_ROWS,
    READINGS_TABLE,
    REJECTED,
    SITES,
    TELEMETRY,
    WEATHER,
    Table,
)
from energy_platform.domain.readings import LoadSummary

DESCRIPTIONS: dict[Table, str] = {
    FILES: "The ledger: what was read is what was accepted, rejected or known already, for every file.",
    READING_ROWS: "Append-only; a correction is a new row with a later available_at_utc, and the newest wins.",
    READINGS_TABLE: "The stored readings with the names of their meters and channels: what to ask.",
    DAY_LOADS: "Which local days each file touched: what is new, and what must be computed again.",
    REJECTED: "Every refused row with its file, line, raw text and reason. Nothing is dropped silently.",
    METERS: "What measures, where, and since which source.",
    SITES: "Households and buildings with their zone and what the source tells of them.",
    WEATHER: "Outdoor temperature; corrections are new rows, as in readings.",
    TELEMETRY: "Instants: voltage, current, power, registers; energy from samples and registers is in readings.",
}


@dg.multi_asset(
    name="lake",
    specs=[
        table_spec(table, description=text, kinds={"duckdb"}, deps=[["landing", "files"]])
        for table, text in DESCRIPTIONS.items()
    ],
    pool="warehouse",
    # Somebody may have the warehouse file open in a shell; a minute later they often have not.
    retry_policy=dg.RetryPolicy(max_retries=3, delay=5, backoff=dg.Backoff.EXPONENTIAL),
)
def lake(
    context: dg.AssetExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    landing: dg.ResourceParam[LandingZone],
    declarations: dg.ResourceParam[Declarations],
) -> Iterator[dg.MaterializeResult[None]]:
    """Load every landed file that waits."""
    now = datetime.now(UTC).replace(tzinfo=None)
    summary = load_pending(warehouse, landing, declarations, now=now, progress=_log_progress(context))
    for outcome in summary.failed:
        context.log.warning("not loaded: %s", outcome.error)
    with warehouse.connect() as connection:
        counts = {
            table: connection.execute(f"SELECT count(*) FROM {table.full_name}").fetchall()[0][0]
            for table in DESCRIPTIONS
            if not table.view_sql
        }
        counts[READINGS_TABLE] = counts[READING_ROWS]
        totals = ledger_totals(connection)
        reasons: pl.DataFrame = connection.execute(
            f"""SELECT reason, count(*) AS rows, any_value(detail) AS example
                FROM {REJECTED.full_name} GROUP BY reason ORDER BY rows DESC"""
        ).pl()
    extra: dict[Table, dict[str, Any]] = {
        FILES: {
            "new_files": len(summary.files),
            "failed_files": len(summary.failed),
            "this_load": markdown_table(_as_frame(summary)),
            "by_source": markdown_table(totals),
        },
        READINGS_TABLE: {
            "new_rows": sum(outcome.rows.accepted for outcome in summary.files if outcome.energy_kwh is not None),
            "corrections": summary.rows.superseding,
        },
        REJECTED: {"by_reason": markdown_table(reasons), "new_rows": summary.rows.rejected},
    }
    for table, rows in counts.items():
        yield dg.MaterializeResult(
            asset_key=[table.schema, table.name], metadata={**row_count(rows), **extra.get(table, {})}
        )


def _log_progress(context: dg.AssetExecutionContext) -> Any:
    def log(done: int, total: int, name: str) -> None:
        context.log.info("%s of %s files loaded; next %s", done, total, name or "none")

    return log


def _as_frame(summary: LoadSummary) -> pl.DataFrame:
    """The outcome of each file."""
    return pl.DataFrame(
        [
            {
                "file": outcome.file.uri,
                "status": outcome.status,
                "read": outcome.rows.read,
                "accepted": outcome.rows.accepted,
                "rejected": outcome.rows.rejected,
                "duplicate": outcome.rows.duplicate,
                "superseding": outcome.rows.superseding,
                "energy_kwh": outcome.energy_kwh,
                "error": outcome.error,
            }
            for outcome in summary.files
        ],
        schema={
            "file": pl.String,
            "status": pl.String,
            **dict.fromkeys(["read", "accepted", "rejected", "duplicate", "superseding"], pl.Int64),
            "energy_kwh": pl.Float64,
            "error": pl.String,
        },
    )
