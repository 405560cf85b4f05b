"""The three shapes of events, each as columns in and rows out.

    reading    {"meter_id", "channel"?, "interval_start", "interval_minutes", "energy_kwh", "quality"?, "commodity"?}
    sensor     {"sensor_id", "timestamp", "data": {"value"} or a bare number}
    telemetry  {"a" … "i", "timestamp"?, "device_id"?}: voltage, current and apparent power of main, dev1 and dev2,
               as an ESP32 meter sends it; without a timestamp it gets the time of its arrival

Faulty objects are noted in ``Columns.faults``; the frames have rows for the others only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from energy_platform.domain.events.batch import READING_SCHEMA, SENSOR_SCHEMA, TELEMETRY_SCHEMA, EventReason
from energy_platform.domain.events.fields import (
    Columns,
    decimal_or_none,
    epoch_instants,
    iso_instants,
    naive_micros,
    shown,
    utc_text,
)

MINUTES_PER_DAY = 1440
QUALITIES = ("measured", "estimated")
COMMODITIES = ("electricity", "gas")
# Channel, and the keys of its voltage, current and apparent power.
TELEMETRY_CHANNELS = (("main", "a", "b", "c"), ("dev1", "d", "e", "f"), ("dev2", "g", "h", "i"))
TELEMETRY_KEYS = frozenset("abcdefghi")
_MICROS_PER_MINUTE = 60_000_000


def readings(columns: Columns, *, received_at_utc: datetime) -> pl.DataFrame:
    """Energy over intervals, one row per faultless object.

    Energy may be negative (export); whether that is plausible is for the lake's checks to say.
    """
    meters = columns.identifiers("meter_id")
    channels = columns.checked("channel", {str}, instead="main", must_be="text", required=False)
    minutes = _interval_minutes(columns)
    starts = columns.in_range(
        "interval_start", iso_instants(columns, "interval_start"), received_at_utc=received_at_utc
    )
    _refuse_off_grid(columns, starts, minutes)
    energy = columns.numbers("energy_kwh")
    frame = pl.DataFrame(
        {
            "meter_id": pl.Series(meters, dtype=pl.String()),
            "channel": pl.Series(channels, dtype=pl.String()),
            "interval_start_utc": utc_text(starts, fraction=False),
            "interval_minutes": pl.Series(minutes, dtype=pl.Int16()),
            "energy_kwh": energy,
            "quality": pl.Series(columns.words("quality", QUALITIES, default="measured"), dtype=pl.String()),
            "commodity": pl.Series(columns.words("commodity", COMMODITIES, default="electricity"), dtype=pl.String()),
        },
        schema=READING_SCHEMA,
    )
    return frame.filter(columns.good()) if columns.faults else frame


def _interval_minutes(columns: Columns) -> np.ndarray[Any, np.dtype[np.int64]]:
    values = columns.checked("interval_minutes", {int}, instead=1, must_be="a whole number of minutes")
    for odd in {value for value in set(values) if not 1 <= value <= MINUTES_PER_DAY or MINUTES_PER_DAY % value}:
        for position, value in enumerate(values):
            if value == odd:
                detail = f"interval_minutes is {odd}; it must divide a day of 1440 minutes"
                columns.refuse(position, EventReason.BAD_INTERVAL, detail, "interval_minutes")
                values[position] = 1
    return np.array(values, dtype=np.int64)


def _refuse_off_grid(
    columns: Columns,
    starts: np.ndarray[Any, np.dtype[np.int64]],
    minutes: np.ndarray[Any, np.dtype[np.int64]],
) -> None:
    """Refuse starts off the grid. Zones are whole quarters of an hour from UTC, so that is what can be asked."""
    step = np.gcd(minutes, 15) * _MICROS_PER_MINUTE
    off = starts % step != 0
    for position in np.flatnonzero(off).tolist():
        value = shown(columns.objects[position].get("interval_start"))
        grid = math.gcd(int(minutes[position]), 15)
        detail = f"interval_start is {value}; {minutes[position]}-minute intervals begin on a multiple of {grid} min"
        columns.refuse(position, EventReason.OFF_GRID, detail, "interval_start")


def sensors(columns: Columns, *, received_at_utc: datetime) -> pl.DataFrame:
    """Values of gas and electricity sensors, one row per faultless object; ``data`` is an object or a number."""
    meters = columns.identifiers("sensor_id")
    instants = columns.in_range("timestamp", epoch_instants(columns, "timestamp"), received_at_utc=received_at_utc)
    values = [_sensor_value(columns, position, entry.get("data")) for position, entry in enumerate(columns.objects)]
    frame = pl.DataFrame(
        {
            "meter_id": pl.Series(meters, dtype=pl.String()),
            "channel": pl.Series(["main"] * len(meters), dtype=pl.String()),
            "measured_at_utc": utc_text(instants, fraction=True),
            "value": columns.finite("data", values),
            "commodity": pl.Series(["gas" if "gas" in name.lower() else "electricity" for name in meters]),
        },
        schema=SENSOR_SCHEMA,
    )
    return frame.filter(columns.good()) if columns.faults else frame


def _sensor_value(columns: Columns, position: int, data: object) -> float:
    value = data.get("value") if isinstance(data, dict) else data
    if type(value) in {int, float}:
        return float(value)  # type: ignore[arg-type]  # its type was just asked for
    if value is None:
        columns.refuse(position, EventReason.MISSING_FIELD, "data.value is missing; it must be a number", "data")
    else:
        detail = f"data.value is {shown(value)}; it must be a number"
        columns.refuse(position, EventReason.WRONG_TYPE, detail, "data")
    return 0.0


def telemetry(
    columns: Columns, *, received_at_utc: datetime, arrived_at_utc: Sequence[datetime], origins: Sequence[str]
) -> pl.DataFrame:
    """Voltage, current and apparent power of an ESP32 meter: three rows (main, dev1, dev2) per faultless object.

    The payload carries no time and no name. The time is that of arrival, unless a ``timestamp``
    (seconds since 1970) is sent; the meter is what the topic names, unless ``device_id`` is sent.
    MQTT tells no time of arrival but the consumer's, so that a payload without ``timestamp`` that is
    delivered twice becomes two instants; Kafka and Kinesis keep the broker's.
    """
    stamped = np.array([entry.get("timestamp") is not None for entry in columns.objects], dtype=np.bool_)
    instants = naive_micros(arrived_at_utc)
    if stamped.any():
        filled = [
            {"timestamp": entry["timestamp"] if has else 0}
            for entry, has in zip(columns.objects, stamped.tolist(), strict=True)
        ]
        sent = epoch_instants(Columns(filled, columns.indices, columns.shape, columns.faults), "timestamp")
        instants = np.where(stamped, sent, instants)
    columns.in_range("timestamp", instants, received_at_utc=received_at_utc)
    meters = [_device(entry, topic) for entry, topic in zip(columns.objects, origins, strict=True)]
    for position, meter in enumerate(meters):
        if not meter:
            columns.refuse(position, EventReason.BLANK_ID, "neither device_id nor the topic names the meter")
    quantities = {
        name: [_quantity(columns, position, name) for position in range(len(meters))] for name in sorted(TELEMETRY_KEYS)
    }
    good = columns.good()
    frames = [
        pl.DataFrame(
            {
                "meter_id": pl.Series(meters, dtype=pl.String()),
                "channel": pl.Series([channel] * len(meters), dtype=pl.String()),
                "measured_at_utc": utc_text(instants, fraction=True),
                "voltage_v": quantities[volts],
                "current_a": quantities[amperes],
                "apparent_power_va": quantities[volt_amperes],
            },
            schema=TELEMETRY_SCHEMA,
        ).filter(good)
        for channel, volts, amperes, volt_amperes in TELEMETRY_CHANNELS
    ]
    return pl.concat(frames)


def _quantity(columns: Columns, position: int, name: str) -> float:
    value = columns.objects[position].get(name)
    number = decimal_or_none(value)
    if number is not None:
        return number
    if value is None:
        columns.refuse(position, EventReason.MISSING_FIELD, f"{name} is missing; an ESP32 payload has a to i", name)
    else:
        detail = f"{name} is {shown(value)}; it must be a number, as text or not"
        columns.refuse(position, EventReason.WRONG_TYPE, detail, name)
    return 0.0


def _device(entry: dict[str, Any], topic: str) -> str:
    """The meter that a payload is from: ``device_id``, else the topic (``esp32/pub``, ``meters/kitchen/pub``)."""
    named = entry.get("device_id")
    if isinstance(named, str) and named.strip():
        return named.strip()
    levels = [level for level in topic.split("/") if level]
    if len(levels) > 1 and levels[-1] in {"pub", "telemetry"}:
        levels.pop()
    return levels[-1] if levels else ""
