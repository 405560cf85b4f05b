"""How good the forecasts of whole fleets are, two days ahead by the half hour or hour, beside what a user would pick.

    .venv/bin/python benchmarks/forecast_accuracy_hours.py [--data FOLDER] [--series lcl,aep,dayton] [--earlier DAYS]

Twelve origins five days apart up to the end of each series, 48 h from local midnight on; MAE relative to
SeasonalNaive(week) of statsforecast. All forecasters meet the same slots in one run. The platform's own run
as ``energy run`` would run them (domain/forecasting/hours), from UTC readings, and know nothing from the
origin on; the peers get the same series on the wall clock, with repeated hours averaged and gaps
interpolated. ``--earlier 65`` moves the origins back by 65 days: that is where things are tried out, never
on the last ones. Coverage is over daily origins of the last 120 days. Other zones of the same kind
(``<ZONE>_hourly.csv.gz``) are measured by naming them.
"""

import argparse
import gzip
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from energy_platform.domain.forecasting.hours.issuing import issue
from energy_platform.domain.forecasting.hours.local_days import LocalDays, local_days

ORIGINS, DAYS_APART, HORIZON_DAYS = 12, 5, 2
COVERAGE_DAYS = 120
BLOCK_HOURS = 6
# The history that a peer is given: more made MSTL no better and ten times slower.
PEER_WEEKS = 52
SEED = 7
OWN = ("combination", "exponential_smoothing", "ridge", "pooled_ridge", "lightgbm")


@dataclass(frozen=True)
class Fleet:
    """One series: half hours in UTC as the marts hold them, and on the wall clock as a peer would take them."""

    name: str
    time_zone: str
    country: str
    interval_minutes: int
    half_hours: pl.DataFrame
    wall: pl.DataFrame
    weather: pl.DataFrame | None = None

    @property
    def slots(self) -> int:
        """Intervals of a day."""
        return 24 * 60 // self.interval_minutes


def read_lcl(folder: Path) -> Fleet:
    """The mean reporting home of the 55 homes; stamps are UTC. With the temperature at Kew, as observed so far."""
    names = ["meter_id", "tariff", "stamp", "kwh", "acorn", "group"]
    parts = [
        pl.read_csv(gzip.decompress(path.read_bytes()), new_columns=names, infer_schema=False)
        for path in sorted((folder / "lcl" / "halfhourly").glob("*.csv.gz"))
    ]
    stamp = pl.col("stamp").str.strip_chars().str.slice(0, 19).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us")
    readings = (
        pl.concat(parts)
        .with_columns(interval_start_utc=stamp, kwh=pl.col("kwh").str.strip_chars().cast(pl.Float64, strict=False))
        .drop_nulls("kwh")
        .unique(["meter_id", "interval_start_utc"])
    )
    half_hours = (
        readings.group_by("interval_start_utc")
        .agg(energy_kwh=pl.col("kwh").sum(), meters=pl.len())
        .sort("interval_start_utc")
    )
    wall = half_hours.select("interval_start_utc", y=pl.col("energy_kwh") / pl.col("meters"))
    regular = _regular(wall, "Europe/London", "30m")
    return Fleet("LCL", "Europe/London", "GB-ENG", 30, half_hours, regular, read_kew(folder))


def read_kew(folder: Path) -> pl.DataFrame:
    """Hourly air temperature, UTC, from the Met Office's BADC-CSV: a long header, ``data``, rows, ``end data``."""
    parts = []
    for path in sorted((folder / "lcl" / "weather_midas_open_kew").glob("*.csv.gz")):
        rows = gzip.decompress(path.read_bytes()).decode().split("\ndata\n")[1].split("\nend data")[0]
        parts.append(
            pl.read_csv(rows.encode(), infer_schema=False).select(
                observed_at_utc=pl.col("ob_time").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us"),
                temperature_c=pl.col("air_temperature").cast(pl.Float64, strict=False),
            )
        )
    return pl.concat(parts).drop_nulls().unique("observed_at_utc")


def read_zone(folder: Path, zone: str) -> Fleet:
    """One PJM zone: local stamps of ended hours, unsorted, some twice or missing at clock changes."""
    path = folder / "pjm_hourly" / f"{zone}_hourly.csv.gz"
    raw = pl.read_csv(gzip.decompress(path.read_bytes()), new_columns=["stamp", "mw"])
    stamp = pl.coalesce(
        pl.col("stamp").str.to_datetime("%d-%m-%Y %H:%M", time_unit="us", strict=False),
        pl.col("stamp").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False),
    )
    hours = (
        raw.with_columns(local=stamp.dt.offset_by("-1h"))
        .group_by("local")
        .agg(mw=pl.col("mw").cast(pl.Float64).mean())
        .with_columns(
            start=pl.col("local")
            .dt.replace_time_zone("America/New_York", ambiguous="earliest", non_existent="null")
            .dt.convert_time_zone("UTC")
            .dt.replace_time_zone(None)
        )
        .drop_nulls("start")
        .sort("start")
    )
    halves = [
        hours.select(
            interval_start_utc=pl.col("start").dt.offset_by(shift), energy_kwh=pl.col("mw") * 500, meters=pl.lit(1)
        )
        for shift in ("0m", "30m")
    ]
    half_hours = pl.concat(halves).sort("interval_start_utc")
    wall = hours.select(interval_start_utc="start", y=pl.col("mw") * 1000)
    return Fleet(zone, "America/New_York", "US", 60, half_hours, _regular(wall, "America/New_York", "1h"))


