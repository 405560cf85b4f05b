"""Days that the forecast issued the day before did not expect, with a false-alarm rate that is kept.

Split conformal prediction (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005; Lei et
al., JASA 2018): the limit is the ⌈(n + 1)(1 − α)⌉-th smallest of the n residuals of the history, so a new day
of the same kind exceeds it with a probability of at most α, whatever the distribution. Residuals are of the
logarithm, over the meter's own spread, and are pooled over meters.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
import polars as pl

from energy_platform.domain.anomalies.days import (
    LEAST_DAYS,
    Floats,
    Meters,
    at,
    day_scores,
    median_by_meter,
    spread_by_meter,
)
from energy_platform.domain.anomalies.history import DayHistory
from energy_platform.domain.anomalies.protocol import Grain
from energy_platform.domain.errors import DetectorInput

FALSE_ALARMS = 0.01
# Added to both sides before the logarithm: a home that stands empty is not a hundred times off its forecast.
_LEAST_KWH = 0.5
_SMALLEST_SD = 0.05


@dataclass(frozen=True, slots=True)
class FittedConformalResidual:
    """Middle and spread of the residuals by meter, shape (meters,), and the limit of all."""

    meters: Meters
    center: Floats
    sd: Floats
    limit: float
    false_alarms: float
    note: str

    def score(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The residual in the meter's deviations; days without a forecast are not judged."""
        number = self.meters.numbers(rows)
        value, expected = (_floats(rows, name) for name in ("energy_kwh", "forecast_kwh"))
        center, sd = at(self.center, number), at(self.sd, number)
        # A day with a gap is judged by what it holds: the gap has a rule of its own.
        score = np.abs(_residual(value, expected) - center) / sd
        lower, upper = ((expected + _LEAST_KWH) * np.exp(center + side * self.limit * sd) for side in (-1, 1))

        def reason(row: int) -> str:
            side = "above" if value[row] > expected[row] else "below"
            return (
                f"{value[row]:.2f} kWh in the day is {side} the {expected[row]:.2f} kWh that were forecast the day before, "
                f"farther than all but {self.false_alarms:.0%} of days are."
            )

        return day_scores(
            rows,
            score=score,
            is_anomalous=score > self.limit,
            value=value,
            expected=expected,
            lower=np.maximum(lower - _LEAST_KWH, 0),
            upper=upper - _LEAST_KWH,
            reason=reason,
        )


@dataclass(frozen=True, slots=True)
class ConformalResidual:
    """Residuals of the issued forecasts against a conformal limit."""

    name: str = "conformal_residual"
    grain: Grain = Grain.HOUSEHOLD_DAY
    false_alarms: float = FALSE_ALARMS

    def fit(self, history: pl.DataFrame | DayHistory) -> FittedConformalResidual:
        """Learn the limit from days that have a forecast.

        Raises:
            DetectorInput: too few days have one for so small a false-alarm rate.
        """
        rows = DayHistory.of(history, self.name).rows.filter(pl.col("forecast_kwh").is_not_null())
        rows = rows.filter(pl.len().over("meter_id", "channel") >= LEAST_DAYS)
        least = ceil(1 / self.false_alarms) - 1
        if rows.height < least:
            raise DetectorInput(
                f"{self.name} learns from {least} days with an issued forecast at least, for a false-alarm rate of "
                f"{self.false_alarms:.0%}; there are {rows.height}. Issue more cutoffs (`energy backtest`)."
            )
        meters = Meters.of(rows)
        number = meters.numbers(rows)
        residual = _residual(_floats(rows, "energy_kwh"), _floats(rows, "forecast_kwh"))
        center = median_by_meter(residual, number, meters.count)
        sd = spread_by_meter(residual, number, center, _SMALLEST_SD)
        away = np.sort(np.abs(residual - center[number]) / sd[number])
        limit = float(away[conformal_rank(len(away), self.false_alarms) - 1])
        note = (
            f"{rows.height} forecasts of {meters.count} meters and channels, false-alarm rate {self.false_alarms:.0%}"
        )
        return FittedConformalResidual(meters, center, sd, limit, self.false_alarms, note)


def conformal_rank(count: int, false_alarms: float) -> int:
    """Which of ``count`` sorted residuals is the limit, from 1.

    Example:
        >>> conformal_rank(99, 0.01), conformal_rank(1000, 0.05)
        (99, 951)
    """
    return min(ceil((count + 1) * (1 - false_alarms) - 1e-9), count)


def _residual(value: Floats, expected: Floats) -> Floats:
    found: Floats = np.log(np.maximum(value + _LEAST_KWH, 1e-3)) - np.log(np.maximum(expected + _LEAST_KWH, 1e-3))
    return found


def _floats(rows: pl.DataFrame, name: str) -> Floats:
    return rows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
