"""A home's appliances as ``timestamp,appliance,kwh``: AC, refrigerator, heater, washing machine.

Base load, the evening factor of 1.5 to 2, the night factor of 0.3 to 0.5 and the noise are those
of the S3 pipeline's own generator; AC and heater follow the weather as well, and its unlabelled
five per cent of anomalies are replaced by labelled faults.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from energy_platform.domain.errors import SimulationInvalid
from energy_platform.domain.simulation.climate import Floats, generator, instants, local_clock, series, temperature_c

DECIMALS = 4
SMALLEST_KWH = 0.005
BASE_KWH_PER_HOUR: dict[str, float] = {"AC": 2.5, "Refrigerator": 0.15, "Heater": 1.8, "Washing Machine": 0.5}
NOISE_SHARE = 0.1
WEEKEND_FACTOR: dict[str, float] = {"AC": 1.1, "Refrigerator": 1.0, "Heater": 1.1, "Washing Machine": 1.6}


def simulate_appliances(
    *,
    starts_at_utc: datetime,
    days: float,
    seed: int,
    interval_minutes: int = 60,
    time_zone: str = "UTC",
) -> pl.DataFrame:
    """Series of meter ``home``, one channel an appliance, kWh per interval, > 0.

    Raises:
        SimulationInvalid: no time, or an interval that does not divide the day.
    """
    if interval_minutes < 1 or 1440 % interval_minutes:
        raise SimulationInvalid(f"an interval of {interval_minutes} minutes does not divide the day. Try 30 or 60.")
    at_utc = instants(starts_at_utc, days, timedelta(minutes=interval_minutes))
    clock = local_clock(at_utc, time_zone)
    outdoors = temperature_c(at_utc, seed=seed)
    frames = []
    for position, (appliance, base) in enumerate(BASE_KWH_PER_HOUR.items()):
        random = generator(seed, 5, position)
        mean = base * interval_minutes / 60 * _factor(appliance, clock, outdoors, random)
        value = np.maximum(mean * (1 + random.normal(0.0, NOISE_SHARE, len(at_utc))), SMALLEST_KWH)
        frames.append(series("home", appliance, at_utc, value, decimals=DECIMALS))
    return pl.concat(frames)


def appliance_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """The series as timestamp (``yyyy-mm-dd HH:MM:SS``, UTC, start of the interval), appliance, kwh."""
    return frame.sort("at_utc", maintain_order=True).select(
        pl.col("at_utc").dt.strftime("%Y-%m-%d %H:%M:%S").alias("timestamp"),
        pl.col("channel").alias("appliance"),
        pl.col("value").alias("kwh"),
    )


def _factor(appliance: str, clock: pl.DataFrame, outdoors: Floats, random: np.random.Generator) -> Floats:
    """What the base load is multiplied by, hour by hour."""
    hour, count = clock["hour"].to_numpy(), clock.height
    evening = (hour >= 18) & (hour < 21)
    night = (hour >= 22) | (hour < 6)
    by_hour = np.where(evening, random.uniform(1.5, 2.0, count), np.where(night, random.uniform(0.3, 0.5, count), 1.0))
    weather = np.ones(count)
    if appliance == "AC":
        weather = np.clip(0.1 + (outdoors - 10) / 12, 0.1, 1.5)
    elif appliance == "Heater":
        weather = np.clip(0.1 + (18 - outdoors) / 12, 0.1, 1.5)
    by_day = np.where(clock["is_weekend"].to_numpy(), WEEKEND_FACTOR[appliance], 1.0)
    steady = appliance == "Refrigerator"  # it runs day and night
    result: Floats = weather * by_day * (1.0 if steady else by_hour)
    return result
