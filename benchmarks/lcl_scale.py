"""Takes large folders of Low Carbon London files through the whole flow: seconds by stage, rows per second, peak memory.

    .venv/bin/python benchmarks/lcl_scale.py FOLDER [FOLDER …] [--memory-limit 2GiB 1GiB] [--bare] [--increment]

Give folders of growing size to see whether cost is linear in rows, several limits to see what memory costs. Files are
hard-linked into a new home beside the folder (same file system), one cutoff is trained and issued, the home is removed
again; beside the data itself it takes about as much disk as the last line of the table says.

--bare       also runs the functions that the assets call without Dagster, and compares.
--increment  then lands the next days of all meters: four in one process that stays (a warm Dagster; the third is
             a Monday's where training falls due), one by `energy run`, a process from start to end.

"typed scan" is DuckDB alone reading the stamps and values of the same files just before, no row kept: the floor of this
machine in this hour. Wall seconds are of whole processes. Memory is that of the process tree, sampled every 0.2 s; "landing to features" is
the peak while those steps ran.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
from bare_flow import results
from measured import Measured, folder_bytes, markdown, run_measured, say
from next_days import write_next_days

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.settings import Settings

ENERGY = str(Path(sys.executable).parent / "energy")
HERE = Path(__file__).resolve().parent
DATA_STAGES = ("landing", "lake", "marts", "features")
STAGES = (*DATA_STAGES, "checks", "models", "forecasts", "anomalies", "segments", "published", "reports")
INCREMENT_STAGES = (*DATA_STAGES, "models", "forecasts")
JOBS_TO_FORECASTS = ("before the jobs", "intake", "train", "forecast")
WARM_DAYS = 4
# What orchestration may cost: so many times the bare functions, and so many seconds.
DAGSTER_FACTOR, DAGSTER_SECONDS = 1.25, 10.0


@dataclass(slots=True)
class Column:
    """Everything measured of one folder at one memory limit."""

    name: str
    memory_limit: str
    rows: int
    stages: Mapping[str, float]
    run: Measured
    data_peak_bytes: int
    home_bytes: int
    results: Mapping[str, float]
    floor: tuple[float, float] | None = None
    tests_seconds: float = 0.0
    bare: Mapping[str, Any] = field(default_factory=dict)
    bare_run: Measured | None = None
    days: Sequence[Mapping[str, Any]] = ()

    @property
    def data_seconds(self) -> float:
        """Landing to features, as Dagster timed the steps."""
        return sum(self.stages.get(stage, 0.0) for stage in DATA_STAGES)


def environment(home: Path, memory_limit: str) -> dict[str, str]:
    """The settings of one measured home."""
    chosen = {
        "ENERGY_HOME": str(home),
        "ENERGY_LINK_FILES": "true",
        "ENERGY_LOOKBACK_WEEKS": "0",
        "ENERGY_MEMORY_LIMIT": memory_limit,
    }
    return {**os.environ, **chosen}


def typed_scan(folder: Path, memory_limit: str) -> tuple[float, float]:
    """Wall and CPU seconds of DuckDB reading stamps and values of a folder, to a count and a sum."""
    columns = {
        "meter": "VARCHAR",
        "tariff": "VARCHAR",
        "start": "TIMESTAMP",
        "kwh": "DOUBLE",
        "acorn": "VARCHAR",
        "grouped": "VARCHAR",
    }
    sql = """SELECT count(start), sum(kwh) FROM read_csv(?, header = true, auto_detect = false, delim = ',', quote = '',
                 escape = '', nullstr = 'Null', store_rejects = true, columns = {})"""
    wall, cpu = time.perf_counter(), time.process_time()
    with duckdb.connect(config={"memory_limit": memory_limit}) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(sql.replace("{}", str(columns)), [str(folder / "*.csv")]).fetchall()
    return time.perf_counter() - wall, time.process_time() - cpu


def energy_run(path: Path, settings: Mapping[str, str]) -> Measured:
    """`energy run` of one folder or file."""
    return run_measured([ENERGY, "run", "--quiet", "--source", "lcl", "--path", str(path)], settings)


def last_run(settings: Mapping[str, str]) -> dict[str, Any]:
    """What `energy status --json` says of the last flow and of the files."""
    status = json.loads(run_measured([ENERGY, "status", "--json"], settings).output)
    return {"rows": status["sources"]["lcl"]["rows_read"], **status["last_run"]}


def measure(folder: Path, memory_limit: str, *, bare: bool, increment: bool) -> Column:
    """The figures of one folder."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="lcl-scale-") as scratch:
        home = Path(scratch) / "home"
        settings = environment(home, memory_limit)
        floor = typed_scan(folder, memory_limit)
        say(f"{folder.name}, {memory_limit}: energy run")
        run = energy_run(folder, settings)
        said = last_run(settings)
        warehouse = Warehouse(home / "warehouse.duckdb", memory_limit=memory_limit)
        column = Column(
            folder.name,
            memory_limit,
            said["rows"],
            said["seconds_by_stage"],
            run,
            run.peak_bytes(list(step_windows(home, DATA_STAGES))),
            folder_bytes(home),
            results(warehouse),
            floor,
            tests_seconds(home),
        )
        say(f"{column.rows:,} rows: landing to features {column.data_seconds:.1f} s, in all {run.wall_seconds:.1f} s")
        if increment:
            column.days = increments(warehouse, Path(scratch) / "days", settings)
    if bare:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="lcl-scale-") as scratch:
            say(f"{folder.name}, {memory_limit}: the same without Dagster")
            column.bare, column.bare_run = run_bare(folder, environment(Path(scratch) / "home", memory_limit))
        differ = {
            name: (value, column.results.get(name))
            for name, value in column.bare["results"].items()
            if abs(value - column.results.get(name, 0.0)) > 1e-6 * abs(value)
        }
        say(f"bare and Dagster made different tables: {differ}" if differ else "bare and Dagster made the same tables")
    return column


