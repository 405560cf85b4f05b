"""staging → intermediate → marts: one dbt build for the whole project, its tests as asset checks.

One build for all models, because a dbt process costs seconds to start and DuckDB uses all cores for each model.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.metadata import row_count
from energy_platform.defs.warehouse.project import FastDbt, current_manifest
from energy_platform.defs.warehouse.translator import LayerTranslator
from energy_platform.settings import Settings, export_for_dbt

MANIFEST: dict[str, Any] = json.loads(current_manifest().read_text(encoding="utf-8"))


class DbtBuild(dg.Config):
    """Options of one dbt build."""

    full_refresh: bool = False
    """Build the incremental models anew: after a change of their SQL, or of what is loaded already."""


@dbt_assets(
    manifest=MANIFEST,
    name="dbt_models",
    dagster_dbt_translator=LayerTranslator(),
    pool="warehouse",
)
def dbt_models(
    context: dg.AssetExecutionContext,
    config: DbtBuild,
    dbt: FastDbt,
    settings: dg.ResourceParam[Settings],
    warehouse: dg.ResourceParam[Warehouse],
) -> Iterator[Any]:
    """Build and test the selected models; a failing test of severity error stops what is below it and fails the run."""
    export_for_dbt(settings)
    # Unit tests hold the SQL, not the data: the test suite runs them, not each build.
    command = ["build", "--exclude-resource-type", "unit_test", *(["--full-refresh"] if config.full_refresh else [])]
    # One folder for all runs (the pool lets one run at a time in): the parsed state in it spares the next run a full
    # parse, and nothing piles up.
    invocation = dbt.cli(command, context=context, target_path=settings.home_path / "dbt" / "target")
    yield from _with_row_counts(invocation.stream(), warehouse)


def _with_row_counts(events: Iterable[Any], warehouse: Warehouse) -> Iterator[Any]:
    """The events of a dbt build, tables with their number of rows.

    dagster-dbt's own ``fetch_row_counts`` would keep a read-only connection open in this process, and the next
    asset could not write. So the counts are one query, when dbt has ended and let go of the file.
    """
    seen: list[Any] = []
    failure: Exception | None = None
    try:
        seen.extend(events)
    except Exception as error:  # noqa: BLE001 - raised again below, after the events that came before it
        failure = error
    counts = _table_rows(warehouse, [table for event in seen if (table := _table_of(event))])
    for event in seen:
        table = _table_of(event)
        yield event.with_metadata({**event.metadata, **row_count(counts[table])}) if table else event
    if failure is not None:
        raise failure


def _table_of(event: Any) -> str | None:
    """``schema.name`` of the table that an event says was built; None for views, tests and anything else."""
    if not isinstance(event, dg.Output) or "unique_id" not in event.metadata:
        return None
    node = MANIFEST["nodes"][event.metadata["unique_id"].value]
    return f"{node['schema']}.{node['name']}" if node["config"]["materialized"] != "view" else None


def _table_rows(warehouse: Warehouse, tables: list[str]) -> dict[str, int]:
    if not tables:
        return {}
    counts = warehouse.read(
        " UNION ALL ".join(f"SELECT '{table}' AS name, count(*) AS n FROM {table}" for table in tables)
    )
    return dict(counts.iter_rows())
