"""How long a fleet's training and forecasts take, and Prophet on a sample of the same series.

    .venv/bin/python benchmarks/forecast_speed.py [--meters 5566] [--days 730] [--prophet 20] [--threads 1 2]

The fleet is made up (weekly pattern, season, noise, gaps): speed only, its accuracy means nothing. Measured is
what the assets do between reading the features table and writing the forecasts, without Dagster and MLflow:
reading and designing the rows, the backtest with its fits and the final fits, then one issue. Prophet is fitted
on ``--prophet`` of the series and scaled up to the fleet, one process: no fleet was fitted. ``--threads`` also
fits the trees alone on the same rows with as many threads.
"""

import argparse
import logging
import os
import resource
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import duckdb
import numpy as np
import polars as pl

from energy_platform.domain.features import features_sql
from energy_platform.domain.forecasting.forecasters import FORECASTERS, MEMBERS, lightgbm
from energy_platform.domain.forecasting.history import DaySeries, known_series_sql
from energy_platform.domain.forecasting.issuing import Choice, TrainedModel, issue
from energy_platform.domain.forecasting.rows import (
    backtest_rows_sql,
    count_issues_sql,
    design,
    design_together,
    issue_rows_sql,
    leads_for,
    stride_for,
    training_rows_sql,
)
from energy_platform.domain.forecasting.training import train

SEED = 20260101
FIRST = date(2012, 1, 2)
Made = TypeVar("Made")


class Stages:
    """Wall and CPU seconds by stage."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[float, float]] = {}

    def of(self, stage: str, work: Callable[[], Made]) -> Made:
        """Do the work and note what it took."""
        wall, cpu = time.perf_counter(), time.process_time()
        made = work()
        self.rows[stage] = (time.perf_counter() - wall, time.process_time() - cpu)
        print(f"  {stage}: {self.rows[stage][0]:.2f} s wall, {self.rows[stage][1]:.2f} s CPU", flush=True)
        return made


def make_fleet(connection: duckdb.DuckDBPyConnection, *, meters: int, days: int) -> None:
    """Tables ``days``, ``meters``, ``weather`` of an invented fleet."""
    rng = np.random.default_rng(SEED)
    dates = [FIRST + timedelta(days=day) for day in range(days)]
    weekday = np.array([day.weekday() for day in dates])
    level = 10 * np.exp(rng.normal(0, 0.6, meters))
    pattern = rng.uniform(0.8, 1.3, (meters, 7))
    season = 1 + 0.25 * np.cos(2 * np.pi * np.arange(days) / 365)
    energy = level[:, None] * pattern[:, weekday] * season * np.exp(rng.normal(0, 0.3, (meters, days)))
    known = rng.random((meters, days)) > 0.01
    frame = pl.DataFrame(
        {
            "meter_id": np.repeat([f"m{number:05}" for number in range(meters)], days),
            "local_date": pl.Series(dates * meters, dtype=pl.Date),
            "energy_kwh": energy.ravel(),
        }
    ).filter(pl.Series(known.ravel()))
    connection.register("frame", frame)
    connection.execute("""CREATE TABLE days AS SELECT meter_id, 'main' AS channel, 'fleet' AS source,
        'electricity' AS commodity, local_date, energy_kwh, 1.0 AS completeness FROM frame""")
    connection.unregister("frame")
    connection.execute("""CREATE TABLE meters AS SELECT DISTINCT meter_id, channel, 'GB-ENG' AS country,
        NULL::VARCHAR AS station_id, 'Europe/London' AS time_zone FROM days""")
    connection.execute("CREATE TABLE weather (station_id VARCHAR, observed_at_utc TIMESTAMP, temperature_c DOUBLE)")


def training_input(connection: duckdb.DuckDBPyConnection, cutoff: date) -> tuple[pl.DataFrame, pl.DataFrame, DaySeries]:
    """As defs/models reads it."""
    issues, meters = connection.execute(count_issues_sql("features", cutoff=cutoff)).fetchall()[0]
    series = DaySeries.of(connection.execute(known_series_sql("features", cutoff=cutoff)).pl())
    stride = stride_for(issues, meters=meters)
    sql = training_rows_sql("features", cutoff=cutoff, stride=stride, every_lead=leads_for(meters))
    held_out = backtest_rows_sql("features", cutoff=cutoff, meters=meters)
    training, tested = design_together([connection.execute(text).pl() for text in (sql, held_out)], series)
    return training, tested, series


def prophet_seconds(series: DaySeries, rows: pl.DataFrame, count: int) -> tuple[float, float]:
    """Wall and CPU seconds of one series, the library's import left out."""
    one = FORECASTERS["prophet"].fit(rows, series, seed=SEED)
    one.predict(rows.head(7), series)
    # Prophet hands the fit to a program of its own: only with the children's time is its CPU time whole.
    wall, cpu = time.perf_counter(), sum(os.times()[:4])
    one.predict(rows.slice(7, 7 * count), series)
    return (time.perf_counter() - wall) / count, (sum(os.times()[:4]) - cpu) / count


