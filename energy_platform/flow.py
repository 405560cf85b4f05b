"""The whole flow in one process: land, then run the four jobs through Dagster.

What the scheduler and its sensors do over hours, ``energy run`` does at once and in the same
jobs, so that every step of it is found in the Dagster UI. Belongs here: the order of runs, the
progress of them and what they took. Does not belong here: what a step does (defs/).
"""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg

from energy_platform.adapters.declarations import load_declarations
from energy_platform.adapters.expectations import started_early
from energy_platform.adapters.lingering import LINGERING
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.definitions import defs
from energy_platform.defs.automation import QUIET
from energy_platform.defs.failures import step_error_text
from energy_platform.defs.plan import FLOW_TAG, due_plan, range_tags
from energy_platform.defs.resources import open_landing
from energy_platform.domain.errors import EnergyError, NothingPublished
from energy_platform.domain.flow_plan import FlowPlan
from energy_platform.instance import open_instance
from energy_platform.serving.published import open_published
from energy_platform.settings import Settings


class RunFailed(EnergyError):
    """A step of a run failed; the message is the step's own."""


@dataclass(frozen=True, slots=True)
class FlowRun:
    """What one flow did.

    Args:
        flow_id: tag value that its Dagster runs carry.
        landed: files that landed now.
        runs: Dagster runs made; 0 when nothing was new.
        seconds: wall seconds of steps by stage, in the order they ran.
    """

    flow_id: str
    landed: int
    runs: int
    seconds: Mapping[str, float] = field(default_factory=dict)


Notify = Callable[[str, int, int], None]
"""Told (what runs now, steps done, steps in this run) as a flow goes on."""


def run_flow(
    settings: Settings, *, source: str | None = None, path: Path | None = None, notify: Notify | None = None
) -> FlowRun:
    """Land new files and bring everything up to date with them.

    Args:
        settings: where the state is.
        source: declaration to land ``path`` by; without it the shipped sample homes land.
        path: file or folder; without it the declaration's own path.
        notify: told of progress.

    Raises:
        EnergyError: an input cannot be used, or a step failed.
    """
    landed = land(settings, source=source, path=path)
    if not _is_behind(settings):
        return FlowRun("", landed, 0)
    with open_instance(settings) as instance, LINGERING.through_runs():
        with started_early():
            runner = _Runner(instance, notify or (lambda *_: None))
            runner.run("intake")
        plan = due_plan(instance, open_published(settings), weeks=settings.lookback_weeks)
        runner.run_plan(plan)
        runner.run("publish")
        return FlowRun(runner.flow_id, landed, runner.runs, runner.seconds)


def backtest(settings: Settings, *, cutoffs: tuple[date, ...], notify: Notify | None = None) -> FlowRun:
    """Train and issue at past weekly cutoffs, then score: a rolling-origin backtest."""
    with open_instance(settings) as instance, LINGERING.through_runs():
        runner = _Runner(instance, notify or (lambda *_: None))
        runner.run_plan(FlowPlan(weekly_cutoffs=cutoffs, daily_cutoffs=cutoffs))
        runner.run("publish")
        return FlowRun(runner.flow_id, 0, runner.runs, runner.seconds)


def land(settings: Settings, *, source: str | None, path: Path | None) -> int:
    """Copy files into the landing zone; the same bytes land once. Returns how many are new."""
    declarations = load_declarations(settings.sources)
    landing = open_landing(settings)
    now = datetime.now(UTC).replace(tzinfo=None)
    if source is None:
        chosen = [declaration for declaration in declarations.values() if declaration.sample]
    else:
        chosen = [declarations[source]]
    landed = [landing.land_source(declaration, path=path, landed_at=now) for declaration in chosen]
    return sum(outcome.new_files for outcome in landed)


def _is_behind(settings: Settings) -> bool:
    """Whether landed files wait, or loaded ones have not reached the published tables."""
    warehouse = Warehouse(settings.warehouse_path)
    if not warehouse.has_table("lake.files"):
        return True
    landing = open_landing(settings)
    ledger = warehouse.read("SELECT uri, content_sha256, status FROM lake.files")
    if landing.pending(ledger):
        return True
    newest = warehouse.read("SELECT max(file_id) AS newest FROM lake.files").item()
    try:
        return bool(open_published(settings).current().facts["newest_file_id"] != newest)
    except NothingPublished:
        return True


class _Runner:
    """Runs jobs one after the other in this process and adds up what their steps took."""

    def __init__(self, instance: dg.DagsterInstance, notify: Notify) -> None:
        self.instance, self.notify = instance, notify
        self.flow_id = uuid.uuid4().hex[:12]
        self.runs = 0
        self.seconds: dict[str, float] = {}
        self.definitions = defs()

    def run_plan(self, plan: FlowPlan) -> None:
        """Train, then forecast, each range of cutoffs as one run."""
        for first, last in plan.weekly_runs:
            self.run("train", first, last)
        for first, last in plan.daily_runs:
            self.run("forecast", first, last)

    def run(self, job_name: str, first: date | None = None, last: date | None = None) -> None:
        """One Dagster run of a job, of a range of partitions when there are dates."""
        job = self.definitions.resolve_job_def(job_name)
        label = job_name if first is None else f"{job_name} {first}" + (f" … {last}" if last != first else "")
        run_id, total, done = str(uuid.uuid4()), len(job.nodes), 0

        def on_event(entry: dg.EventLogEntry) -> None:
            nonlocal done
            if entry.dagster_event and entry.dagster_event.is_step_success:
                done += 1
                self.notify(label, done, total)

        self.notify(label, 0, total)
        self.instance.add_event_listener(run_id, on_event)
        tags = {FLOW_TAG: self.flow_id} | (range_tags(first, last) if first and last else {})
        result = job.execute_in_process(
            run_config=QUIET, instance=self.instance, run_id=run_id, tags=tags, raise_on_error=False
        )
        self.runs += 1
        for stage, seconds in _stage_seconds(result.all_events):
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        if not result.success:
            raise RunFailed(_failure_text(result, label))


def _stage_seconds(events: Sequence[dg.DagsterEvent]) -> Iterator[tuple[str, float]]:
    """Seconds of each finished step, by the stage of the assets it made (dbt's three layers count as marts)."""
    stages: dict[str, set[str]] = {}
    for event in events:
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION and event.step_key and event.asset_key:
            stages.setdefault(event.step_key, set()).add(event.asset_key.path[0])
    for event in events:
        if event.is_step_success and event.step_key is not None:
            yield stage_of(stages.get(event.step_key, set())), event.step_success_data.duration_ms / 1000


def stage_of(prefixes: set[str]) -> str:
    """The stage of a step that made assets with these first parts of their keys.

    Example:
        >>> stage_of({"staging", "intermediate", "marts"}), stage_of(set())
        ('marts', 'checks')
    """
    if not prefixes:
        return "checks"
    return "marts" if "marts" in prefixes else min(prefixes)


def _failure_text(result: dg.ExecuteInProcessResult, label: str) -> str:
    """What failed, in the step's own words."""
    for event in result.all_events:
        if event.is_step_failure:
            return f"{label}: step {event.step_key} failed: {step_error_text(event)}"
    return f"{label}: the run failed; open it in the Dagster UI (`energy ui`)"
