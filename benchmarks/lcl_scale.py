"""Takes large folders of Low Carbon London files through the whole flow: seconds by stage, rows per second, peak memory.

    .venv/bin/python benchmarks/lcl_scale.py FOLDER [FOLDER …] [--memory-limit 2GiB]

Give folders of growing size to see whether cost is linear in rows. Files are hard-linked into landing
(same file system), the home is new for each folder, one cutoff is trained and issued. Peak memory is
that of the process tree, sampled every 0.2 s.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ENERGY = str(Path(sys.executable).parent / "energy")
DATA_STAGES = ("landing", "lake", "marts", "features")


def run_measured(folder: Path, environment: dict[str, str]) -> tuple[float, int]:
    """Wall seconds and peak resident bytes of one `energy run`, its children included."""
    command = [ENERGY, "run", "--quiet", "--source", "lcl", "--path", str(folder)]
    started, peak = time.perf_counter(), 0
    with subprocess.Popen(command, env=environment) as process:
        tree = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak = max(peak, sum(one.memory_info().rss for one in (tree, *tree.children(recursive=True))))
            except psutil.NoSuchProcess:
                continue
            time.sleep(0.2)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - started, peak


def measure(folder: Path, memory_limit: str) -> dict[str, float]:
    """The figures of one folder."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as home:
        environment = {
            **os.environ,
            "ENERGY_HOME": home,
            "ENERGY_LINK_FILES": "true",
            "ENERGY_LOOKBACK_WEEKS": "0",
            "ENERGY_MEMORY_LIMIT": memory_limit,
        }
        wall, peak = run_measured(folder, environment)
        said = subprocess.run([ENERGY, "status", "--json"], env=environment, capture_output=True, check=True).stdout
    status = json.loads(said)
    stages = status["last_run"]["seconds_by_stage"]
    rows = status["sources"]["lcl"]["rows_read"]
    data = sum(stages.get(stage, 0.0) for stage in DATA_STAGES)
    return {
        "rows": rows,
        **stages,
        "landing to features": data,
        "whole flow, wall": wall,
        "rows/s to features": rows / data,
        "peak MiB": peak / 2**20,
    }


def main() -> None:
    """Measure each folder and print one column for it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--memory-limit", default="2GiB")
    options = parser.parse_args()
    columns = [measure(folder.resolve(), options.memory_limit) for folder in options.folders]
    names = list(dict.fromkeys(name for column in columns for name in column))
    print("| | " + " | ".join(folder.name for folder in options.folders) + " |\n|---|" + "---|" * len(columns))
    for name in names:
        print(f"| {name} | " + " | ".join(f"{column.get(name, 0):,.1f}" for column in columns) + " |")


if __name__ == "__main__":
    main()