def fit_trees(training: pl.DataFrame, series: DaySeries, threads: int) -> lightgbm.LightGBM:
    """The trees with another number of threads than they are given in use."""
    original = lightgbm.parameters
    lightgbm.parameters = lambda **given: original(**given) | {"num_threads": threads}
    try:
        return lightgbm.fit(training, series, seed=SEED)
    finally:
        lightgbm.parameters = original


def main() -> None:
    """Run the stages and print them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--meters", type=int, default=5_566)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--prophet", type=int, default=20, help="series that Prophet is fitted on; 0 leaves it out")
    parser.add_argument("--threads", type=int, nargs="*", default=[], help="fit the trees with as many threads, too")
    options = parser.parse_args()
    # It logs every fit; importing it before would undo this.
    logging.disable(logging.INFO)
    connection = duckdb.connect()
    make_fleet(connection, meters=options.meters, days=options.days)
    cutoff = FIRST + timedelta(days=options.days)
    stages = Stages()
    sql = f"CREATE TABLE features AS {features_sql(days='days', weather='weather', meters='meters')}"
    stages.of("features table", lambda: connection.execute(sql))
    training, held_out, series = stages.of("rows of the training", lambda: training_input(connection, cutoff))
    print(f"  {training.height} training rows, {held_out.height} held-out rows")
    # Imports are paid once by a process that stays.
    for name in MEMBERS:
        FORECASTERS[name].fit(training.head(700), series, seed=SEED)
    trained = stages.of("training", lambda: train(training, held_out, series, cutoff=cutoff, seed=SEED))
    if trained.bundle is None:
        raise SystemExit(trained.reason)
    choice = Choice(TrainedModel("1", trained.bundle), "combination", trained.reason)
    series = stages.of(
        "known days of the issue",
        lambda: DaySeries.of(connection.execute(known_series_sql("features", cutoff=cutoff)).pl()),
    )
    rows = stages.of(
        "rows of the issue", lambda: connection.execute(issue_rows_sql("features", issue_days=[cutoff])).pl()
    )
    designed = stages.of("inputs of the issue", lambda: design(rows, series))
    stages.of("forecasts with bands", lambda: trained.bundle.forecasts(designed, series))

    def issued() -> Any:
        now = datetime.now(UTC).replace(tzinfo=None)
        return issue(designed, designed.clear(), series, cutoff=cutoff, choice=choice, issued_at_utc=now)

    made = stages.of("issue: forecasts, fallbacks, drivers", issued)
    print(f"  {made.forecasts.height} forecast rows of {made.forecasts['meter_id'].n_unique()} meters")
    total = [
        sum(stages.rows[name][kind] for name in stages.rows if name not in {"features table", "forecasts with bands"})
        for kind in (0, 1)
    ]
    print(
        f"\ntrain and forecast: {total[0]:.1f} s wall, {total[1]:.1f} s CPU; peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"
    )
    for threads in options.threads:
        stages.of(f"trees alone, {threads} threads", lambda threads=threads: fit_trees(training, series, threads))
    if options.prophet:
        wall, cpu = prophet_seconds(series, designed, options.prophet)
        fleet = wall * options.meters
        print(
            f"Prophet: {wall:.3f} s wall, {cpu:.3f} s CPU a series; {fleet:.0f} s for the fleet, {fleet / total[0]:.1f} times as long (CPU {cpu * options.meters / total[1]:.1f})"
        )


if __name__ == "__main__":
    main()
