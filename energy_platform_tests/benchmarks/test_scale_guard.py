"""Cost must stay linear in rows, and Dagster a small part of it: ratios of CPU seconds within one run, never seconds.

CPU seconds of this process and its children, because the machine is shared. A ratio that is too large is measured a
second time and the smaller cost of each side counts: what is slow twice is slow. The full scales are run by hand with
benchmarks/lcl_scale.py.
"""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import dagster as dg
import pytest

from energy_platform.definitions import defs
from energy_platform.defs.automation import QUIET
from energy_platform.flow import land
from energy_platform.instance import open_instance
from energy_platform_tests.benchmarks.lcl_folder import write_lcl_folder
from energy_platform_tests.conftest import using_home

METERS, DAYS = 20, 400
ROWS_FACTOR = 1.4
# What a busy machine adds by chance: CPU seconds of one and the same build of the marts were seen to differ by a fifth.
NOISE_SHARE, NOISE_SECONDS = 0.25, 0.2
DAGSTER_FACTOR, DAGSTER_SECONDS = 1.25, 10.0
STAGES = ("lake", "marts", "features")

Costs = Mapping[str, float]


class Bench:
    """CPU seconds by stage of one meter's month ("fixed": what no row pays for), of some rows and of twice as many.

    Each is the smallest seen; ``again`` measures once more.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.homes = folder, 0
        self.known: dict[tuple[str, bool], Costs] = {}
        write_lcl_folder(folder / "fixed", meters=1, days=30)
        rows = write_lcl_folder(folder / "once", meters=METERS, days=DAYS)
        write_lcl_folder(folder / "twice", meters=METERS, days=DAYS, first_meter=2 + METERS)
        for file in (folder / "once").iterdir():
            os.link(file, folder / "twice" / file.name)
        self.rows = {"once": rows, "twice": 2 * rows}
        self._run("fixed", checks=True)  # imports

    def bare(self, size: str, *, checks: bool, again: bool) -> Costs:
        """The functions that the assets call, with or without the checks of lake and marts."""
        best = self.known.get((size, checks))
        if best is None or again:
            found = self._run(size, checks=checks)
            best = {stage: min(cpu, (best or found)[stage]) for stage, cpu in found.items()}
            self.known[size, checks] = best
        return best

    def dagster(self, size: str) -> float:
        """CPU seconds of landing and of the job ``intake`` on the same rows."""
        from bare_flow import cpu_seconds

        with using_home(self._home()) as settings, open_instance(settings) as instance:
            job, before = self._intake, cpu_seconds()
            land(settings, source="lcl", path=self.folder / size)
            assert job.execute_in_process(run_config=QUIET, instance=instance).success
            return cpu_seconds() - before

    @cached_property
    def _intake(self) -> dg.JobDefinition:
        return defs().resolve_job_def("intake")

    def _run(self, size: str, *, checks: bool) -> Costs:
        from bare_flow import BareFlow

        with using_home(self._home()) as settings:
            flow = BareFlow(settings)
            flow.run(self.folder / size, checks=checks, until_features=True)
            return {stage: cpu for stage, cpu in flow.costs.cpu.items() if stage != "import Dagster"}

    def _home(self) -> Path:
        self.homes += 1
        return self.folder / f"home-{self.homes}"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, benchmarks_on_the_path: None) -> Bench:
    return Bench(tmp_path_factory.mktemp("scale"))


def too_dear(fixed: Costs, once: Costs, twice: Costs) -> dict[str, tuple[float, float]]:
    """Stages whose rows cost more than 1.4 times as much when there are twice as many: (CPU seconds, allowed)."""
    allowed = {
        stage: (1 + NOISE_SHARE) * fixed[stage] + 2 * ROWS_FACTOR * max(0.0, once[stage] - fixed[stage]) + NOISE_SECONDS
        for stage in STAGES
    }
    return {stage: (twice[stage], allowed[stage]) for stage in STAGES if twice[stage] > allowed[stage]}


@pytest.mark.parametrize(("power", "is_too_dear"), [(1.0, False), (1.3, False), (2.0, True), (3.0, True)])
def test_the_guard_lets_linear_cost_pass_and_not_quadratic(power: float, is_too_dear: bool) -> None:
    fixed, once, twice = (dict.fromkeys(STAGES, 2.0 + 1.5 * rows**power) for rows in (0, 1, 2))
    assert bool(too_dear(fixed, once, twice)) == is_too_dear


@pytest.mark.slow
def test_twice_the_rows_cost_at_most_1_4_times_as_much_a_row(bench: Bench) -> None:
    for again in (False, True):
        costs = [bench.bare(size, checks=False, again=again) for size in ("fixed", "once", "twice")]
        found = too_dear(*costs)
        if not found:
            return
    pytest.fail(f"CPU seconds of {bench.rows['twice']:,} rows, and what {bench.rows['once']:,} allow: {found}")


@pytest.mark.slow
def test_dagster_costs_at_most_a_quarter_and_ten_seconds_over_the_bare_functions(bench: Bench) -> None:
    through = float("inf")
    for again in (False, True):
        bare = sum(bench.bare("once", checks=True, again=again).values())
        through = min(through, bench.dagster("once"))
        if through <= DAGSTER_FACTOR * bare + DAGSTER_SECONDS:
            return
    pytest.fail(f"intake through Dagster: {through:.1f} CPU seconds; the same functions bare: {bare:.1f}")
