"""Seeded meter-days, and a warehouse whose marts hold them as dbt would build them.

Belongs here: daily data for features, models, forecasts and anomalies. Half-hours are in builders.py.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from energy_platform.adapters.warehouse import Warehouse, create_table_sql
from energy_platform.domain.columns import (
    CHANNEL_SUMMARIES,
    FEATURES_METER_DAYS,
    METER_DAY_VERSIONS,
    METER_DAYS,
    METERS,
    WEATHER,
)
from energy_platform.domain.features import features_sql

LOADED_UTC = datetime(2026, 1, 1)


def make_days(
    *,
    seed: int,
    meters: int = 4,
    days: int = 200,
    first_day: date = date(2013, 1, 1),
    noise: float = 0.1,
    missing_share: float = 0.03,
    incomplete_share: float = 0.03,
) -> pl.DataFrame:
    """Days of meters that differ in size by a factor of ten, with a weekday pattern, gaps and short days."""
    rng = np.random.default_rng(seed)
    parts = []
    for meter in range(meters):
        weekday = rng.uniform(0.6, 1.6, 7)
        dates = [first_day + timedelta(days=day) for day in range(days)]
        level = 10 ** rng.uniform(-0.5, 1.5)
        season = 1 + 0.3 * np.cos(2 * np.pi * np.arange(days) / 365)
        pattern = np.array([weekday[day.weekday()] for day in dates])
        energy = level * season * pattern * np.exp(rng.normal(0, noise, days))
        parts.append(
            pl.DataFrame(
                {
                    "meter_id": f"home-{meter}",
                    "local_date": dates,
                    "energy_kwh": np.round(energy, 3),
                    "completeness": np.where(rng.random(days) < incomplete_share, 0.5, 1.0),
                }
            ).filter(pl.Series(rng.random(days) >= missing_share))
        )
    return as_meter_days(pl.concat(parts))


def as_meter_days(days: pl.DataFrame) -> pl.DataFrame:
    """Complete (meter_id, local_date, energy_kwh[, …]) to the columns of ``marts.meter_days``."""
    given = days.columns
    defaults = {
        "channel": pl.lit("main"),
        "site_id": pl.col("meter_id"),
        "source": pl.lit("homes"),
        "commodity": pl.lit("electricity"),
        "completeness": pl.lit(1.0),
        "available_at_utc": pl.lit(LOADED_UTC),
        "readings": pl.lit(48),
        "expected_readings": pl.lit(48),
        "estimated_share": pl.lit(0.0),
        "peak_kwh": pl.col("energy_kwh") / 10,
        "peak_interval_start_utc": pl.col("local_date").cast(pl.Datetime("us")),
        "versions": pl.lit(0),
        "file_id": pl.lit(1),
    }
    added = {name: value for name, value in defaults.items() if name not in given}
    return days.with_columns(**added).select(METER_DAYS.column_names).cast(METER_DAYS.polars_schema)


def make_weather(days: pl.DataFrame, *, station_id: str = "kew") -> pl.DataFrame:
    """Hourly temperatures over the span of ``days``: the day of the month at every hour of it, UTC."""
    first, last = days["local_date"].min(), days["local_date"].max()
    hours = pl.datetime_range(first, last, "1h", eager=True, closed="left").cast(pl.Datetime("us"))
    return pl.DataFrame({"observed_at_utc": hours}).select(
        station_id=pl.lit(station_id),
        observed_at_utc="observed_at_utc",
        temperature_c=pl.col("observed_at_utc").dt.day().cast(pl.Float64),
        file_id=pl.lit(1, pl.Int32),
        available_at_utc=pl.lit(LOADED_UTC, pl.Datetime("us")),
    )


def make_warehouse(
    path: Path,
    days: pl.DataFrame,
    *,
    versions: pl.DataFrame | None = None,
    weather: pl.DataFrame | None = None,
    availability: str = "history",
    time_zone: str = "Europe/London",
) -> Warehouse:
    """A warehouse with ``days`` in its marts, their meters, and the features of them."""
    warehouse = Warehouse(path, threads=1)
    warehouse.ensure_tables()
    meters = days.select("meter_id", "channel", "site_id", "source", "commodity").unique().sort("meter_id", "channel")
    station = weather["station_id"][0] if weather is not None else None
    meters = meters.with_columns(
        meter_no=pl.int_range(1, pl.len() + 1, dtype=pl.Int32),
        interval_minutes=pl.lit(30, pl.Int16),
        time_zone=pl.lit(time_zone),
        country=pl.lit("GB-ENG"),
        station_id=pl.lit(station, pl.String),
        availability=pl.lit(availability),
    )
    with warehouse.transaction() as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS marts")
        connection.execute(create_table_sql(CHANNEL_SUMMARIES))
    warehouse.replace(METERS, meters, where="true")
    if weather is not None:
        warehouse.replace(WEATHER, weather, where="true")
    put_days(warehouse, days, versions=versions)
    return warehouse


def put_days(warehouse: Warehouse, days: pl.DataFrame, *, versions: pl.DataFrame | None = None) -> None:
    """Replace the days (and the versions of corrected ones), and compute the features anew."""
    none = pl.DataFrame(schema=METER_DAY_VERSIONS.polars_schema)
    warehouse.replace(METER_DAYS, days, where="true")
    warehouse.replace(METER_DAY_VERSIONS, none if versions is None else versions, where="true")
    with warehouse.transaction() as connection:
        connection.execute(f"DELETE FROM {FEATURES_METER_DAYS.full_name}")
        connection.execute(f"INSERT INTO {FEATURES_METER_DAYS.full_name} BY NAME {features_sql()}")


def correct(
    days: pl.DataFrame, *, meter_id: str, local_date: date, energy_kwh: float, at: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """``days`` with one day corrected ``at`` a moment, and both versions of it."""
    here = (pl.col("meter_id") == meter_id) & (pl.col("local_date") == local_date)
    first = days.filter(here)
    assert first.height == 1
    second = first.with_columns(
        energy_kwh=pl.lit(energy_kwh),
        available_at_utc=pl.lit(at, pl.Datetime("us")),
        versions=pl.lit(1, pl.Int64),
        file_id=pl.lit(2, pl.Int32),
    )
    versions = pl.concat([first, second]).select(METER_DAY_VERSIONS.column_names)
    return pl.concat([days.filter(~here), second]).sort("meter_id", "channel", "local_date"), versions
