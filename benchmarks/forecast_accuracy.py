"""How good daily forecasts of real homes are, beside what a user would pick instead, in one run.

    .venv/bin/python benchmarks/forecast_accuracy.py --grain day --lcl FOLDER [--origins test|earlier|weekdays] [--no-peers]

Rolling origin on the homes of a Low Carbon London folder that have a reading on every day of 2013 (52 of the
55 in the shared data): day × 7, ten origins 14 days apart, each forecaster fitted anew at each origin on the
days before it. The last week is the last of the data. ``--origins earlier`` takes ten weekly origins that end
before the first test origin: what parameters were chosen on; nothing was chosen on the test origins. Those are
two weeks apart, so that one lead is always one weekday; ``--origins weekdays`` takes 17 of the same months that
are eight days apart. Homes of one issue go through the same weather: the standard error of a coverage takes
issues and homes as clusters.

The peers are what their documentation shows: mlforecast with LightGBM (200 trees, lags 1-7, 14, 21, 28,
rolling mean and sd of 7 and 28 days, calendar), statsforecast's SeasonalNaive, AutoETS and MSTL, Prophet with
a weekly season. A day with less than nine tenths of its readings is unknown to this platform; peers, which
take no gaps, get the week before in its place. Nobody is judged on such a day. Bands of the peers are their
own (mlforecast: conformal, four windows).
"""

import argparse
import gzip
import io
import logging
import time
import warnings
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl

from energy_platform.domain.features import COMPLETE_SHARE, features_sql
from energy_platform.domain.forecasting.forecasters import prophet
from energy_platform.domain.forecasting.history import DaySeries, known_series_sql
from energy_platform.domain.forecasting.rows import (
    backtest_rows_sql,
    count_issues_sql,
    design,
    issue_rows_sql,
    stride_for,
    training_rows_sql,
)
from energy_platform.domain.forecasting.training import train

ZONE, COUNTRY, STATION = "Europe/London", "GB-ENG", "london"
FIRST, LAST = date(2013, 1, 1), date(2013, 12, 31)
TEST_ORIGINS = [date(2013, 12, 25) - timedelta(days=14 * back) for back in reversed(range(10))]
# Ten weeks that end a day before the first test origin.
EARLIER_ORIGINS = [date(2013, 8, 13) - timedelta(days=7 * back) for back in reversed(range(10))]
WEEKDAY_ORIGINS = [TEST_ORIGINS[-1] - timedelta(days=8 * back) for back in reversed(range(17))]
ORIGINS = {"test": TEST_ORIGINS, "earlier": EARLIER_ORIGINS, "weekdays": WEEKDAY_ORIGINS}
SEED = 20260101
PEER_TREES = 200
LEADS = 7


