"""What validation gives: rows by shape, and the refused messages with a reason each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import polars as pl

# Times are text here: the rows go to NDJSON, and ISO 8601 with Z is what every reader understands.
READING_SCHEMA = pl.Schema(
    {
        "meter_id": pl.String(),
        "channel": pl.String(),
        "interval_start_utc": pl.String(),
        "interval_minutes": pl.Int16(),
        "energy_kwh": pl.Float64(),
        "quality": pl.String(),
        "commodity": pl.String(),
    }
)
SENSOR_SCHEMA = pl.Schema(
    {
        "meter_id": pl.String(),
        "channel": pl.String(),
        "measured_at_utc": pl.String(),
        "value": pl.Float64(),
        "commodity": pl.String(),
    }
)
TELEMETRY_SCHEMA = pl.Schema(
    {
        "meter_id": pl.String(),
        "channel": pl.String(),
        "measured_at_utc": pl.String(),
        "voltage_v": pl.Float64(),
        "current_a": pl.Float64(),
        "apparent_power_va": pl.Float64(),
    }
)


class EventReason(StrEnum):
    """Why a message is refused."""

    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    UNKNOWN_SHAPE = "unknown_shape"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    BLANK_ID = "blank_id"
    NOT_FINITE = "not_finite"
    BAD_TIME = "bad_time"
    TIME_WITHOUT_ZONE = "time_without_zone"
    TIME_OUT_OF_RANGE = "time_out_of_range"
    OFF_GRID = "off_grid"
    BAD_INTERVAL = "bad_interval"
    BAD_WORD = "bad_word"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refused message: its place in the batch, why, what was found there, and the shape it seems to have."""

    index: int
    reason: EventReason
    detail: str
    column: str | None = None
    shape: str = "readings"


@dataclass(frozen=True, slots=True)
class EventBatch:
    """The outcome of validating a batch of messages.

    Args:
        readings: energy over intervals, ``READING_SCHEMA``.
        sensors: values of gas and electricity sensors at instants, ``SENSOR_SCHEMA``; the unit of
            ``value`` is what the source declaration says, because the event does not say it.
        telemetry: voltage (V), current (A) and apparent power (VA) at instants, ``TELEMETRY_SCHEMA``.
        rejections: refused messages in the order they came.
        accepted: messages (not rows) that became rows.
    """

    readings: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=READING_SCHEMA))
    sensors: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SENSOR_SCHEMA))
    telemetry: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=TELEMETRY_SCHEMA))
    rejections: tuple[Rejection, ...] = ()
    accepted: int = 0

    def frames(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """The shapes that have rows, by name: ``readings``, ``sensors``, ``telemetry``."""
        for shape, frame in (("readings", self.readings), ("sensors", self.sensors), ("telemetry", self.telemetry)):
            if not frame.is_empty():
                yield shape, frame