def _regular(values: pl.DataFrame, time_zone: str, every: str) -> pl.DataFrame:
    """``ds``, ``y`` on the wall clock without holes: what a user hands to a forecasting library."""
    wall = pl.col("interval_start_utc").dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone)
    return (
        values.select(ds=wall.dt.replace_time_zone(None), y="y")
        .group_by("ds")
        .agg(pl.col("y").mean())
        .sort("ds")
        .upsample("ds", every=every)
        .with_columns(pl.col("y").interpolate())
    )


Peer = Callable[[pl.DataFrame, int], np.ndarray]


def seasonal_naive(history: pl.DataFrame, slots: int) -> np.ndarray:
    from statsforecast.models import SeasonalNaive

    return SeasonalNaive(7 * slots).forecast(history["y"].to_numpy(), HORIZON_DAYS * slots)["mean"]


def mstl(history: pl.DataFrame, slots: int) -> np.ndarray:
    from statsforecast.models import MSTL

    recent = history["y"].to_numpy()[-7 * slots * PEER_WEEKS :]
    return MSTL([slots, 7 * slots]).forecast(recent, HORIZON_DAYS * slots)["mean"]


def auto_ets(history: pl.DataFrame, slots: int) -> np.ndarray:
    """Only hours have it: statsforecast's ETS takes no season beyond 24."""
    from statsforecast.models import AutoETS

    if slots > 24:
        return np.full(HORIZON_DAYS * slots, np.nan)
    return AutoETS(slots).forecast(history["y"].to_numpy()[-7 * slots * 8 :], HORIZON_DAYS * slots)["mean"]


def mlforecast_lightgbm(history: pl.DataFrame, slots: int) -> np.ndarray:
    """Recursive LightGBM with absolute loss, 400 trees, lags of hours, days and weeks, calendar."""
    import lightgbm
    from mlforecast import MLForecast

    hour = slots // 24
    frame = history[-7 * slots * PEER_WEEKS :].with_columns(unique_id=pl.lit("fleet"))
    model = MLForecast(
        models={
            "lightgbm": lightgbm.LGBMRegressor(
                objective="l1",
                n_estimators=400,
                learning_rate=0.05,
                num_leaves=31,
                n_jobs=1,
                verbosity=-1,
                random_state=SEED,
            )
        },
        freq=f"{24 * 60 // slots}m",
        lags=[*range(1, 3 * hour + 1), slots, 2 * slots, 3 * slots, 7 * slots, 14 * slots],
        date_features=["hour", "minute", "weekday", "month", "ordinal_day"],
    )
    model.fit(frame)
    return model.predict(HORIZON_DAYS * slots)["lightgbm"].to_numpy()


PEERS: dict[str, Peer] = {
    "statsforecast SeasonalNaive(week)": seasonal_naive,
    "statsforecast MSTL(day, week)": mstl,
    "statsforecast AutoETS(day)": auto_ets,
    "mlforecast + LightGBM L1": mlforecast_lightgbm,
}


def origins(fleet: Fleet, *, earlier: int) -> list[date]:
    """Local days at whose start a forecast is made; the last one's two days end the series."""
    last_day: date = fleet.wall["ds"].dt.date().max()
    complete = fleet.wall.filter(pl.col("ds").dt.date() == last_day).height == fleet.slots
    last = last_day - timedelta(days=HORIZON_DAYS - 1 + (not complete) + earlier)
    return [last - timedelta(days=DAYS_APART * back) for back in range(ORIGINS)][::-1]


def own_forecasts(known: LocalDays, cutoffs: list[date]) -> pl.DataFrame:
    """The platform's rows at some cutoffs, energy of the mean meter."""
    rows = pl.concat([found.rows for found in issue(known, cutoffs, seed=SEED)])
    wall = pl.col("interval_start_utc").dt.replace_time_zone("UTC").dt.convert_time_zone(known.time_zone)
    return rows.with_columns(
        ds=wall.dt.replace_time_zone(None),
        **{name: pl.col(name) / pl.col("meters") for name in ("p10_kwh", "p50_kwh", "p90_kwh")},
    )


