"""Gas and electricity sensors that send ``{"sensor_id", "timestamp", "data": {"value"}}`` every few seconds.

The value has no unit on the wire, as with the sensors this format comes from: electricity runs
from 10 to 100 and gas from 1 to 10, two decimals. ``uniform`` draws them independently as those
did, which nothing can forecast; otherwise they follow the hour, the week and the cold.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

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

DECIMALS = 2
RANGES: dict[str, tuple[float, float]] = {"electricity": (10.0, 100.0), "gas": (1.0, 10.0)}


def simulate_sensors(
    *,
    starts_at_utc: datetime,
    days: float,
    seed: int,
    stations: int = 1,
    every_seconds: float = 5.0,
    uniform: bool = False,
    time_zone: str = "UTC",
) -> pl.DataFrame:
    """Series of ``electricity-sensor`` and ``gas-sensor`` (``…-2`` and so on for more stations).

    Raises:
        SimulationInvalid: no station, no time, or steps below a second (the timestamp has none).
    """
    if stations < 1 or every_seconds < 1:
        raise SimulationInvalid("Give --stations 1 or more and --every 1 or more: timestamps are whole seconds.")
    at_utc = instants(starts_at_utc, days, timedelta(seconds=round(every_seconds)))
    clock = local_clock(at_utc, time_zone)
    cold = np.clip((18.0 - temperature_c(at_utc, seed=seed)) / 25.0, 0.0, 1.0)
    frames = []
    for station in range(1, stations + 1):
        for position, (commodity, (low, high)) in enumerate(RANGES.items()):
            random = generator(seed, 4, station, position)
            share = random.random(len(at_utc)) if uniform else _share(clock, cold, commodity, random)
            name = f"{commodity}-sensor" if station == 1 else f"{commodity}-sensor-{station}"
            frames.append(series(name, commodity, at_utc, low + (high - low) * share, decimals=DECIMALS))
    return pl.concat(frames)


def sensor_events(frame: pl.DataFrame) -> pl.DataFrame:
    """The series as events in order of time: sensor_id, timestamp (epoch seconds), data.value."""
    return frame.sort("at_utc", maintain_order=True).select(
        pl.col("meter_id").alias("sensor_id"),
        pl.col("at_utc").dt.epoch("s").alias("timestamp"),
        pl.struct(pl.col("value")).alias("data"),
    )


def keyed_events(frame: pl.DataFrame) -> Iterator[tuple[str, dict[str, Any]]]:
    """Partition key (``electricity`` or ``gas``) and event, in order of time."""
    for event in sensor_events(frame).iter_rows(named=True):
        yield event["sensor_id"].split("-")[0], event


def _share(clock: pl.DataFrame, cold: Floats, commodity: str, random: np.random.Generator) -> Floats:
    """Where in its range the value lies, 0 to 1."""
    hour, is_weekend = clock["hour"].to_numpy(), clock["is_weekend"].to_numpy()
    morning = np.where(is_weekend, bump(hour, 10, 2.0), bump(hour, 7.5, 1.3))
    shape = 0.1 + 0.35 * morning + 0.5 * bump(hour, 19, 2.2)
    driven = shape * (0.25 + 0.75 * cold) if commodity == "gas" else shape * (0.85 + 0.15 * cold)
    result: Floats = np.clip(driven + random.normal(0.0, 0.03, len(hour)), 0.0, 1.0)
    return result
