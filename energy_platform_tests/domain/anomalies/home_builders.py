"""Homes whose every number is known: household days on a daily shape, with faults where a test puts them."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from energy_platform.domain.anomalies.protocol import HOURS, HOUSEHOLD_DAYS

FIRST = date(2013, 1, 7)


def shape() -> np.ndarray:
    """A quiet night, a morning and an evening peak; kWh an hour."""
    hours = np.arange(HOURS)
    return 0.15 + 0.3 * np.exp(-(((hours - 8) / 2) ** 2)) + 0.8 * np.exp(-(((hours - 19) / 2.5) ** 2))


def make_days(
    *,
    meters: int = 1,
    days: int = 126,
    seed: int = 0,
    hours: np.ndarray | None = None,
    temperature_c: np.ndarray | None = None,
    noise: float = 0.15,
) -> pl.DataFrame:
    """``HOUSEHOLD_DAYS`` of homes with 15 % noise an hour; weekends are days off and 20 % larger.

    Args:
        hours: shape (meters × days, 24), instead of the shape with noise.
    """
    random = np.random.default_rng(seed)
    dates = [FIRST + timedelta(days=day) for day in range(days)]
    off = np.tile([day.weekday() > 4 for day in dates], meters)
    if hours is None:
        hours = shape() * random.lognormal(0, noise, (meters * days, HOURS)) * np.where(off, 1.2, 1.0)[:, None]
    hours = hours.astype(np.float32)
    energy = np.nansum(hours, axis=1)
    frame = pl.DataFrame(
        {
            "meter_id": [f"m{meter:02d}" for meter in range(meters) for _ in dates],
            "local_date": dates * meters,
            "is_day_off": off,
            "energy_kwh": energy,
            "hours_kwh": pl.Series(hours, dtype=pl.Array(pl.Float32, HOURS)),
            "forecast_kwh": energy * random.lognormal(0, 0.1, len(energy)),
            "temperature_c": np.full(len(energy), 10.0) if temperature_c is None else temperature_c,
        }
    )
    return frame.with_columns(
        channel=pl.lit("main"),
        readings=pl.lit(48),
        expected_readings=pl.lit(48),
        estimated_share=pl.lit(0.0),
        is_known_anomalous=pl.lit(value=False),
    ).select(*(pl.col(name).cast(dtype) for name, dtype in HOUSEHOLD_DAYS.items()))


def split(frame: pl.DataFrame, days: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The first days of every meter, and the rest."""
    border = FIRST + timedelta(days=days)
    return frame.filter(pl.col("local_date") < border), frame.filter(pl.col("local_date") >= border)


def changed(frame: pl.DataFrame, place: int, hours: np.ndarray) -> pl.DataFrame:
    """The frame with other hours in one row."""
    values = np.array(frame["hours_kwh"].to_numpy())
    values[place] = hours
    return frame.with_columns(pl.Series("hours_kwh", values.astype(np.float32), dtype=pl.Array(pl.Float32, HOURS)))


def hours_of(frame: pl.DataFrame, place: int) -> np.ndarray:
    """The hours of one row."""
    return np.array(frame["hours_kwh"].to_numpy()[place], dtype=np.float64)
