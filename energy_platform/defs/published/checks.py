"""Checks of the published generation, made as a reader would: through the pointer."""

import dagster as dg
import polars as pl

from energy_platform.adapters.published import Published
from energy_platform.defs.metadata import markdown_table
from energy_platform.defs.published.assets import KEY


@dg.asset_check(
    asset=KEY, blocking=True, description="Every file the pointer names is there and holds as many rows as it says."
)
def pointer_agrees_with_files(published: dg.ResourceParam[Published]) -> dg.AssetCheckResult:
    """Ask the store for the size of every file, then open the current generation and count every table."""
    current = published.current()
    amiss = current.files_amiss()
    with current.connect() as connection:
        found = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0] for name in current.tables}
    wrong = pl.DataFrame(
        [(name, rows, found[name]) for name, rows in current.tables.items() if found[name] != rows],
        schema=["table", "said", "found"],
        orient="row",
    )
    return dg.AssetCheckResult(
        passed=wrong.is_empty() and not amiss,
        metadata={
            "generation": current.generation_id,
            "tables": len(found),
            "files": len(current.marks),
            "files_amiss": amiss,
            "wrong": markdown_table(wrong),
        },
    )
