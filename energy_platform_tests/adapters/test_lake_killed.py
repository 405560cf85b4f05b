"""A load that is killed at any moment, and the load after it."""

import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from energy_platform_tests.lake_files import Lake

FILES = 5
_LOAD = """
import sys
from pathlib import Path
from energy_platform_tests.lake_files import Lake
Lake(Path(sys.argv[1])).load()
"""


def _write_homes(lake: Lake, rows: int) -> None:
    """Low Carbon London files of so many rows in all, the last row of each said twice and one without a value."""
    per_file = rows // FILES
    folder = lake.landing.root / "lcl"
    folder.mkdir(parents=True)
    stamps = pl.datetime_range(datetime(2013, 1, 1), datetime(2013, 12, 31), "30m", eager=True)
    for number in range(FILES):
        index = pl.Series(range(per_file - 2))
        frame = pl.select(
            LCLid=pl.format("MAC{}", index // stamps.len() + 1000 * number),
            stdorToU=pl.lit("Std"),
            DateTime=stamps.gather(index % stamps.len()).dt.strftime("%Y-%m-%d %H:%M:%S.0000000"),
            kwh=(index * 7919 % 1000 / 1000).cast(pl.String),
            Acorn=pl.lit("ACORN-A"),
            Acorn_grouped=pl.lit("Affluent"),
        ).rename({"kwh": "KWH/hh (per half hour) "})
        last = frame.tail(1)
        frame = pl.concat([frame, last, last.with_columns(pl.lit("Null").alias("KWH/hh (per half hour) "))])
        frame.write_csv(folder / f"LCL_{number}.csv")


def _summary(lake: Lake) -> dict[str, list[tuple[object, ...]]]:
    """Ledger row by row, and of each table how many rows there are and a sum over all that stands in them."""
    ledger = (
        "SELECT * EXCLUDE (loaded_at_utc, landed_at_utc) REPLACE (round(energy_kwh, 6) AS energy_kwh) FROM lake.files"
    )
    found = {"files": lake.read(f"{ledger} ORDER BY file_id").rows()}
    for table in ("readings", "day_loads", "rejected", "meters", "sites"):
        found[table] = lake.read(f"SELECT count(*), sum(hash(t)) FROM lake.{table} AS t").rows()
    return found


def _killed(folder: Path, after_seconds: float) -> bool:
    """Whether a load in a process of its own was killed before it was done."""
    process = subprocess.Popen([sys.executable, "-c", _LOAD, str(folder)])
    while not (folder / "warehouse.duckdb").exists() and process.poll() is None:
        time.sleep(0.005)
    try:
        process.wait(timeout=after_seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


@pytest.mark.parametrize(
    ("rows", "shares"),
    [(300_000, (0.05, 0.3, 0.6, 0.85)), pytest.param(5_000_000, (0.3, 0.6), marks=pytest.mark.slow)],
    ids=["small", "5M"],
)
def test_a_load_that_was_killed_leaves_no_trace_once_it_is_done_again(
    tmp_path: Path, rows: int, shares: tuple[float, ...]
) -> None:
    whole = Lake(tmp_path / "whole")
    _write_homes(whole, rows)
    started = time.monotonic()
    assert whole.load().rows.read == rows
    took = time.monotonic() - started
    expected = _summary(whole)
    killed = 0
    for share in shares:
        home = tmp_path / f"killed-{share}"
        home.mkdir()
        (home / "landing").symlink_to(whole.landing.root, target_is_directory=True)
        killed += _killed(home, took * share)
        again = Lake(home)
        again.load()
        assert _summary(again) == expected, f"killed at {share:.0%}"
    assert killed, "no load was killed: the machine is too fast for this many rows"
