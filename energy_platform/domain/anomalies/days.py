"""Household days as arrays, and what every detector of them needs: meters by number, medians by meter, result frames.

Belongs here: what several detectors share. Does not belong here: what one of them calls anomalous
(detectors/), where the rows come from (rows.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from energy_platform.domain.anomalies.protocol import DAY_KEY, DAY_SCORES, HOURS

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Flags = NDArray[np.bool_]
Numbers = NDArray[np.int64]

# Two weeks of working days and days off, or a median is one day's whim.
LEAST_DAYS = 14
# Rows that are worked on at once: 24 hours of them stay in the processor's cache.
CHUNK = 8_000
# Median absolute deviation to standard deviation of a normal distribution (1 / Φ⁻¹(3/4)).
MAD_TO_SD = 1.4826
# A meter that says the same every day must not make an anomaly of its last digit.
SMALLEST_SD_KWH = 0.01


Reason = Callable[[int], str] | Sequence[str]
"""The sentence of a row by its place, or the sentences of the anomalous rows in their order."""


@dataclass(frozen=True, slots=True)
class Meters:
    """The meters and channels that a detector knows, by number; ``key`` has meter_id, channel, meter_no."""

    key: pl.DataFrame

    @classmethod
    def of(cls, rows: pl.DataFrame) -> Meters:
        """The meters of some rows."""
        return cls(rows.select("meter_id", "channel").unique().sort("meter_id", "channel").with_row_index("meter_no"))

    @property
    def count(self) -> int:
        """How many."""
        return self.key.height

    def numbers(self, rows: pl.DataFrame) -> Numbers:
        """The number of each row's meter, -1 for an unknown one; shape (rows,)."""
        if rows.is_empty():
            return np.empty(0, dtype=np.int64)
        # Rows of a meter mostly stand together: where the names change is asked once, 8 ms for two million rows.
        begins = np.zeros(rows.height, dtype=np.bool_)
        for name in ("meter_id", "channel"):
            begins |= np.diff(rows[name].rle_id().to_numpy(), prepend=-1) != 0
        places = np.flatnonzero(begins)
        found = rows.select("meter_id", "channel")[places].join(
            self.key, on=["meter_id", "channel"], how="left", maintain_order="left"
        )
        numbers = found["meter_no"].cast(pl.Int64).fill_null(-1).to_numpy()
        return np.repeat(numbers, np.diff(places, append=rows.height))


@dataclass(frozen=True, slots=True)
class DayMatrix:
    """Household days as arrays, in the order of the rows.

    Args:
        hours_kwh: shape (rows, 24), NaN where unknown.
        day_off: whether a weekend day or public holiday at the site, shape (rows,).
        meter_no: of ``Meters``, -1 for an unknown one.
    """

    hours_kwh: Singles
    day_off: Flags
    meter_no: Numbers

    @classmethod
    def of(cls, rows: pl.DataFrame, meters: Meters) -> DayMatrix:
        """The arrays of ``HOUSEHOLD_DAYS``."""
        hours = rows["hours_kwh"].to_numpy()
        if hours.dtype == object or hours.shape != (rows.height, HOURS):
            hours = np.array(rows["hours_kwh"].to_list(), dtype=np.float32).reshape(rows.height, HOURS)
        return cls(hours, rows["is_day_off"].to_numpy(), meters.numbers(rows))

    def at(self, places: Numbers) -> DayMatrix:
        """Some of the rows."""
        return DayMatrix(self.hours_kwh[places], self.day_off[places], self.meter_no[places])

    def chunks(self) -> Iterator[tuple[slice, DayMatrix]]:
        """Pieces of at most ``CHUNK`` rows with their places, so that working arrays stay small."""
        for begin in range(0, len(self.meter_no), CHUNK):
            place = slice(begin, begin + CHUNK)
            yield place, DayMatrix(self.hours_kwh[place], self.day_off[place], self.meter_no[place])

    def map(self, function: Callable[[DayMatrix], Floats]) -> Floats:
        """``function`` of every piece, put together; shape (rows,)."""
        found = np.empty(len(self.meter_no))
        for place, piece in self.chunks():
            found[place] = function(piece)
        return found


