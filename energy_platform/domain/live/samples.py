"""A batch of validated events as series: the values of one quantity of one channel, in order of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from energy_platform.domain.events import EventBatch
from energy_platform.domain.units import POWER_KW_PER_UNIT, Unit

Key = tuple[str, str, str]
"""Meter, channel, quantity."""
TELEMETRY_UNITS = {"voltage_v": "V", "current_a": "A", "apparent_power_va": "VA"}
_ISO = "%Y-%m-%dT%H:%M:%S%.fZ"


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one quantity.

    Args:
        meter_id: of the meter.
        channel: of the meter.
        quantity: ``voltage_v``, ``current_a``, ``apparent_power_va``, ``power_kw``, ``energy_kwh``, or ``value`` where a
            sensor measures something else than power.
        unit: of the values, as texts write it.
        commodity: ``electricity`` or ``gas``.
        at_us: microseconds since 1970, ascending; of an interval its end.
        values: as many.
    """

    meter_id: str
    channel: str
    quantity: str
    unit: str
    commodity: str
    at_us: list[int]
    values: list[float]

    @property
    def key(self) -> Key:
        """What it is kept under."""
        return self.meter_id, self.channel, self.quantity


def series_of(batch: EventBatch, *, sensor_unit: str = "kW") -> list[Series]:
    """Every series of a batch.

    Args:
        batch: what validation gave.
        sensor_unit: unit of the sensors' values as their source declares it; units of power become kW.

    Returns:
        One series a meter, channel and quantity, stamps ascending; equal stamps keep the order in which they came.
    """
    return [*_readings(batch.readings), *_sensors(batch.sensors, sensor_unit), *_telemetry(batch.telemetry)]


def _readings(frame: pl.DataFrame) -> Iterator[Series]:
    end_us = _micros("interval_start_utc") + pl.col("interval_minutes").cast(pl.Int64) * 60_000_000
    for meter, channel, commodity, at_us, values in _grouped(frame, end_us, ["energy_kwh"]):
        yield Series(meter, channel, "energy_kwh", "kWh", commodity, at_us, values[0])


def _sensors(frame: pl.DataFrame, unit: str) -> Iterator[Series]:
    factor = POWER_KW_PER_UNIT.get(Unit(unit)) if unit in {known.value for known in Unit} else None
    for meter, channel, commodity, at_us, values in _grouped(frame, _micros("measured_at_utc"), ["value"]):
        if factor is None:
            yield Series(meter, channel, "value", unit, commodity, at_us, values[0])
        else:
            kilowatts = values[0] if factor == 1 else [value * factor for value in values[0]]
            yield Series(meter, channel, "power_kw", "kW", commodity, at_us, kilowatts)


def _telemetry(frame: pl.DataFrame) -> Iterator[Series]:
    names = list(TELEMETRY_UNITS)
    for meter, channel, commodity, at_us, columns in _grouped(frame, _micros("measured_at_utc"), names):
        for name, values in zip(names, columns, strict=True):
            yield Series(meter, channel, name, TELEMETRY_UNITS[name], commodity, at_us, values)


def _grouped(
    frame: pl.DataFrame, at_us: pl.Expr, values: list[str]
) -> Iterator[tuple[str, str, str, list[int], list[list[float]]]]:
    """Meter, channel, commodity, stamps and the lists of some columns."""
    if frame.is_empty():
        return
    commodity = pl.col("commodity") if "commodity" in frame.columns else pl.lit("electricity").alias("commodity")
    rows = frame.select("meter_id", "channel", commodity, at_us.alias("at_us"), *values)
    ordered = rows.sort("at_us", maintain_order=True)
    groups = ordered.group_by("meter_id", "channel", maintain_order=True).agg(
        pl.col("commodity").first(), "at_us", *values
    )
    for meter, channel, kind, stamps, *columns in groups.iter_rows():
        yield meter, channel, kind, stamps, columns


def _micros(name: str) -> pl.Expr:
    return pl.col(name).str.to_datetime(_ISO, time_unit="us").dt.epoch("us")
