"""The days that detectors learn from, and what several of them learn alike: medians of hours, the usual mean hour.

Belongs here: what is worked out once for all detectors that are fitted on one history. Does not belong here: what one of
them makes of it (detectors/), which days may teach (protocol.py).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import polars as pl

from energy_platform.domain.anomalies.days import (
    LEAST_DAYS,
    MAD_TO_SD,
    SMALLEST_SD_KWH,
    DayMatrix,
    Floats,
    Meters,
    Numbers,
    Singles,
    median_by_meter,
)
from energy_platform.domain.anomalies.protocol import HOURS, HOUSEHOLD_DAYS, require, teachable
from energy_platform.domain.errors import DetectorInput

# Few days off lie in a short history; below this many a meter's days are taken together.
LEAST_OF_A_KIND = 5
# So many meters' hours are sorted at once: half a year of them is 10 MB.
_METERS_AT_ONCE = 256


class DayHistory:
    """Household days as they were known; what is learned from them alike is worked out once, when it is asked for.

    Args:
        frame: ``HOUSEHOLD_DAYS``, also those that may not teach.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame

    @classmethod
    def of(cls, history: pl.DataFrame | DayHistory, detector: str) -> DayHistory:
        """A history that ``detector`` can learn from.

        Raises:
            DetectorInput: a column is missing, or no meter has ``LEAST_DAYS`` days to learn from.
        """
        made = history if isinstance(history, DayHistory) else cls(history)
        require(made.frame, HOUSEHOLD_DAYS.names(), detector)
        if made.rows.is_empty():
            raise DetectorInput(
                f"{detector} learns from {LEAST_DAYS} complete, measured days of a meter that are not known to be anomalous; "
                f"of {made.frame.height} days none of the meters has so many."
            )
        return made

    @staticmethod
    def frame_of(history: pl.DataFrame | DayHistory) -> pl.DataFrame:
        """All rows, also of readings."""
        return history.frame if isinstance(history, DayHistory) else history

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The rows that may teach, of meters with enough of them, by meter and day."""
        rows = teachable(self.frame)
        counted = rows.with_columns(days=pl.len().over("meter_id", "channel")).filter(pl.col("days") >= LEAST_DAYS)
        kept = counted.drop("days")
        return kept if _is_ordered(kept) else kept.sort("meter_id", "channel", "local_date")

    @cached_property
    def meters(self) -> Meters:
        """The meters of ``rows``."""
        return Meters.of(self.rows)

    @cached_property
    def days(self) -> DayMatrix:
        """``rows`` as arrays."""
        return DayMatrix.of(self.rows, self.meters)

    @cached_property
    def hour_medians(self) -> tuple[Singles, Singles]:
        """See the function of that name."""
        return hour_medians(self.days, self.meters.count)

    @cached_property
    def scale_kwh(self) -> Floats:
        """The usual mean hour of each meter in kWh, a hundredth of a kWh at least; shape (meters,)."""
        means = np.nan_to_num(self.days.hours_kwh).mean(axis=1).astype(np.float64)
        return np.fmax(median_by_meter(means, self.days.meter_no, self.meters.count), 0.01)

    def note(self) -> str:
        """How much it is, for people."""
        return f"{self.rows.height} days of {self.meters.count} meters and channels"


def _is_ordered(rows: pl.DataFrame) -> bool:
    if rows.is_empty():
        return True
    number, day = Meters.of(rows).numbers(rows), rows["local_date"].to_physical().to_numpy()
    forward = np.diff(number)
    return bool(((forward > 0) | ((forward == 0) & (np.diff(day) >= 0))).all())


def hour_medians(days: DayMatrix, meters: int) -> tuple[Singles, Singles]:
    """Median and deviation of each hour by meter and kind of day, kWh; the deviation is of the median absolute one.

    Args:
        days: sorted by meter.
        meters: how many.

    Returns:
        Two arrays of shape (2 × meters, 24): working days of a meter at 2n, days off at 2n + 1. A meter with few days of a
        kind has those of all its days there.
    """
    center, spread = (np.empty((2 * meters, HOURS), dtype=np.float32) for _ in range(2))
    for begin in range(0, meters, _METERS_AT_ONCE):
        end = min(begin + _METERS_AT_ONCE, meters)
        own = slice(*np.searchsorted(days.meter_no, [begin, end]))
        number, day_off, hours = days.meter_no[own] - begin, days.day_off[own], days.hours_kwh[own]
        for kind in (0, 1):
            is_kind = day_off == bool(kind)
            few = np.bincount(number[is_kind], minlength=end - begin) < LEAST_OF_A_KIND
            chosen = is_kind | few[number]
            middle, deviation = _medians(number[chosen], hours[chosen], end - begin)
            center[2 * begin + kind : 2 * end : 2] = middle
            spread[2 * begin + kind : 2 * end : 2] = np.maximum(deviation * MAD_TO_SD, smallest_sd(middle))
    return center, spread


def smallest_sd(middle: Singles) -> Floats:
    """No hour is known better than to a fifth of the day's mean hour, or a standby light would be an event."""
    mean = middle.mean(axis=1, keepdims=True).astype(np.float64)
    return np.broadcast_to(np.maximum(SMALLEST_SD_KWH, 0.2 * mean), middle.shape)


def _medians(number: Numbers, hours_kwh: Singles, meters: int) -> tuple[Singles, Singles]:
    """Median of each meter's hours and of their distances from it, of the hours that are known; shape (meters, 24).

    Sorted rather than meter by meter: 22,000 small medians cost ten times as much.
    """
    count = np.bincount(number, minlength=meters)
    place = np.arange(len(number)) - (np.cumsum(count) - count)[number]
    laid = np.full((meters, HOURS, max(int(count.max(initial=0)), 1)), np.nan, dtype=np.float32)
    laid[number, :, place] = hours_kwh
    middle = _middle(laid)
    return middle, _middle(np.abs(laid - middle[:, :, None]))


def _middle(laid: Singles) -> Singles:
    """Median along the last axis of what is known there; 0 where nothing is."""
    known = (~np.isnan(laid)).sum(axis=2)
    ordered = np.sort(laid, axis=2)  # what is unknown comes last
    both = [
        np.take_along_axis(ordered, np.maximum(at, 0)[:, :, None], axis=2)[:, :, 0]
        for at in ((known - 1) // 2, known // 2)
    ]
    found: Singles = np.where(known == 0, 0, (both[0] + both[1]) / 2).astype(np.float32)
    return found
