"""What it costs to score 1.93 million household-days, detector by detector.

    .venv/bin/python benchmarks/anomaly_speed.py [--days 1930000] [--only NAME]

Days are made of invented hours (gamma noise on a daily shape; a speed depends on their number, not on what they
say) of 5,290 meters. A detector learns from the first 16 weeks and scores the whole year: 24 hours a day go in, the
score, the band and the reasons come out. Each runs in a process of its own, three times unless it is slow; the
fastest counts, by the smaller of wall and CPU seconds (user and system): on a busy machine wall time is others'.
Memory is the peak of the process while scoring beyond what it held before.
"""

import argparse
import json
import resource
import subprocess
import sys
import threading
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
import psutil
from measured import markdown

from energy_platform.domain.anomalies.detectors import DAY_DETECTORS
from energy_platform.domain.anomalies.protocol import HOURS, HOUSEHOLD_DAYS

METERS, FITTED_DAYS = 5_290, 112
LIMITS = {"robust_hour_of_week": 0.5}
LIMIT_SECONDS, LIMIT_MB = 15.0, 500.0


def invented_days(meters: int, days: int, *, seed: int = 1) -> pl.DataFrame:
    """``HOUSEHOLD_DAYS`` of meters of different size."""
    random = np.random.default_rng(seed)
    rows = meters * days
    shape = 0.4 + np.exp(-(((np.arange(HOURS) - 19) / 3) ** 2)) + 0.5 * np.exp(-(((np.arange(HOURS) - 8) / 2) ** 2))
    hours = random.standard_gamma(2.0, (rows, HOURS), dtype=np.float32)
    hours *= shape.astype(np.float32) * 0.25
    hours *= np.repeat(random.lognormal(0, 0.5, meters), days)[:, None].astype(np.float32)
    first = date(2012, 1, 1)
    dates = pl.Series([first + timedelta(days=day) for day in range(days)])
    names = pl.Series([f"M{meter:06d}" for meter in range(meters)])
    energy = hours.sum(axis=1)
    frame = pl.DataFrame(
        {
            "meter_id": names.gather(np.repeat(np.arange(meters), days)),
            "local_date": dates.gather(np.tile(np.arange(days), meters)),
            "energy_kwh": energy,
            "hours_kwh": pl.Series(hours, dtype=pl.Array(pl.Float32, HOURS)),
            "temperature_c": np.tile(10 - 8 * np.cos(np.arange(days) / 58), meters).astype(np.float32),
            "forecast_kwh": energy * random.lognormal(0, 0.2, rows).astype(np.float32),
        }
    )
    return frame.with_columns(
        channel=pl.lit("main"),
        is_day_off=pl.col("local_date").dt.weekday() > 5,
        readings=pl.lit(48),
        expected_readings=pl.lit(48),
        estimated_share=pl.lit(0.0),
        is_known_anomalous=pl.lit(value=False),
    ).select(*(pl.col(name).cast(dtype) for name, dtype in HOUSEHOLD_DAYS.items()))


class _Peak:
    """Most resident memory while it is entered, beyond what there was, in MB."""

    def __enter__(self) -> Self:
        self.process = psutil.Process()
        self.before = self.most = self.process.memory_info().rss
        self.running = True
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def _watch(self) -> None:
        while self.running:
            self.most = max(self.most, self.process.memory_info().rss)
            time.sleep(0.01)

    def __exit__(self, *_: object) -> None:
        self.running = False
        self.thread.join()
        self.mb = (self.most - self.before) / 2**20


def measure(name: str, days: int) -> dict[str, object]:
    """Fit and score in this process."""
    each = days // METERS
    rows = invented_days(METERS, each)
    history = rows.filter(pl.col("local_date") < date(2012, 1, 1) + timedelta(days=FITTED_DAYS))
    started = time.perf_counter()
    fitted = DAY_DETECTORS[name].fit(history)
    fit_seconds = time.perf_counter() - started
    del history
    fitted.score(rows.head(1000))
    seconds, cpu, megabytes = [], [], []
    for _ in range(3):
        before = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        with _Peak() as peak:
            started = time.perf_counter()
            scores = fitted.score(rows)
            seconds.append(time.perf_counter() - started)
        cpu.append(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - before)
        megabytes.append(peak.mb)
        share = float(scores["is_anomalous"].mean())  # type: ignore[arg-type]
        del scores
        if seconds[-1] > 2:
            break
    best = int(np.argmin(seconds))
    return {
        "detector": name,
        "rows": rows.height,
        "fit s": fit_seconds,
        "score s": seconds[best],
        "CPU s": cpu[best],
        "MB": max(megabytes),
        "anomalous %": 100 * share,
        "note": fitted.note,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=1_930_850)
    parser.add_argument("--only", choices=list(DAY_DETECTORS))
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(arguments.only, arguments.days)))
        return
    rows, failed = [], []
    for name in [arguments.only] if arguments.only else list(DAY_DETECTORS):
        command = [sys.executable, str(Path(__file__)), "--child", "--only", name, "--days", str(arguments.days)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rows.append(found)
        sys.stderr.write(f"{found}\n")
        seconds = min(found["score s"], found["CPU s"])
        if seconds > LIMITS.get(name, LIMIT_SECONDS) or found["MB"] > LIMIT_MB:
            failed.append(f"{name}: {seconds:.2f} s, {found['MB']:.0f} MB")
    header = ["detector", "fit s", "score s", "CPU s", "MB", "anomalous %"]
    print(f"{rows[0]['rows']:,} household-days × {HOURS} hours\n")
    print(markdown(header, [[row[name] for name in header] for row in rows]))
    print("\n" + "\n".join(f"{row['detector']}: {row['note']}" for row in rows))
    if failed:
        sys.exit("over the limit: " + "; ".join(failed))


if __name__ == "__main__":
    main()
