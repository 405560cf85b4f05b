"""staging → intermediate → marts: one dbt build for the whole project, its tests as asset checks.

One build for all models, because each dbt command costs a second to start and DuckDB uses all cores for each model.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets
from dagster_dbt.asset_utils import get_subset_selection_for_context
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

from energy_platform.adapters.dbt_command import run_dbt
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.metadata import row_count
from energy_platform.defs.warehouse.project import PARSED, PROJECT_DIR, current_manifest
from energy_platform.defs.warehouse.translator import LayerTranslator
from energy_platform.settings import Settings, export_for_dbt

MANIFEST: dict[str, Any] = json.loads(current_manifest().read_text(encoding="utf-8"))
TRANSLATOR = LayerTranslator()


class DbtBuild(dg.Config):
    """Options of one dbt build."""

    full_refresh: bool = False
    """Build the incremental models anew: after a change of their SQL, or of what is loaded already."""
    check_all: bool = False
    """Test every row, not only those of days that are new since all tests last passed."""


@dbt_assets(
    manifest=MANIFEST,
    name="dbt_models",
    dagster_dbt_translator=TRANSLATOR,
    pool="warehouse",
)
def dbt_models(
    context: dg.AssetExecutionContext,
    config: DbtBuild,
    settings: dg.ResourceParam[Settings],
    warehouse: dg.ResourceParam[Warehouse],
) -> Iterator[Any]:
    """Build and test the selected models; a failing test of severity error stops what is below it and fails the run."""
    export_for_dbt(settings)
    # Unit tests hold the SQL, not the data: the test suite runs them, not each build.
    command = ["build", "--exclude-resource-type", "unit_test", *_selection(context)]
    command += ["--full-refresh"] if config.full_refresh else []
    command += ["--vars", json.dumps({"check_all": True})] if config.check_all else []
    # One folder for all runs: the pool lets one at a time in, and nothing piles up.
    target_dir = settings.home_path / "dbt" / "target"
    # profiles.yml opens the file by the same configuration. Held here meanwhile, it is not closed when dbt is done and opened
    # again for what follows: 0.5 s at 168 million readings.
    with warehouse.connect():
        outcome = run_dbt(command, project_dir=PROJECT_DIR, parsed=PARSED, target_dir=target_dir)
    yield from _with_row_counts(_dagster_events(context, outcome.results), warehouse)
    if outcome.errors:
        raise dg.Failure("\n".join(["dbt build failed:", *outcome.errors]))


def _selection(context: dg.AssetExecutionContext) -> list[str]:
    """The models and tests that this run is to make, in the words of dbt."""
    selection, indirect = get_subset_selection_for_context(
        context=context,
        manifest=MANIFEST,
        select=None,
        exclude=None,
        selector=None,
        dagster_dbt_translator=TRANSLATOR,
        current_dbt_indirect_selection_env=None,
    )
    return [*selection, *(["--indirect-selection", indirect] if indirect else [])]


def _dagster_events(context: dg.AssetExecutionContext, results: Sequence[dict[str, Any]]) -> list[Any]:
    """A materialization or check for each result that dbt told of."""
    messages = [DbtCoreCliEventMessage(raw_event=result, event_history_metadata={}) for result in results]
    return [
        event
        for message in messages
        for event in message.to_default_asset_events(MANIFEST, dagster_dbt_translator=TRANSLATOR, context=context)
    ]


def _with_row_counts(events: Sequence[Any], warehouse: Warehouse) -> Iterator[Any]:
    """The events of a dbt build, tables with their number of rows: one query for all."""
    counts = _table_rows(warehouse, [table for event in events if (table := _table_of(event))])
    for event in events:
        table = _table_of(event)
        yield event.with_metadata({**event.metadata, **row_count(counts[table])}) if table else event


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