def run_bare(folder: Path, settings: Mapping[str, str], *options: str) -> tuple[dict[str, Any], Measured]:
    """bare_flow.py as a process: what it printed, what it took."""
    run = run_measured([sys.executable, str(HERE / "bare_flow.py"), str(folder), *options], settings)
    return json.loads(run.output), run


def step_windows(home: Path, stages: Sequence[str]) -> Iterator[tuple[float, float]]:
    """When steps of these stages ran, by Dagster's records of a home."""
    import dagster as dg

    from energy_platform.flow import stage_of
    from energy_platform.instance import open_instance

    with open_instance(Settings(home=home)) as instance:
        for record in instance.get_run_records():
            made: dict[str, set[str]] = {}
            run_id = record.dagster_run.run_id
            for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
                event = entry.dagster_event
                if event and event.asset_key and event.step_key:
                    made.setdefault(event.step_key, set()).add(event.asset_key.path[0])
            for step in instance.get_run_step_stats(run_id):
                if step.start_time and step.end_time and stage_of(made.get(step.step_key, set())) in stages:
                    yield step.start_time, step.end_time


def tests_seconds(home: Path) -> float:
    """What dbt's tests of the data took, by Dagster's records of a home: a part of the marts."""
    import dagster as dg

    from energy_platform.instance import open_instance

    with open_instance(Settings(home=home)) as instance:
        made = [
            entry.dagster_event.asset_check_evaluation_data.metadata
            for record in instance.get_run_records()
            for entry in instance.all_logs(
                record.dagster_run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
            )
            if entry.dagster_event
        ]
    return sum(float(told["Execution Duration"].value) for told in made if "Execution Duration" in told)


def increments(warehouse: Warehouse, folder: Path, settings: Mapping[str, str]) -> list[dict[str, Any]]:
    """The next days, each landed and taken to the end of the flow."""
    *warm, last = write_next_days(warehouse, folder, days=WARM_DAYS + 1)
    say(f"increment: {WARM_DAYS} days in one process")
    process = run_measured([sys.executable, str(HERE / "warm_increment.py"), *map(str, warm)], settings)
    days = json.loads(process.output)
    for day, name in zip(days, ["first in its process", *["warm"] * (WARM_DAYS - 1)], strict=True):
        day["name"] = name + (", trains" if "train" in day["seconds_by_job"] else "")
    say("increment: one day by `energy run`")
    whole = energy_run(last, settings)
    stages = last_run(settings)["seconds_by_stage"]
    trains = ", trains" if "models" in stages else ""
    final = {
        "name": f"`energy run`{trains}",
        "file": last.name,
        "wall_seconds": whole.wall_seconds,
        "cpu_seconds": whole.cpu_seconds,
        "seconds_by_stage": stages,
    }
    return [{**day, "rows": count_rows(file)} for day, file in zip([*days, final], [*warm, last], strict=True)]


def count_rows(file: Path) -> int:
    """Lines of a file, its header not counted."""
    with file.open("rb") as lines:
        return sum(1 for _ in lines) - 1


def scale_table(columns: Sequence[Column]) -> str:
    """Seconds by stage, rates and peaks, a column for each folder and limit."""
    mib = 2.0**20
    rows: list[list[object]] = [["rows", *(column.rows for column in columns)]]
    rows += [[stage, *(column.stages.get(stage) for column in columns)] for stage in STAGES]
    rows += [
        ["typed scan, wall", *(column.floor and column.floor[0] for column in columns)],
        ["typed scan, CPU", *(column.floor and column.floor[1] for column in columns)],
        ["landing to features", *(column.data_seconds for column in columns)],
        ["whole flow, wall", *(column.run.wall_seconds for column in columns)],
        ["whole flow, CPU", *(column.run.cpu_seconds for column in columns)],
        ["rows/s to features", *(round(column.rows / column.data_seconds) for column in columns)],
        ["peak MiB, landing to features", *(round(column.data_peak_bytes / mib) for column in columns)],
        ["peak MiB, whole flow", *(round(column.run.peak_bytes() / mib) for column in columns)],
        ["MiB of disk, home", *(round(column.home_bytes / mib) for column in columns)],
    ]
    return markdown(["", *(f"{column.name}, {column.memory_limit}" for column in columns)], rows)