def read_days(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Table ``days``: energy and completeness of every local day of 2013 of homes that have each of them."""
    names = ("meter_id", "tariff", "at", "kwh", "acorn", "acorn_grouped")
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
    connection.execute(f"""
        CREATE TABLE days AS
        WITH readings AS (
            SELECT DISTINCT meter_id, CAST(left("at", 19) AS TIMESTAMP) AS at_utc, CAST(trim(kwh) AS DOUBLE) AS kwh
            FROM read_csv('{folder}/*.csv*', header = true, auto_detect = false, delim = ',', nullstr = 'Null',
                columns = {{{columns}}})
        ),
        local_days AS (
            SELECT meter_id, CAST((at_utc AT TIME ZONE 'UTC') AT TIME ZONE '{ZONE}' AS DATE) AS local_date,
                sum(kwh) AS energy_kwh, least(count(kwh) / 48, 1.0) AS completeness
            FROM readings GROUP BY ALL
        )
        SELECT meter_id, 'main' AS channel, 'lcl' AS source, 'electricity' AS commodity, local_date, energy_kwh, completeness
        FROM local_days
        WHERE local_date BETWEEN DATE '{FIRST}' AND DATE '{LAST}'
        QUALIFY count(*) OVER (PARTITION BY meter_id) = {(LAST - FIRST).days + 1}""")
    connection.execute(f"""
        CREATE TABLE meters AS
        SELECT DISTINCT meter_id, channel, '{COUNTRY}' AS country, '{STATION}' AS station_id, '{ZONE}' AS time_zone
        FROM days""")


def read_weather(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Table ``weather`` from MIDAS Open files (BADC-CSV): hourly air temperature."""
    parts = []
    for path in sorted(folder.glob("*.csv*")):
        text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
        body = text.split("\ndata\n", 1)[1].split("\nend data", 1)[0]
        parts.append(
            pl.read_csv(io.StringIO(body), infer_schema=False, null_values="NA").select(
                station_id=pl.lit(STATION),
                observed_at_utc=pl.col("ob_time").str.to_datetime(),
                temperature_c=pl.col("air_temperature").cast(pl.Float64),
            )
        )
    observed = pl.concat(parts).drop_nulls()
    connection.register("observed", observed)
    connection.execute("CREATE TABLE weather AS SELECT * FROM observed")


class Homes:
    """Days of the homes as peers and as the platform take them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        rows = connection.execute(known_series_sql("features", cutoff=LAST + timedelta(days=1))).pl()
        self.series = DaySeries.of(rows)
        self.energy_kwh = self.series.energy_kwh
        filled = self.energy_kwh.copy()
        for day in range(filled.shape[1]):
            unknown = np.isnan(filled[:, day])
            filled[unknown, day] = filled[unknown, day - 7]
        self.filled_kwh = filled

    @property
    def count(self) -> int:
        """Number of homes."""
        return len(self.energy_kwh)

    def actual_kwh(self, origin: date) -> np.ndarray:
        """What came to pass; shape (homes, leads), NaN where the day is incomplete."""
        first = self.series.column(origin)
        return self.energy_kwh[:, first : first + LEADS]

    def naive_scale_kwh(self, origin: date) -> np.ndarray:
        """Mean |day - day a week before| before the origin, by home: the denominator of MASE."""
        known = self.filled_kwh[:, : self.series.column(origin)]
        return np.abs(known[:, 7:] - known[:, :-7]).mean(axis=1)

    def frame(self, origin: date) -> pd.DataFrame:
        """The days before the origin as the peers take them."""
        until = self.series.column(origin)
        days = pd.date_range(FIRST, periods=until)
        return pd.DataFrame(
            {
                "unique_id": np.repeat(np.arange(self.count), until),
                "ds": np.tile(days, self.count),
                "y": self.filled_kwh[:, :until].ravel(),
            }
        )


Forecast = dict[str, np.ndarray]
"""``p10``, ``p50``, ``p90`` in kWh, each of shape (homes, leads)."""


def platform(homes: Homes, origin: date) -> dict[str, Forecast]:
    """What this platform knows, trains and issues at an origin."""
    connection = homes.connection
    series = homes.series.before(origin)
    issues, meters = connection.execute(count_issues_sql("features", cutoff=origin)).fetchall()[0]
    stride = stride_for(issues, meters=meters)
    training = design(connection.execute(training_rows_sql("features", cutoff=origin, stride=stride)).pl(), series)
    held_out = connection.execute(backtest_rows_sql("features", cutoff=origin, meters=meters)).pl()
    trained = train(training, design(held_out, series), series, cutoff=origin, seed=SEED)
    rows = design(connection.execute(issue_rows_sql("features", issue_days=[origin])).pl(), series)
    if trained.bundle is None:
        raise SystemExit(trained.reason)
    weights = ", ".join(f"{name} {weight:.2f}" for name, weight in trained.bundle.weights.items())
    print(f"  {origin}: {trained.training_rows} rows; {weights}", flush=True)
    meter, _ = series.places(rows)
    lead = rows["lead"].to_numpy() - 1
    found = {}
    for name, forecasts in trained.bundle.forecasts(rows, series).items():
        found[name] = {}
        for quantile in ("p10", "p50", "p90"):
            grid = np.full((homes.count, LEADS), np.nan)
            grid[meter, lead] = forecasts[f"{quantile}_kwh"].to_numpy()
            found[name][quantile] = grid
    return found


def mlforecast_lightgbm(objective: str) -> Callable[[Homes, date], Forecast]:
    """LightGBM through mlforecast, recursive, with its conformal intervals."""

    def forecast(homes: Homes, origin: date) -> Forecast:
        import lightgbm
        from mlforecast import MLForecast
        from mlforecast.lag_transforms import RollingMean, RollingStd
        from mlforecast.utils import PredictionIntervals

        trees = lightgbm.LGBMRegressor(
            objective=objective, n_estimators=PEER_TREES, verbosity=-1, n_jobs=1, random_state=SEED
        )
        model = MLForecast(
            models={"model": trees},
            freq="D",
            lags=[*range(1, 8), 14, 21, 28],
            lag_transforms={1: [RollingMean(7), RollingMean(28), RollingStd(7), RollingStd(28)]},
            date_features=["dayofweek", "month", "day"],
        )
        model.fit(homes.frame(origin), prediction_intervals=PredictionIntervals(n_windows=4, h=LEADS))
        return _of_frame(model.predict(LEADS, level=[80]), homes, "model")

    return forecast


def statsforecast_model(make: Callable[[], object]) -> Callable[[Homes, date], Forecast]:
    """A model of statsforecast with its own intervals."""

    def forecast(homes: Homes, origin: date) -> Forecast:
        from statsforecast import StatsForecast

        runner = StatsForecast(models=[make()], freq="D", n_jobs=1)
        frame = runner.forecast(df=homes.frame(origin), h=LEADS, level=[80])
        name = next(column for column in frame.columns if column not in {"unique_id", "ds"})
        return _of_frame(frame, homes, name)

    return forecast


def _of_frame(frame: pd.DataFrame, homes: Homes, name: str) -> Forecast:
    ordered = frame.sort_values(["unique_id", "ds"])
    columns = {"p10": f"{name}-lo-80", "p50": name, "p90": f"{name}-hi-80"}
    return {
        level: np.maximum(ordered[column].to_numpy().reshape(homes.count, LEADS), 0)
        for level, column in columns.items()
    }


def prophet_peer(homes: Homes, origin: date) -> Forecast:
    """Prophet, weekly season, one home after the other, with its own 80 % band."""
    from prophet import Prophet

    until = homes.series.column(origin)
    days = pd.date_range(FIRST, periods=until)
    ahead = pd.DataFrame({"ds": pd.date_range(origin, periods=LEADS)})
    parts = []
    for home in homes.filled_kwh:
        np.random.seed(SEED)  # noqa: NPY002  # what Prophet draws from
        model = Prophet(**{**prophet.CONFIGURATION, "uncertainty_samples": 200})
        parts.append(model.fit(pd.DataFrame({"ds": days, "y": home[:until]})).predict(ahead))
    names = {"p10": "yhat_lower", "p50": "yhat", "p90": "yhat_upper"}
    return {
        level: np.maximum(np.stack([part[column].to_numpy() for part in parts]), 0) for level, column in names.items()
    }


def peers() -> dict[str, Callable[[Homes, date], Forecast]]:
    """The peers by the name they have in the table."""
    from statsforecast.models import MSTL, AutoETS, SeasonalNaive

    return {
        "SeasonalNaive(7)": statsforecast_model(lambda: SeasonalNaive(7)),
        "mlforecast LightGBM L1": mlforecast_lightgbm("l1"),
        "mlforecast LightGBM L2": mlforecast_lightgbm("l2"),
        "AutoETS(7)": statsforecast_model(lambda: AutoETS(season_length=7)),
        "MSTL(7)": statsforecast_model(lambda: MSTL(season_length=7)),
        "Prophet weekly": prophet_peer,
    }


def scored(forecasts: list[Forecast], homes: Homes, origins: list[date]) -> dict[str, float]:
    """The scores of one forecaster over all origins."""
    actual = np.stack([homes.actual_kwh(origin) for origin in origins])
    scale = np.stack([homes.naive_scale_kwh(origin) for origin in origins])[:, :, None]
    level = {name: np.stack([one[name] for one in forecasts]) for name in ("p10", "p50", "p90")}
    known = ~np.isnan(actual)
    error = actual - level["p50"]
    losses = [
        np.maximum(quantile * (actual - level[name]), (quantile - 1) * (actual - level[name]))
        for name, quantile in (("p10", 0.1), ("p50", 0.5), ("p90", 0.9))
    ]
    inside = (actual >= level["p10"]) & (actual <= level["p90"])
    by_lead = [float(inside[:, :, lead][known[:, :, lead]].mean()) for lead in range(LEADS)]
    within = actual - np.nanmean(actual, axis=(0, 2), keepdims=True)
    return {
        "mae": float(np.abs(error)[known].mean()),
        "rmse": float(np.sqrt((error**2)[known].mean())),
        "pinball": float(np.mean([loss[known].mean() for loss in losses])),
        "mase": float((np.abs(error) / scale)[known].mean()),
        "r2 pooled": float(1 - (error**2)[known].sum() / ((actual - np.nanmean(actual)) ** 2)[known].sum()),
        "r2 within": float(1 - (error**2)[known].sum() / (within**2)[known].sum()),
        "coverage": float(inside[known].mean()),
        **{f"cov {lead + 1}": share for lead, share in enumerate(by_lead)},
    }


def print_coverage(forecasts: list[Forecast], homes: Homes, origins: list[date]) -> None:
    """Share of outcomes within P10 to P90 by lead, with its standard error."""
    actual = np.stack([homes.actual_kwh(origin) for origin in origins])
    low, high = (np.stack([one[name] for one in forecasts]) for name in ("p10", "p90"))
    inside = np.where(np.isnan(actual), np.nan, (actual >= low) & (actual <= high))
    shown = [(f"lead {lead + 1}", inside[:, :, lead : lead + 1]) for lead in range(LEADS)]
    cells = [f"{name} {np.nanmean(part):.3f} ± {clustered_error(part):.3f}" for name, part in [*shown, ("all", inside)]]
    print(f"\nP10 to P90 holds, ± 1 s.e.: {', '.join(cells)}")


def clustered_error(values: np.ndarray) -> float:
    """Standard error of the mean of values of shape (issues, homes, leads), both first axes clusters, NaN unknown.

    Cameron, Gelbach & Miller (J. Business & Economic Statistics 29, 2011): the variance of the issues' sums, and of
    the homes', less that of the cells' which is in both.
    """
    off = np.where(np.isnan(values), 0.0, values - np.nanmean(values)).sum(axis=2)
    by_issue, by_home, by_cell = ((off.sum(axis=1) ** 2).sum(), (off.sum(axis=0) ** 2).sum(), (off**2).sum())
    variance = max(by_issue + by_home - by_cell, by_issue, by_home)
    fewest = min(off.shape)
    return float(np.sqrt(variance * fewest / (fewest - 1)) / (~np.isnan(values)).sum())


def show(results: dict[str, dict[str, float]], seconds: dict[str, float]) -> None:
    """The table, best MAE first."""
    naive = results.get("SeasonalNaive(7)", {}).get("mae")
    columns = list(next(iter(results.values())))
    print("\n| forecaster | " + " | ".join(columns) + " | of naive | CPU s |")
    print("|" + "---|" * (len(columns) + 3))
    for name, row in sorted(results.items(), key=lambda item: item[1]["mae"]):
        ratio = f"{row['mae'] / naive:.3f}" if naive else ""
        cells = " | ".join(f"{row[column]:.3f}" for column in columns)
        print(f"| {name} | {cells} | {ratio} | {seconds.get(name, 0):.0f} |")


def main() -> None:
    """Run the backtests and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--grain", choices=["day"], default="day")
    parser.add_argument("--lcl", type=Path, required=True, help="folder of LCL half-hourly files")
    parser.add_argument("--weather", type=Path, help="folder of MIDAS Open hourly files; without it, no temperatures")
    parser.add_argument("--origins", choices=list(ORIGINS), default="test")
    parser.add_argument("--no-peers", action="store_true", help="this platform's forecasters and seasonal naive only")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.INFO)
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    read_days(connection, options.lcl)
    connection.execute("CREATE TABLE weather (station_id VARCHAR, observed_at_utc TIMESTAMP, temperature_c DOUBLE)")
    if options.weather:
        connection.execute("DROP TABLE weather")
        read_weather(connection, options.weather)
    connection.execute(f"CREATE TABLE features AS {features_sql(days='days', weather='weather', meters='meters')}")
    homes = Homes(connection)
    origins = ORIGINS[options.origins]
    print(
        f"{homes.count} homes, {len(origins)} origins from {origins[0]} to {origins[-1]}; a day is known from {COMPLETE_SHARE:.0%}"
    )
    found: dict[str, list[Forecast]] = {}
    seconds: dict[str, float] = {}
    started = time.process_time()
    for origin in origins:
        for name, forecast in platform(homes, origin).items():
            found.setdefault(f"this platform: {name}", []).append(forecast)
    seconds["this platform: combination"] = time.process_time() - started
    for name, peer in peers().items():
        if options.no_peers and name != "SeasonalNaive(7)":
            continue
        started = time.process_time()
        found[name] = [peer(homes, origin) for origin in origins]
        seconds[name] = time.process_time() - started
        print(f"  {name}: {seconds[name]:.0f} CPU s", flush=True)
    show({name: scored(forecasts, homes, origins) for name, forecasts in found.items()}, seconds)
    print_coverage(found["this platform: combination"], homes, origins)


if __name__ == "__main__":
    main()
