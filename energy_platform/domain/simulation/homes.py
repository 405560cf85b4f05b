"""Half-hourly homes: electricity and gas with daily, weekly and weather response.

Shapes are made up to be plausible, not fitted to any data set: a night base, a morning and an
evening peak (later and flatter at weekends), heating that follows the cold.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from energy_platform.domain.errors import SimulationInvalid
from energy_platform.domain.simulation.climate import (
    Floats,
    bump,
    generator,
    instants,
    local_clock,
    series,
    temperature_c,
)

INTERVAL_MINUTES = 30
DECIMALS = 4
SMALLEST_KWH = 0.005  # above the rounding, so that each planted fault changes the value
HEATING_BELOW_C = 15.5
ELECTRIC_HEATING_SHARE = 0.15
STATION_ID = "simulated"


@dataclass(frozen=True, slots=True)
class Homes:
    """Series of kWh per half-hour (meter_id ends in the commodity), and the hourly weather behind them."""

    series: pl.DataFrame
    weather: pl.DataFrame


def simulate_homes(
    count: int,
    *,
    starts_at_utc: datetime,
    days: float,
    seed: int,
    time_zone: str = "Europe/London",
    with_gas: bool = True,
) -> Homes:
    """Homes ``home-0001`` and up; a home is the same however many others there are.

    Args:
        count: homes, each with an electricity meter and, ``with_gas``, a gas meter.
        starts_at_utc: first instant, naive UTC.
        days: length; half-hours of it are counted.
        seed: of everything random.
        time_zone: whose mornings and weekends the homes live by.
        with_gas: whether there are gas meters.

    Returns:
        ``series``: meter_id (``home-0001-electricity``), channel ``main``, at_utc, value (kWh, > 0);
        ``weather``: station_id, observed_at_utc, temperature_c (hourly).

    Raises:
        SimulationInvalid: no homes, no time, or an unknown zone.
    """
    if count < 1:
        raise SimulationInvalid(f"{count} homes cannot be simulated. Give --homes 1 or more.")
    at_utc = instants(starts_at_utc, days, timedelta(minutes=INTERVAL_MINUTES))
    clock = local_clock(at_utc, time_zone)
    hour, is_weekend = clock["hour"].to_numpy(), clock["is_weekend"].to_numpy()
    cold = np.maximum(0.0, HEATING_BELOW_C - temperature_c(at_utc, seed=seed))
    frames = []
    for number in range(1, count + 1):
        home = f"home-{number:04d}"
        random = generator(seed, 3, number)
        frames.append(
            series(
                f"{home}-electricity", "main", at_utc, _electricity(hour, is_weekend, cold, random), decimals=DECIMALS
            )
        )
        if with_gas:
            frames.append(
                series(f"{home}-gas", "main", at_utc, _gas(hour, is_weekend, cold, random), decimals=DECIMALS)
            )
    hours = at_utc.filter(at_utc.dt.minute() == 0)
    weather = pl.DataFrame(
        {
            "station_id": [STATION_ID] * len(hours),
            "observed_at_utc": hours,
            "temperature_c": np.round(temperature_c(hours, seed=seed), 1),
        }
    )
    return Homes(pl.concat(frames), weather)


def readings(frame: pl.DataFrame) -> pl.DataFrame:
    """The series as a long table of readings: site, meter, channel, commodity, interval and energy."""
    return frame.select(
        pl.col("meter_id").str.replace(r"-(electricity|gas)$", "").alias("site_id"),
        "meter_id",
        "channel",
        pl.col("meter_id").str.extract(r"-(electricity|gas)$").alias("commodity"),
        pl.col("at_utc").alias("interval_start_utc"),
        pl.lit(INTERVAL_MINUTES, pl.Int16).alias("interval_minutes"),
        pl.col("value").alias("energy_kwh"),
    )


def _electricity(hour: Floats, is_weekend: Floats, cold: Floats, random: np.random.Generator) -> Floats:
    """One home's electricity, kWh per half-hour."""
    size = random.lognormal(0.0, 0.35)
    shift = random.normal(0.0, 0.7)
    morning = np.where(is_weekend, 0.5 * bump(hour, 10 + shift, 2.2), bump(hour, 7.5 + shift, 1.1))
    evening = bump(hour, 19 + shift, 2.0) * 1.6
    daytime = np.where(is_weekend, 0.45, 0.2) * bump(hour, 14, 3.5)
    heating = cold * random.uniform(0.02, 0.05) if random.random() < ELECTRIC_HEATING_SHARE else 0.0
    mean = size * (0.06 + 0.16 * (morning + evening + daytime)) + heating * (0.5 + morning + evening)
    noisy: Floats = mean * random.gamma(6.0, 1 / 6.0, len(hour))
    return np.maximum(noisy, SMALLEST_KWH)


def _gas(hour: Floats, is_weekend: Floats, cold: Floats, random: np.random.Generator) -> Floats:
    """One home's gas, kWh per half-hour: heating by the cold, hot water all year."""
    loss = random.lognormal(np.log(0.11), 0.3)
    on = 0.15 + np.where(is_weekend, bump(hour, 10, 3.0), bump(hour, 7, 1.5)) + bump(hour, 19, 2.5)
    hot_water = 0.35 * (bump(hour, 7.3, 0.7) + 0.7 * bump(hour, 20.5, 1.0)) * random.gamma(2.0, 0.5, len(hour))
    noisy: Floats = cold * loss * on * random.gamma(8.0, 1 / 8.0, len(hour)) + hot_water
    return np.maximum(noisy, SMALLEST_KWH)
