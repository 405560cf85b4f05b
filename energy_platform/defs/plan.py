"""Asks Dagster and the published tables what is there, and plans the cutoffs that are due.

Used alike by the command line (flow.py) and by the sensor that continues a scheduled flow, so
that both run the same partitions. It never opens the warehouse: a run may be writing to it.
"""

import json
from collections import defaultdict
from datetime import UTC, date, datetime

import dagster as dg

from energy_platform.adapters.published import Published
from energy_platform.domain.columns import DECISIONS, FORECASTS, SOURCE_CLOCKS
from energy_platform.domain.errors import NothingPublished
from energy_platform.domain.flow_plan import FlowPlan, clocks_from, plan_flow

CLOCKS_KEY = dg.AssetKey([SOURCE_CLOCKS.schema, SOURCE_CLOCKS.name])
DECISIONS_KEY = dg.AssetKey([DECISIONS.schema, DECISIONS.name])
# The runs of one flow carry this tag: the id that the flow was given, or that of the intake it continues.
FLOW_TAG = "energy/flow"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def due_plan(instance: dg.DagsterInstance, published: Published, *, weeks: int) -> FlowPlan:
    """The cutoffs to train and issue for what the newest intake changed.

    Args:
        instance: knows the newest clocks and which cutoffs have been trained.
        published: knows what readers have seen so far.
        weeks: how many weeks before its own clock a source new to the platform is forecast for.
    """
    event = instance.get_latest_materialization_event(CLOCKS_KEY)
    if event is None or event.asset_materialization is None:
        return FlowPlan((), ())
    clocks: list[dict[str, str]] = json.loads(str(event.asset_materialization.metadata["clocks"].value))
    newest = {
        row["source"]: (date.fromisoformat(row["newest_complete_day"]), int(row["active_meters"])) for row in clocks
    }
    files = {row["source"]: int(row["newest_file_id"]) for row in clocks}
    seen, issued = _published_state(published)
    changed = frozenset(source for source, file_id in files.items() if seen.get(source) != file_id)
    trained = frozenset(date.fromisoformat(key) for key in instance.get_materialized_partitions(DECISIONS_KEY))
    return plan_flow(
        clocks_from(newest, issued=issued, changed=changed),
        trained=trained,
        weeks=weeks,
        today=datetime.now(UTC).date(),
    )


def _published_state(published: Published) -> tuple[dict[str, int], dict[str, frozenset[date]]]:
    """Newest file and issued cutoffs by source, as the current generation has them."""
    try:
        generation = published.current()
    except NothingPublished:
        return {}, {}
    with generation.connect() as connection:
        seen = dict(connection.execute(f"SELECT source, newest_file_id FROM {SOURCE_CLOCKS.full_name}").fetchall())
        rows = connection.execute(f"SELECT DISTINCT source, cutoff_date FROM {FORECASTS.full_name}").fetchall()
    issued: dict[str, set[date]] = defaultdict(set)
    for source, cutoff in rows:
        issued[source].add(cutoff)
    return seen, {source: frozenset(days) for source, days in issued.items()}


def range_tags(first: date, last: date) -> dict[str, str]:
    """The run tags that make one run of a range of partitions."""
    return {RANGE_START: first.isoformat(), RANGE_END: last.isoformat()}
