"""What every asset of the platform tells Dagster about itself: owner, schema, row count, table.

Belongs here: metadata that all stages write alike. Does not belong here: what one stage alone shows.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg
import polars as pl

from energy_platform.adapters.warehouse import sql_type
from energy_platform.domain.columns import Table

OWNERS = ["team:energy-platform"]

# The flow runs once a day: after 26 h without one something is late, after 50 h two days are missing.
FRESHNESS = dg.FreshnessPolicy.time_window(warn_window=timedelta(hours=26), fail_window=timedelta(hours=50))


def column_schema(table: Table) -> dg.TableSchema:
    """A contract as Dagster shows it: names, types, units and meanings."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=sql_type(column.dtype),
                description=f"{column.meaning} [{column.unit}]" if column.unit else column.meaning,
                constraints=dg.TableColumnConstraints(nullable=not column.required),
            )
            for column in table.columns
        ]
    )


def table_spec(
    table: Table,
    *,
    description: str,
    kinds: set[str],
    deps: Iterable[Any] = (),
    **options: Any,
) -> dg.AssetSpec:
    """The asset of one contract table: key and group from its schema, column schema from its columns."""
    return dg.AssetSpec(
        key=[table.schema, table.name],
        group_name=table.schema,
        description=f"One row per {table.one_row_per}. {description}",
        kinds=kinds,
        owners=OWNERS,
        freshness_policy=options.pop("freshness_policy", FRESHNESS),
        deps=list(deps),
        metadata={
            "dagster/column_schema": column_schema(table),
            "dagster/table_name": table.full_name,
            **options.pop("metadata", {}),
        },
        **options,
    )


def row_count(rows: int) -> dict[str, Any]:
    """The metadata entry that Dagster plots as the number of rows."""
    return {"dagster/row_count": rows}


def markdown_table(
    frame: pl.DataFrame, *, rows: int = 20, columns: Sequence[str] | None = None
) -> dg.MarkdownMetadataValue:
    """The first rows of a frame as a table for materialization metadata; floats to four digits."""
    shown = frame.select(columns) if columns else frame
    names = shown.columns
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in shown.head(rows).iter_rows():
        cells = [f"{cell:.4g}" if isinstance(cell, float) else "" if cell is None else str(cell) for cell in row]
        lines.append("| " + " | ".join(cells) + " |")
    if shown.height > rows:
        lines.append(f"\n{shown.height - rows} more rows.")
    return dg.MetadataValue.md("\n".join(lines))