def median_by_meter(values: Floats, meter_no: Numbers, meters: int) -> Floats:
    """Median of each meter's values, NaN without any; shape (meters,)."""
    return _aggregate(values, meter_no, meters, pl.col("value").median())


def quantile_by_meter(values: Floats, meter_no: Numbers, meters: int, share: float) -> Floats:
    """The value that ``share`` of a meter's values do not exceed (nearest rank above), NaN without any."""
    return _aggregate(values, meter_no, meters, pl.col("value").quantile(share, "higher"))


def spread_by_meter(values: Floats, meter_no: Numbers, center: Floats, smallest: float) -> Floats:
    """Standard deviation of each meter's values around ``center`` by the median absolute deviation; shape (meters,)."""
    away = np.abs(values - center[meter_no])
    return np.fmax(median_by_meter(away, meter_no, len(center)) * MAD_TO_SD, smallest)


def _aggregate(values: Floats, meter_no: Numbers, meters: int, expression: pl.Expr) -> Floats:
    frame = pl.DataFrame({"meter_no": meter_no, "value": values}).with_columns(pl.col("value").fill_nan(None))
    made = frame.group_by("meter_no").agg(expression.cast(pl.Float64))
    found = np.full(meters, np.nan)
    found[made["meter_no"].to_numpy()] = made["value"].to_numpy()
    return found


def at(values: Floats, meter_no: Numbers) -> Floats:
    """Each row's value of its meter, NaN for unknown meters."""
    found: Floats = np.where(meter_no >= 0, values[meter_no], np.nan)
    return found


def day_scores(
    rows: pl.DataFrame,
    *,
    score: Floats,
    is_anomalous: Flags,
    value: Floats,
    expected: Floats,
    lower: Floats | None,
    upper: Floats | None,
    reason: Reason,
) -> pl.DataFrame:
    """``DAY_SCORES`` of arrays; NaN becomes null, ``reason`` is asked for anomalous rows only."""
    unknown = np.isnan(score)
    has_unknown = bool(unknown.any())
    if has_unknown:
        is_anomalous = is_anomalous & ~unknown
    columns = {"score": score, "value": value, "expected": expected, "lower": lower, "upper": upper}

    def series(name: str, numbers: Floats | None) -> pl.Series | pl.Expr:
        if numbers is None:
            return pl.lit(None, dtype=pl.Float64).alias(name)
        if has_unknown:
            numbers = np.where(unknown, np.nan, numbers)
        made = pl.Series(name, numbers, dtype=pl.Float64)
        # An array without NaN is taken over as it is: it costs nothing.
        return made.fill_nan(None) if np.isnan(numbers).any() else made

    made = rows.select(DAY_KEY).with_columns(
        *(series(name, numbers) for name, numbers in columns.items()),
        pl.Series("is_anomalous", is_anomalous),
        sentences(is_anomalous, reason),
    )
    return made.select(DAY_SCORES.names())


def sentences(is_anomalous: Flags, reason: Reason) -> pl.Series:
    """Column ``reason``: a sentence where anomalous, null elsewhere."""
    places = np.flatnonzero(is_anomalous)
    texts = [reason(int(place)) for place in places] if callable(reason) else reason
    told = pl.Series("reason", texts, dtype=pl.String)
    spread = np.full(len(is_anomalous), len(places), dtype=np.uint32)
    spread[places] = np.arange(len(places), dtype=np.uint32)
    return told.extend(pl.Series("reason", [None], dtype=pl.String)).gather(spread)


def clock(hour: int) -> str:
    """An hour of the day as people write it.

    Example:
        >>> clock(3)
        '03:00–04:00'
    """
    return f"{hour:02d}:00–{hour + 1:02d}:00"
