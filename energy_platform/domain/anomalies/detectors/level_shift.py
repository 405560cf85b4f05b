"""A lasting change of a meter's level: told once, then the new level is the usual one.

Page's cumulative sums (E. S. Page, Continuous Inspection Schemes, Biometrika 1954) of the days' logarithmic
level, both directions. The day on which the sum passes the limit is anomalous, and only that day: from then on the mean of
the days since the change began is the level, and the sums start anew. So a home with a new heat pump is one
alarm, not weeks of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from energy_platform.domain.anomalies.days import (
    DayMatrix,
    Flags,
    Floats,
    Meters,
    Numbers,
    at,
    day_scores,
    median_by_meter,
    spread_by_meter,
)
from energy_platform.domain.anomalies.history import DayHistory
from energy_platform.domain.anomalies.protocol import HOURS, Grain

NAME = "level_shift"
# In deviations of a day: what is not added up, and the sum that is an alarm.
SLACK = 0.75
LIMIT = 6.0
# One day, however strange, is no shift.
MOST_A_DAY = 2.5
_SMALLEST_SD = 0.1
_LEAST_KWH = 0.02


@dataclass(frozen=True, slots=True)
class FittedLevelShift:
    """Logarithm of the usual mean hour by meter and kind of day, shape (2 × meters,), and its deviation, (meters,)."""

    meters: Meters
    usual: Floats
    sd: Floats
    note: str

    def score(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Cumulative sum over the limit, day after day of each meter; anomalous where it passes 1."""
        days = DayMatrix.of(rows, self.meters)
        level = days_level(days)
        kind = 2 * np.maximum(days.meter_no, 0) + days.day_off
        usual = np.where(days.meter_no < 0, np.nan, self.usual[kind])
        away = (level - usual) / at(self.sd, days.meter_no)
        score, shifted, since, moved = cumulated(away, _order(rows, days.meter_no))
        sd = at(self.sd, days.meter_no)
        value = _kwh(level)
        expected, lower, upper = (_kwh(usual + (moved + reach) * sd) for reach in (0, -MOST_A_DAY, MOST_A_DAY))

        def reason(row: int) -> str:
            side = "more" if away[row] > 0 else "less"
            return (
                f"for {int(since[row])} days {side} than before: {value[row]:.1f} kWh on this day, "
                f"{expected[row]:.1f} kWh were usual. This is the new level from now on."
            )

        return day_scores(
            rows,
            score=score,
            is_anomalous=shifted,
            value=value,
            expected=expected,
            lower=lower,
            upper=upper,
            reason=reason,
        )


@dataclass(frozen=True, slots=True)
class LevelShift:
    """Cumulative sums of every meter's level."""

    name: str = NAME
    grain: Grain = Grain.HOUSEHOLD_DAY

    def fit(self, history: pl.DataFrame | DayHistory) -> FittedLevelShift:
        """Learn the level and its spread of every meter with enough days."""
        known = DayHistory.of(history, self.name)
        meters, days = known.meters, known.days
        level = days_level(days)
        kind = 2 * days.meter_no + days.day_off
        usual = median_by_meter(level, kind, 2 * meters.count)
        other = usual.reshape(-1, 2)[:, ::-1].ravel()
        usual = np.where(np.isnan(usual), other, usual)
        sd = spread_by_meter(level - usual[kind], days.meter_no, np.zeros(meters.count), _SMALLEST_SD)
        return FittedLevelShift(meters, usual, sd, known.note())


def days_level(days: DayMatrix) -> Floats:
    """Logarithm of the mean known hour of each day, NaN without any."""

    def of(piece: DayMatrix) -> Floats:
        known = ~np.isnan(piece.hours_kwh)
        count = known.sum(axis=1)
        mean = np.where(known, piece.hours_kwh, 0).sum(axis=1) / np.maximum(count, 1)
        return np.where(count == 0, np.nan, np.log(np.maximum(mean, 0) + _LEAST_KWH))

    return days.map(of)


