"""Seeded half hours of made-up fleets, as ``marts.fleet_half_hours`` holds them, and their local days."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from energy_platform.domain.forecasting.hours.local_days import LocalDays, local_days

LONDON = "Europe/London"


def midnight_utc(day: date, time_zone: str = LONDON) -> datetime:
    local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(time_zone))
    return local.astimezone(ZoneInfo("UTC")).replace(tzinfo=None)


def make_half_hours(
    *,
    seed: int = 1,
    first_day: date = date(2013, 1, 7),
    days: int = 150,
    meters: int = 10,
    noise: float = 0.05,
    carry: float = 0.0,
    time_zone: str = LONDON,
) -> pl.DataFrame:
    """A fleet with an evening peak by the wall clock, quiet weekends, and days that resemble the day before.

    Args:
        noise: relative spread of a half hour.
        carry: share of a day's own deviation that it hands on to the next; its spread is a tenth.
    """
    rng = np.random.default_rng(seed)
    start, end = midnight_utc(first_day, time_zone), midnight_utc(first_day + timedelta(days=days), time_zone)
    starts = pl.datetime_range(start, end, "30m", closed="left", time_unit="us", eager=True)
    wall = starts.dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone)
    hour = (wall.dt.hour() + wall.dt.minute() / 60).to_numpy()
    day = (wall.dt.date() - first_day).dt.total_days().to_numpy()
    weekend = (wall.dt.weekday() >= 6).to_numpy()
    shape = 0.15 + 0.3 * np.exp(-((hour - 18) ** 2) / 6) + 0.1 * np.exp(-((hour - 8) ** 2) / 4)
    level = np.zeros(days)
    for at in range(1, days):
        level[at] = carry * level[at - 1] + rng.normal(0, 0.1 if carry else 0.0)
    energy = shape * np.where(weekend, 0.8, 1.0) * np.exp(level[day] + rng.normal(0, noise, len(day)))
    return pl.DataFrame(
        {"interval_start_utc": starts, "energy_kwh": energy * meters, "meters": np.full(len(day), meters)}
    )


def make_noise(*, seed: int = 5, days: int = 150) -> pl.DataFrame:
    """Sensors whose every half hour is drawn anew, uniform between 0 and 1: nothing can be known of it."""
    rng = np.random.default_rng(seed)
    return make_half_hours(days=days).with_columns(
        energy_kwh=pl.Series(rng.uniform(0, 1, make_half_hours(days=days).height)), meters=pl.lit(1)
    )


def make_weather(half_hours: pl.DataFrame, *, seed: int = 6) -> pl.DataFrame:
    """Hourly temperatures between 0 and 12 °C over the span of some half hours."""
    hours = half_hours["interval_start_utc"].gather_every(2)
    rng = np.random.default_rng(seed)
    return pl.DataFrame({"observed_at_utc": hours, "temperature_c": rng.uniform(0, 12, len(hours))})


def known(
    half_hours: pl.DataFrame,
    cutoff: date,
    *,
    interval_minutes: int = 60,
    time_zone: str = LONDON,
    weather: pl.DataFrame | None = None,
) -> LocalDays:
    return local_days(
        half_hours,
        time_zone=time_zone,
        country="GB-ENG",
        interval_minutes=interval_minutes,
        cutoff=cutoff,
        weather=weather,
    )
