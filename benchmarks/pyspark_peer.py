"""Holds the platform's data stages against the same stages in PySpark, in one run on one folder.

    make peers
    .venv/bin/python benchmarks/pyspark_peer.py FOLDER [--dedupe mask distinct] [--memory-limit 2GiB] [--spark-memory 8g]

Three sides one after the other: the platform through Dagster (`energy run`, of which the data stages count, dbt's 36
tests of the data among them), the same functions bare and without tests (bare_flow.py), and PySpark on local[2]
(spark_stages.py, which says how it is written and what it is spared: tests, too). Ends with an error unless all have
made the same tables: rows read and refused, days, readings, energy, features, three sums over features, the hourly
profile, and the days beyond three standard deviations.

Spark's start is not counted, nor that of our own processes. Where the machine is shared, read the CPU table.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from lcl_scale import environment, measure, run_bare
from measured import Measured, markdown, run_measured, say

HERE = Path(__file__).resolve().parent
PEER_PYTHON = HERE.parent / ".peers" / "bin" / "python"
# Our stages and Spark's by the name that the table gives them. The platform finds duplicates while it loads, Spark
# while it makes days, so only the two together can be compared strictly.
STAGES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "lake": (("landing", "lake"), ("lake",)),
    "marts": (("marts",), ("days", "other_marts")),
    "features": (("features",), ("features",)),
    "z-scores": (("z-scores",), ("anomalies",)),
}
EVERY = tuple(tuple(chain.from_iterable(stages[side] for stages in STAGES.values())) for side in (0, 1))
STAGES["all"] = (EVERY[0], EVERY[1])
STAGES["all, Spark without the four other marts"] = (EVERY[0], tuple(one for one in EVERY[1] if one != "other_marts"))
EXACT = ("rows_read", "rows_rejected", "days", "readings", "features", "anomalies")
# Spark adds plain doubles in any order, the platform whole millionths.
SUMS = ("energy_kwh", "lag_7_kwh", "std_28_kwh", "weekday_mean_1_kwh", "profile_kwh")
TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Side:
    """One of those compared."""

    name: str
    seconds: Mapping[str, float]
    cpu_seconds: Mapping[str, float]
    peak_bytes: int
    tests_seconds: float = 0.0


def run_spark(folder: Path, scratch: Path, dedupe: str, memory: str) -> tuple[dict[str, Any], Measured]:
    """spark_stages.py with the Python of the peers: what it printed, what it took."""
    say(f"PySpark, local[2], {memory}, duplicates by {dedupe}")
    command = [str(PEER_PYTHON), str(HERE / "spark_stages.py"), str(folder), str(scratch)]
    # Spark prefers these to its own settings.
    ours = {name: value for name, value in os.environ.items() if name not in {"SPARK_LOCAL_DIRS", "PYTHONPATH"}}
    run = run_measured([*command, "--dedupe", dedupe, "--memory", memory], ours)
    return json.loads(run.output.splitlines()[-1]), run


def differences(ours: Mapping[str, float], theirs: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Figures in which two sides differ."""
    wrong = {name: (ours[name], theirs[name]) for name in EXACT if ours[name] != theirs[name]}
    off = {
        name: (ours[name], theirs[name])
        for name in SUMS
        if abs(ours[name] - theirs[name]) > TOLERANCE * abs(ours[name])
    }
    return wrong | off


def total(seconds: Mapping[str, float], stages: Sequence[str]) -> float:
    """Seconds of some stages together."""
    return sum(seconds[stage] for stage in stages)


def ratio_table(dagster: Side, bare: Side, peers: Sequence[Side]) -> str:
    """Seconds by stage and how many times longer Spark takes."""
    header = ["wall s", dagster.name, bare.name]
    for peer in peers:
        header += [peer.name, "/ Dagster", "/ bare"]
    every, spark = STAGES["all"]
    lines = [(name, total(dagster.seconds, ours), ours, theirs) for name, (ours, theirs) in STAGES.items()]
    lines.append(("all, without tests", total(dagster.seconds, every) - dagster.tests_seconds, every, spark))
    rows: list[list[object]] = []
    for name, through, ours, theirs in lines:
        alone = total(bare.seconds, ours)
        row: list[object] = [name, through, alone]
        for peer in peers:
            taken = total(peer.seconds, theirs)
            row += [taken, f"{taken / through:.1f} ×", f"{taken / alone:.1f} ×"]
        rows.append(row)
    peaks: list[object] = ["peak MiB", *(round(side.peak_bytes / 2**20) for side in (dagster, bare))]
    for peer in peers:
        peaks += [round(peer.peak_bytes / 2**20), None, None]
    return markdown(header, [*rows, peaks])


def cpu_table(bare: Side, peers: Sequence[Side]) -> str:
    """CPU seconds by stage: the figure to read where others use the machine."""
    header = ["CPU s", bare.name]
    for peer in peers:
        header += [peer.name, "/ bare"]
    rows: list[list[object]] = []
    for name, (ours, theirs) in STAGES.items():
        alone = total(bare.cpu_seconds, ours)
        row: list[object] = [name, alone]
        for peer in peers:
            taken = total(peer.cpu_seconds, theirs)
            row += [taken, f"{taken / alone:.1f} ×"]
        rows.append(row)
    return markdown(header, rows)


def compare(folder: Path, dedupes: Sequence[str], memory_limit: str, spark_memory: str) -> str:
    """Run all sides and return the table; leaves with what differs when they did not make the same."""
    column = measure(folder, memory_limit, bare=False, increment=False)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="peer-") as scratch:
        say("the same stages without Dagster")
        settings = environment(Path(scratch) / "home", memory_limit)
        made, run = run_bare(folder, settings, "--until", "features", "--no-checks")
    bare = Side("bare, no tests", made["seconds"], made["cpu_seconds"], run.peak_bytes())
    # Days beyond three deviations are no stage of the product: the same statement, so the same seconds.
    through = {**column.stages, "z-scores": made["seconds"]["z-scores"]}
    dagster = Side("through Dagster", through, {}, column.data_peak_bytes, column.tests_seconds)
    peers = []
    for dedupe in dedupes:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="peer-") as scratch:
            found, run = run_spark(folder, Path(scratch), dedupe, spark_memory)
        if wrong := differences(made["results"], found["results"]):
            sys.exit(f"PySpark and the platform made different tables (platform, PySpark): {wrong}")
        name = f"PySpark {found['version']}, {dedupe}"
        peers.append(Side(name, found["seconds"], found["cpu_seconds"], run.peak_bytes()))
    figures = ", ".join(f"{name} {made['results'][name]:,.0f}" for name in (*EXACT, "energy_kwh"))
    return f"{ratio_table(dagster, bare, peers)}\n\n{cpu_table(bare, peers)}\n\nEqual on all sides: {figures}."


def main() -> None:
    """Compare on one folder and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dedupe", nargs="+", choices=("mask", "distinct"), default=["mask", "distinct"])
    parser.add_argument("--memory-limit", default="2GiB")
    parser.add_argument("--spark-memory", default="8g")
    options = parser.parse_args()
    if not PEER_PYTHON.exists():
        sys.exit(f"{PEER_PYTHON} is missing: run `make peers` (PySpark in an environment of its own)")
    if shutil.which("java") is None:
        sys.exit("PySpark needs Java 17 or newer, and there is no `java` on the PATH")
    print(compare(options.folder.resolve(), options.dedupe, options.memory_limit, options.spark_memory))


if __name__ == "__main__":
    main()
