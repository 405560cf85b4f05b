"""The whole flow without Dagster: the bodies of the assets and checks called as plain functions, one after the other.

    ENERGY_HOME=… .venv/bin/python benchmarks/bare_flow.py FOLDER [--until features] [--no-checks]

What lcl_scale.py and pyspark_peer.py hold Dagster's runs against. Each body gets its doors (warehouse, registry, …) and
nothing of Dagster: no run, no event, no instance; dbt is built through its Python entry point in this process. Bodies
are found in the four jobs, in the order Dagster would take them, so this never lags behind them. Works on a home of its
own. Prints one JSON object: wall and CPU seconds by stage, what importing Dagster and the definitions took (no part of
bare), and figures of the result to compare.
"""

import argparse
import inspect
import json
import logging
import resource
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any, get_type_hints

from energy_platform.adapters import declarations, lake_loader, landing, published, registry  # noqa: F401 - not Dagster's time
from energy_platform.adapters.dbt_command import run_dbt
from energy_platform.adapters.warehouse import LINGER_SECONDS, Warehouse
from energy_platform.defs.warehouse.project import PARSED, PROJECT_DIR, current_manifest
from energy_platform.domain.flow_plan import FlowPlan, SourceClock, plan_flow
from energy_platform.settings import Settings, export_for_dbt, get_settings, quiet_telemetry

DBT_STEP = "dbt_models"
CLOCK_SQL = "SELECT newest_complete_day, active_meters FROM features.source_clocks WHERE source = ?"
# The stage that pyspark_peer.py adds on both sides: days beyond three standard deviations of their meter.
Z_SCORES_SQL = """
WITH spread AS (
    SELECT meter_id, channel, avg(energy_kwh) AS mean_kwh, stddev_samp(energy_kwh) AS std_kwh
    FROM marts.meter_days GROUP BY ALL)
SELECT meter_id, channel, local_date, energy_kwh, (energy_kwh - mean_kwh) / std_kwh AS score
FROM marts.meter_days JOIN spread USING (meter_id, channel) WHERE abs(energy_kwh - mean_kwh) > 3 * std_kwh"""
RESULTS_SQL = {
    "rows_read": "SELECT sum(rows_read) FROM lake.files",
    "rows_rejected": "SELECT sum(rows_rejected) FROM lake.files",
    "days": "SELECT count(*) FROM marts.meter_days",
    "readings": "SELECT sum(readings) FROM marts.meter_days",
    "energy_kwh": "SELECT sum(energy_kwh) FROM marts.meter_days",
    "profile_kwh": "SELECT sum(mean_kwh) FROM marts.meter_hour_profiles",
    "features": "SELECT count(*) FROM features.meter_days",
    "lag_7_kwh": "SELECT sum(lag_7_kwh::DOUBLE) FROM features.meter_days",
    "std_28_kwh": "SELECT sum(std_28_kwh::DOUBLE) FROM features.meter_days",
    "weekday_mean_1_kwh": "SELECT sum(weekday_mean_1_kwh::DOUBLE) FROM features.meter_days",
    "forecasts": "SELECT count(*) FROM forecasts.meter_days",
    "anomalies": "SELECT count(*) FROM anomalies.scores",
}


@dataclass(slots=True)
class Costs:
    """Wall and CPU seconds by stage."""

    wall: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)

    def of(self, stage: str, work: Callable[[], Any]) -> Any:
        """Do the work and add what it took."""
        wall, cpu = time.perf_counter(), cpu_seconds()
        made = work()
        self.wall[stage] = self.wall.get(stage, 0.0) + time.perf_counter() - wall
        self.cpu[stage] = self.cpu.get(stage, 0.0) + cpu_seconds() - cpu
        return made


@dataclass(frozen=True, slots=True)
class BareContext:
    """What a body asks of Dagster's context: the partitions to work on, and a log."""

    partition_keys: Sequence[str]
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("bare"))

    @property
    def partition_key(self) -> str:
        """The only partition."""
        (key,) = self.partition_keys
        return key