def measure(fleet: Fleet, *, earlier: int) -> None:
    """Print one fleet's table."""
    cutoffs = origins(fleet, earlier=earlier)
    day = pl.col("ds").dt.date()
    actual = {
        cutoff: fleet.wall.filter(day.is_between(cutoff, cutoff + timedelta(days=HORIZON_DAYS - 1)))["y"].to_numpy()
        for cutoff in cutoffs
    }
    errors: dict[str, np.ndarray] = {}
    seconds: dict[str, float] = {}
    for name, peer in PEERS.items():
        started = time.process_time()
        made = [peer(fleet.wall.filter(day < cutoff), fleet.slots) for cutoff in cutoffs]
        seconds[name] = time.process_time() - started
        errors[name] = np.array([np.abs(f - actual[c]).mean() for f, c in zip(made, cutoffs, strict=True)])
    known = local_days(
        fleet.half_hours,
        time_zone=fleet.time_zone,
        country=fleet.country,
        interval_minutes=fleet.interval_minutes,
        cutoff=cutoffs[-1] + timedelta(days=HORIZON_DAYS),
        weather=fleet.weather,
    )
    started = time.process_time()
    rows = own_forecasts(known, cutoffs)
    seconds["platform"] = time.process_time() - started
    for name in OWN:
        own = rows.filter(pl.col("model") == name)
        if own["cutoff_date"].n_unique() < ORIGINS:
            continue
        # The hour that spring skips is not there, the one that autumn repeats is there twice: neither peer knows it so.
        slots = own.join(fleet.wall, on="ds").with_columns(error=(pl.col("p50_kwh") - pl.col("y")).abs())
        errors[f"**{name}**"] = (
            slots.group_by("cutoff_date").agg(pl.col("error").mean()).sort("cutoff_date")["error"].to_numpy()
        )
    _print(fleet, cutoffs, errors, seconds)
    print_coverage(fleet, known, cutoffs[-1])


def _print(fleet: Fleet, cutoffs: list[date], errors: dict[str, np.ndarray], seconds: dict[str, float]) -> None:
    naive = errors["statsforecast SeasonalNaive(week)"].mean()
    peers = [values for name, values in errors.items() if name in PEERS and not np.isnan(values).any()]
    best = min(peers, key=np.mean)
    print(
        f"\n### {fleet.name}: {len(cutoffs)} origins, {cutoffs[0]} to {cutoffs[-1]}, {HORIZON_DAYS * fleet.slots} slots each"
    )
    print("| forecaster | MAE kWh a meter | of SeasonalNaive | of the best peer, ± 1 s.e. | CPU s |\n|--|--|--|--|--|")
    for name, values in errors.items():
        if np.isnan(values).any():
            continue
        cost = seconds.get(name, seconds["platform"] if "combination" in name else float("nan"))
        shown = "" if np.isnan(cost) else f"{cost:.1f}"
        mae = values.mean()
        # Origins are five days apart and hardly overlap; twelve of them tell little.
        chance = (values - best).std(ddof=1) / np.sqrt(len(values)) / best.mean()
        print(f"| {name} | {mae:.5g} | {mae / naive:.3f} | {mae / best.mean():.3f} ± {chance:.3f} | {shown} |")


def print_coverage(fleet: Fleet, known: LocalDays, last: date) -> None:
    """Share of outcomes within P10 to P90 by lead, over daily origins."""
    cutoffs = [last - timedelta(days=back) for back in range(COVERAGE_DAYS)][::-1]
    rows = (
        own_forecasts(known, cutoffs)
        .filter("is_issued")
        .join(fleet.wall, on="ds")
        .with_columns(
            block=(pl.col("lead_hours") // BLOCK_HOURS * BLOCK_HOURS).cast(pl.Int32),
            is_inside=pl.col("y").is_between("p10_kwh", "p90_kwh"),
        )
    )
    by_block = rows.group_by("block").agg(pl.col("is_inside").mean()).sort("block").filter(pl.col("block") < 48)
    cells = ", ".join(f"{block} h {share:.1%}" for block, share in by_block.iter_rows())
    issued = rows.group_by("model").agg(pl.col("cutoff_date").n_unique()).rows()
    print(
        f"\nP10 to P90 holds {rows['is_inside'].mean():.1%} over {COVERAGE_DAYS} daily origins "
        f"(issued: {dict(issued)}); by lead from {cells}."
    )


def main() -> None:
    """Measure the series that are asked for."""
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the public data sets")
    parser.add_argument("--series", default="lcl,aep,dayton", help="lcl, or zones of pjm_hourly, by comma")
    parser.add_argument("--earlier", type=int, default=0, help="move the origins back by so many days")
    options = parser.parse_args()
    if not options.data.is_dir():
        parser.error(f"no folder {options.data}: name the public data sets' with --data")
    for name in options.series.split(","):
        fleet = read_lcl(options.data) if name == "lcl" else read_zone(options.data, name.upper())
        measure(fleet, earlier=options.earlier)


if __name__ == "__main__":
    main()