def linearity_lines(columns: Sequence[Column]) -> list[str]:
    """Seconds per million rows at each scale, of each limit that was measured on several folders."""
    lines = []
    for limit in dict.fromkeys(column.memory_limit for column in columns):
        found = sorted((column for column in columns if column.memory_limit == limit), key=lambda column: column.rows)
        if len(found) < 2 or found[0].rows == found[-1].rows:
            continue
        per_million = [column.data_seconds / column.rows * 1e6 for column in found]
        added = [
            (after.data_seconds - before.data_seconds) / (after.rows - before.rows) * 1e6
            for before, after in pairwise(found)
            if after.rows > before.rows
        ]
        each = ", ".join(f"{value:.2f} s at {column.rows:,}" for value, column in zip(per_million, found, strict=True))
        lines.append(
            f"Landing to features per million rows ({limit}): {each}; largest / smallest {per_million[-1] / per_million[0]:.2f}. "
            f"Each million more, from scale to scale: {', '.join(f'{value:.2f} s' for value in added)}."
        )
    return lines


def bare_table(columns: Sequence[Column]) -> str:
    """Dagster beside the bare functions; what importing Dagster took the bare process is taken off it."""
    rows: list[list[object]] = []
    for column in columns:
        assert column.bare_run is not None
        bare = column.bare["seconds"]
        wall = column.bare_run.wall_seconds - bare["import Dagster"]
        cpu = column.bare_run.cpu_seconds - column.bare["cpu_seconds"]["import Dagster"]
        pairs = [(stage, column.stages.get(stage), bare.get(stage)) for stage in STAGES]
        pairs += [
            ("landing to features", column.data_seconds, sum(bare[stage] for stage in DATA_STAGES)),
            ("whole process, wall", column.run.wall_seconds, wall),
            ("whole process, CPU", column.run.cpu_seconds, cpu),
            ("wall, of what is allowed", column.run.wall_seconds, DAGSTER_FACTOR * wall + DAGSTER_SECONDS),
            ("CPU, of what is allowed", column.run.cpu_seconds, DAGSTER_FACTOR * cpu + DAGSTER_SECONDS),
            ("peak MiB", column.run.peak_bytes() / 2**20, column.bare_run.peak_bytes() / 2**20),
        ]
        label = f"{column.name}, {column.memory_limit}: "
        rows += [[label + name, ours, theirs, _ratio(ours, theirs)] for name, ours, theirs in pairs]
    allowed = f"Allowed is {DAGSTER_FACTOR} × bare + {DAGSTER_SECONDS:g} s."
    return f"{markdown(['', 'through Dagster', 'bare', 'ratio'], rows)}\n\n{allowed}"


def _ratio(ours: float | None, theirs: float | None) -> str | None:
    return f"{ours / theirs:.2f}" if ours is not None and theirs else None


def increment_table(column: Column) -> str:
    """One more day of every meter: seconds by stage and by job."""
    header = [f"{column.name}, {column.memory_limit}", *(day["name"] for day in column.days)]
    rows: list[list[object]] = [[word, *(day[word] for day in column.days)] for word in ("file", "rows")]
    rows += [[stage, *(day["seconds_by_stage"].get(stage) for day in column.days)] for stage in STAGES]
    to_forecasts = [sum(day["seconds_by_stage"].get(stage, 0.0) for stage in INCREMENT_STAGES) for day in column.days]
    rows.append(["landing to forecasts, steps", *to_forecasts])
    # With their checks, and with what Dagster takes between the steps.
    jobs = [day.get("seconds_by_job", {}) for day in column.days]
    whole = [sum(taken.get(job, 0.0) for job in JOBS_TO_FORECASTS) if taken else None for taken in jobs]
    rows.append(["landing to forecasts, all", *whole])
    for job in ("before the jobs", "intake", "train", "forecast", "publish"):
        rows.append(
            [f"job {job}" if " " not in job else job, *(day.get("seconds_by_job", {}).get(job) for day in column.days)]
        )
    rows.append(["whole, wall", *(day["wall_seconds"] for day in column.days)])
    rows.append(["whole, CPU", *(day["cpu_seconds"] for day in column.days)])
    return markdown(header, rows)


def main() -> None:
    """Measure each folder at each limit and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--memory-limit", nargs="+", default=["2GiB"])
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--increment", action="store_true")
    options = parser.parse_args()
    columns = [
        measure(folder.resolve(), limit, bare=options.bare, increment=options.increment)
        for limit in options.memory_limit
        for folder in options.folders
    ]
    print(scale_table(columns), *linearity_lines(columns), sep="\n\n")
    if options.bare:
        print("\n" + bare_table(columns))
    if options.increment:
        print("", *(increment_table(column) for column in columns), sep="\n")


if __name__ == "__main__":
    main()