def cpu_seconds() -> float:
    """CPU seconds of this process and of the children it has waited for."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in both)


class BareFlow:
    """The steps on one home, for one source that is new to it."""

    def __init__(self, settings: Settings, source: str = "lcl") -> None:
        self.settings, self.source, self.costs = settings, source, Costs()
        self.warehouse = Warehouse(
            settings.warehouse_path,
            memory_limit=settings.memory_limit,
            threads=settings.worker_threads,
            linger_seconds=LINGER_SECONDS,
        )
        self._doors: dict[str, Any] = {"warehouse": self.warehouse}
        self.definitions = self.costs.of("import Dagster", lambda: import_module("energy_platform.definitions").defs())

    def run(self, folder: Path, *, checks: bool = True, until_features: bool = False) -> None:
        """All four jobs; without ``checks`` neither asset checks nor tests of dbt; ``until_features`` only intake."""
        now = datetime.now(UTC).replace(tzinfo=None)
        zone, declaration = self._door("landing"), self._door("declarations")[self.source]
        self.costs.of("landing", lambda: zone.land_source(declaration, path=folder, landed_at=now))
        self._run_job("intake", checks=checks)
        if until_features:
            return
        plan = self._plan()
        for job, cutoffs in (("train", plan.weekly_cutoffs), ("forecast", plan.daily_cutoffs)):
            self._run_job(job, cutoffs, checks=checks)
        self._run_job("publish", checks=checks)

    def _run_job(self, name: str, cutoffs: Sequence[date] = (), *, checks: bool) -> None:
        """Every step of a job, in an order that Dagster could take."""
        context = BareContext([cutoff.isoformat() for cutoff in cutoffs])
        job = self.definitions.resolve_job_def(name)
        for node in job.graph.nodes_in_topological_order:
            stage = self._stage(job, node.name)
            if stage == "checks" and not checks:
                continue
            if node.name == DBT_STEP:
                self._build_marts(tests=checks)
            else:
                self.costs.of(stage, partial(self._call, node.definition.compute_fn.decorated_fn, context))

    @staticmethod
    def _stage(job: Any, step: str) -> str:
        from energy_platform.flow import stage_of

        layer = job.asset_layer
        assets = (key for key in layer.selected_asset_keys if layer.get_op_output_handle(key).node_handle.name == step)
        return stage_of({key.path[0] for key in assets})

    def _call(self, body: Callable[..., Any], context: BareContext) -> None:
        """One body, with its doors by the names of its parameters, and the options that it has when nobody sets any."""
        given: dict[str, Any] = {"context": context}
        wanted = inspect.signature(body).parameters
        if "config" in wanted:
            given["config"] = get_type_hints(body)["config"]()
        made = body(**{name: given[name] if name in given else self._door(name) for name in wanted})
        if isinstance(made, Iterator):
            for _ in made:
                pass

    def _door(self, name: str) -> Any:
        from energy_platform.defs.resources import defs

        if name not in self._doors:
            self._doors[name] = (defs.resources or {})[name].resource_fn(None)
        return self._doors[name]

    def _build_marts(self, *, tests: bool) -> None:
        command = ["build", "--exclude-resource-type", "unit_test"] if tests else ["run"]
        self.costs.of("marts", partial(self._dbt, command))

    def _dbt(self, command: Sequence[str]) -> None:
        current_manifest()
        export_for_dbt(self.settings)
        target = self.settings.home_path / "dbt" / "target"
        with self.warehouse.connect():
            outcome = run_dbt(command, project_dir=PROJECT_DIR, parsed=PARSED, target_dir=target)
        if outcome.errors:
            raise SystemExit("\n".join(outcome.errors))

    def _plan(self) -> FlowPlan:
        """The cutoffs that are due: the source is new, and looks back as far as the settings say."""
        clock = SourceClock(self.source, *self.warehouse.read(CLOCK_SQL, [self.source]).row(0))
        weeks, today = self.settings.lookback_weeks, datetime.now(UTC).date()
        return plan_flow([clock], trained=frozenset(), weeks=weeks, today=today)

    def score_days(self) -> float:
        """How many days lie beyond three standard deviations of their meter; a stage of its own."""
        return float(self.costs.of("z-scores", lambda: self.warehouse.read(Z_SCORES_SQL)).height)


def results(warehouse: Warehouse) -> dict[str, float]:
    """Row counts and sums of a home's tables, whoever made them; tables that are not there are left out."""
    found = {}
    for name, sql in RESULTS_SQL.items():
        if warehouse.has_table(sql.rsplit(" ", maxsplit=1)[-1]):
            found[name] = float(warehouse.read(sql).item())
    return found


def main() -> None:
    """Run the flow on the home of the environment and print what it cost."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--source", default="lcl")
    parser.add_argument("--until", choices=("features",))
    parser.add_argument("--no-checks", action="store_true", help="neither asset checks nor dbt's tests of the data")
    options = parser.parse_args()
    quiet_telemetry()
    warnings.simplefilter("ignore")
    with redirect_stdout(StringIO()):
        flow = BareFlow(get_settings(), options.source)
        flow.run(options.folder, checks=not options.no_checks, until_features=options.until == "features")
        made = results(flow.warehouse)
        if options.until == "features":
            made["anomalies"] = flow.score_days()
    print(json.dumps({"seconds": flow.costs.wall, "cpu_seconds": flow.costs.cpu, "results": made}))


if __name__ == "__main__":
    main()
