"""Takes one day's file after the other through Dagster's jobs in one process, as a warm Dagster would.

    ENERGY_HOME=… .venv/bin/python benchmarks/warm_increment.py FILE [FILE …]

Run by lcl_scale.py --increment. Each file is landed and the jobs that are due run by the product's own ``run_flow``,
in the order in which the daemon's sensors would ask for them. The first file pays for imports, later ones do not.
Prints one JSON list: by file, seconds by job and by stage.
"""

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

from bare_flow import cpu_seconds

from energy_platform.commands.output import engines
from energy_platform.flow import run_flow
from energy_platform.settings import get_settings

JOBS = ("intake", "train", "forecast", "publish")


class JobClock:
    """Seconds of each job, from what ``run_flow`` tells of its progress."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._running, self._since = "before the jobs", time.perf_counter()

    def __call__(self, label: str, _done: int, _total: int) -> None:
        """A step is done, or a job begins."""
        if label != self._running:
            self.end(label)

    def end(self, following: str = "") -> None:
        """Close the account of what runs now."""
        now = time.perf_counter()
        job = self._running.split(" ")[0] if self._running.split(" ")[0] in JOBS else self._running
        self.seconds[job] = self.seconds.get(job, 0.0) + now - self._since
        self._running, self._since = following, now


def take_in(file: Path, source: str) -> dict[str, Any]:
    """Land one file and run what it makes due."""
    clock, started, used = JobClock(), time.perf_counter(), cpu_seconds()
    outcome = run_flow(get_settings(), source=source, path=file, notify=clock)
    clock.end()
    return {
        "file": file.name,
        "wall_seconds": time.perf_counter() - started,
        "cpu_seconds": cpu_seconds() - used,
        "seconds_by_job": clock.seconds,
        "seconds_by_stage": dict(outcome.seconds),
        "runs": outcome.runs,
    }


def main() -> None:
    """Take in the files in order."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--source", default="lcl")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with engines(verbose=False):
        taken = [take_in(file, options.source) for file in options.files]
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
