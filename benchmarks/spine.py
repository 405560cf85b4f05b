"""Times the spine on this machine and prints the table of docs/measurements.md.

    .venv/bin/python benchmarks/spine.py [--lcl FOLDER] [--repeat N]

Measures the shipped sample from an empty home (the whole flow, then again with nothing new),
loading of the definitions, and, given a folder of Low Carbon London files, landing to marts of
them through Dagster. Each figure is the median of N runs, wall seconds of a whole process.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIN = Path(sys.executable).parent


def timed(command: list[str], home: Path) -> float:
    """Wall seconds of one command with ``ENERGY_HOME`` set; its output is shown when it fails."""
    started = time.perf_counter()
    result = subprocess.run(
        command, env={**os.environ, "ENERGY_HOME": str(home)}, capture_output=True, text=True, check=False
    )
    if result.returncode:
        sys.exit(f"{' '.join(command)}\n{result.stdout}\n{result.stderr}")
    return time.perf_counter() - started


def stages(home: Path) -> dict[str, float]:
    """Seconds by stage of the last flow of a home."""
    result = subprocess.run(
        [str(BIN / "energy"), "status", "--json"],
        env={**os.environ, "ENERGY_HOME": str(home)},
        capture_output=True,
        check=True,
    )
    return json.loads(result.stdout)["last_run"]["seconds_by_stage"]


def main() -> None:
    """Run the measurements and print them as a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--lcl", type=Path, help="folder of LCL half-hourly files")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    energy, figures = str(BIN / "energy"), {}

    def measure(name: str, seconds: float) -> None:
        figures.setdefault(name, []).append(seconds)

    for _ in range(options.repeat):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder) / "home"
            measure("`energy run`, shipped sample, empty home", timed([energy, "run", "--quiet"], home))
            measure("`energy run` again, nothing new", timed([energy, "run", "--quiet"], home))
            validate = [str(BIN / "dagster"), "definitions", "validate", "-m", "energy_platform.definitions"]
            measure("`dagster definitions validate`", timed(validate, home))
        if options.lcl:
            with tempfile.TemporaryDirectory() as folder:
                home = Path(folder) / "home"
                command = [energy, "run", "--quiet", "--source", "lcl", "--path", str(options.lcl)]
                measure("`energy run` on the LCL folder, whole flow", timed(command, home))
                by_stage = stages(home)
                measure(
                    "… of it landing to marts", sum(by_stage.get(stage, 0.0) for stage in ("landing", "lake", "marts"))
                )
    print("| what | median s | runs |\n|---|---|---|")
    for name, seconds in figures.items():
        print(f"| {name} | {statistics.median(seconds):.1f} | {', '.join(f'{value:.1f}' for value in seconds)} |")


if __name__ == "__main__":
    main()
