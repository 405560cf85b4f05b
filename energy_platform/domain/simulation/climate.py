"""The clock and the weather that all simulated meters share: local hours, weekends, temperature."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import polars as pl

from energy_platform.domain.errors import SimulationInvalid

Floats = npt.NDArray[np.float64]

SERIES_SCHEMA = pl.Schema(
    [
        ("meter_id", pl.String),
        ("channel", pl.String),
        ("at_utc", pl.Datetime("us")),
        ("value", pl.Float64),
    ]
)
MAX_ROWS = 200_000_000


def generator(seed: int, *stream: int) -> np.random.Generator:
    """Random numbers of one purpose: another home or another purpose does not shift them."""
    return np.random.default_rng([seed, *stream])


def instants(starts_at_utc: datetime, days: float, step: timedelta) -> pl.Series:
    """Evenly spaced UTC instants from the start, the end left out.

    Raises:
        SimulationInvalid: no time, no step, or more rows than a machine holds.
    """
    if not days > 0 or step <= timedelta(0):
        raise SimulationInvalid(f"{days} days in steps of {step} are no time. Give --days above 0 and a step above 0.")
    count = int(timedelta(days=days) / step)
    if not 1 <= count <= MAX_ROWS:
        raise SimulationInvalid(f"{days} days in steps of {step} are {count:,} instants. Give 1 to {MAX_ROWS:,}.")
    offsets = pl.int_range(count, eager=True) * (step // timedelta(microseconds=1))
    return (pl.lit(starts_at_utc).cast(pl.Datetime("us")) + offsets.cast(pl.Duration("us"))).pipe(pl.select).to_series()


def local_clock(at_utc: pl.Series, time_zone: str) -> pl.DataFrame:
    """Local hour (0 to 24, with fraction), weekend, day of year and local date of UTC instants.

    Raises:
        SimulationInvalid: the zone is not an IANA zone.
    """
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SimulationInvalid(f"{time_zone!r} is no IANA time zone. Try Europe/London or UTC.") from None
    local = at_utc.dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone)
    return pl.DataFrame(
        {
            "hour": local.dt.hour() + local.dt.minute() / 60 + local.dt.second() / 3600,
            "is_weekend": local.dt.weekday() >= 6,
            "day_of_year": local.dt.ordinal_day(),
            "local_date": local.dt.date(),
        }
    )


def temperature_c(at_utc: pl.Series, *, seed: int) -> Floats:
    """Outdoor air temperature in °C of a mild maritime climate (about -8 to 30), shape (n,).

    Season and time of day as cosines, and spells of some days that are the same whatever the
    spacing of the instants.
    """
    if at_utc.is_empty():
        return np.empty(0)
    days = at_utc.dt.epoch("us").to_numpy() / 86_400e6
    first, last = int(days[0]), int(days[-1]) + 2
    shocks = generator(seed, 1).normal(0.0, 1.6, last - first + 30)
    spells = np.zeros_like(shocks)
    for day in range(1, len(shocks)):
        spells[day] = 0.75 * spells[day - 1] + shocks[day]
    spell = np.interp(days, np.arange(first, last + 30), spells)
    season = -7.0 * np.cos(2 * np.pi * (days % 365.2425 - 20) / 365.2425)
    time_of_day = -3.0 * np.cos(2 * np.pi * (days % 1 - 3 / 24))
    result: Floats = 10.5 + season + time_of_day + spell
    return result


def bump(hour: Floats, centre: float, width: float) -> Floats:
    """A bell over the hours of a day that joins up at midnight; 1 at the centre."""
    distance = np.abs((hour - centre + 12) % 24 - 12)
    result: Floats = np.exp(-0.5 * (distance / width) ** 2)
    return result


def series(meter_id: str, channel: str, at_utc: pl.Series, value: Floats, *, decimals: int) -> pl.DataFrame:
    """One meter's values in the shape that all generators return."""
    return pl.DataFrame(
        {"meter_id": meter_id, "channel": channel, "at_utc": at_utc, "value": np.round(value, decimals)},
        schema=SERIES_SCHEMA,
    )