def _kwh(level: Floats) -> Floats:
    """Energy of a day at a level, kWh."""
    found: Floats = np.maximum(np.exp(level) - _LEAST_KWH, 0) * HOURS
    return found


def settled(scores: pl.DataFrame) -> Flags:
    """Which days lie at the level that a shift before them, of the same rows, has brought.

    Args:
        scores: what ``FittedLevelShift.score`` gave.
    """
    ordered = scores.with_row_index("row").sort("meter_id", "channel", "local_date")
    found = ordered.with_columns(
        told=pl.col("is_anomalous").cum_sum().shift(1, fill_value=0).over("meter_id", "channel") > 0
    ).select("row", settled=pl.col("told") & pl.col("value").is_between("lower", "upper"))
    return found.sort("row")["settled"].fill_null(value=False).to_numpy()


def cumulated(away: Floats, order: Numbers) -> tuple[Floats, Flags, Floats, Floats]:
    """Cumulative sums over the limit of days in order, all meters at once.

    Args:
        away: deviations from the usual level, NaN where a day is not known; shape (rows,).
        order: places of the rows, shape (meters, days), oldest day first; -1 where a meter has no more days.

    Returns:
        Score, whether the limit was passed on this day, for how many days the sum has been rising, and the level that
        the day was held against in deviations from the usual one; shape (rows,).
    """
    score, since_days, held = np.full(len(away), np.nan), np.zeros(len(away)), np.zeros(len(away))
    shifted = np.zeros(len(away), dtype=np.bool_)
    meters = len(order)
    offset = np.zeros(meters)
    sums, lengths, totals = (np.zeros((2, meters)) for _ in range(3))
    sign = np.array([[1.0], [-1.0]])
    for places in order.T:
        today = np.where(places >= 0, away[places], np.nan)
        known = ~np.isnan(today)
        # Far beyond the limit is as far as the limit: a unit error for a day must not look like a new level.
        moved = np.where(known, np.clip(today - offset, -MOST_A_DAY, MOST_A_DAY), 0)
        risen = np.maximum(sums + np.where(known, sign * moved - SLACK, 0), 0)
        rising = risen > 0
        lengths = np.where(rising, lengths + known, 0)
        totals = np.where(rising, totals + np.where(known, today, 0), 0)
        sums = risen
        passed = sums > LIMIT
        which = sums.argmax(axis=0)
        everyone = np.arange(meters)
        alarm: Flags = np.asarray(passed.any(axis=0))
        kept = places[known]
        held[kept] = offset[known]
        score[kept] = sums.max(axis=0)[known] / LIMIT
        shifted[kept] = alarm[known]
        since_days[kept] = lengths[which, everyone][known]
        mean = totals[which, everyone] / np.maximum(lengths[which, everyone], 1)
        offset = np.where(alarm, mean, offset)
        for numbers in (sums, lengths, totals):
            numbers[:, alarm] = 0
    return score, shifted, since_days, held


def _order(rows: pl.DataFrame, meter_no: Numbers) -> Numbers:
    """Places of the rows by meter and day, shape (meters, days), -1 where there are none; unknown meters are left out."""
    made = (
        pl.DataFrame({"meter_no": meter_no, "day": rows["local_date"]})
        .with_row_index("place")
        .filter(pl.col("meter_no") >= 0)
        .sort("meter_no", "day")
        .with_columns(nth=pl.int_range(pl.len()).over("meter_no"), row=pl.col("meter_no").rle_id())
    )
    if made.is_empty():
        return np.empty((0, 0), dtype=np.int64)
    found = np.full((int(made["row"].max()) + 1, int(made["nth"].max()) + 1), -1, dtype=np.int64)  # type: ignore[arg-type]
    found[made["row"].to_numpy(), made["nth"].to_numpy()] = made["place"].to_numpy()
    return found
