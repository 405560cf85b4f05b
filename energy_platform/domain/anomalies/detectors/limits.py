"""What the rules share: one number of a day against what the meter's own history reached.

Belongs here: fitting and scoring of any such number. Does not belong here: which number, and what it is
called (a file each). A rule is anomalous beyond a stated least value and beyond what the meter's own good
days reach, so that what is normal for a meter (a coarse register, an empty weekend house, solar feed-in)
is no fault of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from energy_platform.domain.anomalies.days import (
    DayMatrix,
    Floats,
    Meters,
    Singles,
    at,
    day_scores,
    median_by_meter,
    quantile_by_meter,
    spread_by_meter,
)
from energy_platform.domain.anomalies.history import DayHistory
from energy_platform.domain.anomalies.protocol import Grain

Measure = Callable[[Singles, Floats], Floats]
"""Hours of days, shape (rows, 24), and the meter's usual mean hour in kWh, shape (rows,), to one number a day."""


@dataclass(frozen=True, slots=True)
class FittedLimit:
    """The usual number, its deviation and its limit by meter, shape (meters,)."""

    rule: Limit
    meters: Meters
    scale_kwh: Floats
    usual: Floats
    sd: Floats
    limit: Floats
    note: str

    def score(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Deviations above the usual number."""
        days = DayMatrix.of(rows, self.meters)
        value = measured(self.rule.measure, days, self.scale_kwh)
        usual, sd, limit = (at(numbers, days.meter_no) for numbers in (self.usual, self.sd, self.limit))
        return day_scores(
            rows,
            score=(value - usual) / sd,
            is_anomalous=value > limit,
            value=value,
            expected=usual,
            lower=None,
            upper=limit,
            reason=lambda row: self.rule.words.format(value=value[row], usual=usual[row], limit=limit[row]),
        )


@dataclass(frozen=True, slots=True)
class Limit:
    """A rule about one number of a day.

    Args:
        name: in tables.
        measure: from hours to the number.
        words: the reason, with ``{value}``, ``{usual}`` and ``{limit}``.
        least: never anomalous up to this.
        smallest_sd: of the number.
        share: of the meter's own days that are within its limit.
        beyond: added to what that share reaches.
        deviations: how many deviations above the usual the limit lies at least.
    """

    name: str
    measure: Measure
    words: str
    least: float
    smallest_sd: float
    share: float = 0.99
    beyond: float = 0.0
    deviations: float = 0.0
    grain: Grain = Grain.HOUSEHOLD_DAY

    def fit(self, history: pl.DataFrame | DayHistory) -> FittedLimit:
        """Learn what the number usually is for every meter with enough days."""
        known = DayHistory.of(history, self.name)
        meters, days, scale = known.meters, known.days, known.scale_kwh
        value = measured(self.measure, days, scale)
        usual = median_by_meter(value, days.meter_no, meters.count)
        sd = spread_by_meter(value, days.meter_no, usual, self.smallest_sd)
        reached = quantile_by_meter(value, days.meter_no, meters.count, self.share)
        limit = np.fmax(np.fmax(reached + self.beyond, usual + self.deviations * sd), self.least)
        note = f"limits of {known.note()}"
        return FittedLimit(self, meters, scale, usual, sd, limit, note)


def measured(measure: Measure, days: DayMatrix, scale_kwh: Floats) -> Floats:
    """The number of every day; NaN for unknown meters and days without a single known hour."""

    def of(piece: DayMatrix) -> Floats:
        value = measure(piece.hours_kwh, at(scale_kwh, piece.meter_no))
        return np.where((piece.meter_no < 0) | np.isnan(piece.hours_kwh).all(axis=1), np.nan, value)

    return days.map(of)


def longest_run(flags: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Floats:
    """The longest run of true in each row.

    Example:
        >>> longest_run(np.array([[True, True, False, True], [False, False, False, False]])).tolist()
        [2.0, 0.0]
    """
    run = np.zeros(len(flags), dtype=np.int16)
    best = run.copy()
    for column in flags.T:
        run = (run + 1) * column
        np.maximum(best, run, out=best)
    return best.astype(np.float64)
