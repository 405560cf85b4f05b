"""landing/files: what has arrived and waits to be loaded.

Belongs here: showing the landing zone. Does not belong here: taking files in (adapters/landing.py).
"""

import dagster as dg
import polars as pl

from energy_platform.adapters.landing import LandingZone
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.metadata import FRESHNESS, OWNERS, markdown_table, row_count
from energy_platform.domain.columns import FILES

KEY = dg.AssetKey(["landing", "files"])


@dg.asset(
    key=KEY,
    group_name="landing",
    description="One file per arrival, immutable, below <landing>/<source>/<yyyy>/<mm>/<dd>/. Put files into a source's "
    "folder, or land them with `energy run --source NAME --path P`.",
    kinds={"csv"},
    owners=OWNERS,
    freshness_policy=FRESHNESS,
    pool="warehouse",
)
def landing_files(
    warehouse: dg.ResourceParam[Warehouse], landing: dg.ResourceParam[LandingZone]
) -> dg.MaterializeResult[None]:
    """List what has landed, and which files the ledger does not have as loaded."""
    state = landing.state()  # before the files: what arrives in between is asked for once more, never missed
    landed = landing.files()
    pending = landing.pending(_ledger(warehouse))
    shown = pl.DataFrame(
        [
            {"source": file.source, "file": file.uri, "bytes": file.bytes, "landed_at_utc": file.landed_at_utc}
            for file in pending
        ],
        schema={"source": pl.String, "file": pl.String, "bytes": pl.Int64, "landed_at_utc": pl.Datetime("us")},
    )
    return dg.MaterializeResult(
        metadata={
            **row_count(len(landed)),
            "bytes": sum(file.bytes for file in landed),
            "pending": len(pending),
            "pending_files": markdown_table(shown),
            "fingerprint": state,
        }
    )


def _ledger(warehouse: Warehouse) -> pl.DataFrame:
    """What the ledger says of files; nothing before the first load."""
    if not warehouse.has_table(FILES.full_name):
        return pl.DataFrame(schema={"uri": pl.String, "content_sha256": pl.String, "status": pl.String})
    return warehouse.read(f"SELECT uri, content_sha256, status FROM {FILES.full_name}")


@dg.asset_check(asset=KEY, name="landed_files_are_unchanged")
def landed_files_are_unchanged(landing: dg.ResourceParam[LandingZone]) -> dg.AssetCheckResult:
    """A landed file that is gone or has another size can no longer be loaded again, nor its rows traced to it."""
    changed = landing.changed()
    return dg.AssetCheckResult(
        passed=not changed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"changed_files": len(changed), "examples": changed[:20]},
    )
