"""Readings above the channel's mean plus k standard deviations: the rule of the earlier S3 pipeline, a baseline.

It knows neither hour nor kind of day, and the faults in its history move its limit; better detectors are
measured against it. Both grains: of a day it judges the largest hour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from energy_platform.domain.anomalies.days import (
    DayMatrix,
    Floats,
    Meters,
    Singles,
    at,
    clock,
    day_scores,
    sentences,
)
from energy_platform.domain.anomalies.history import DayHistory
from energy_platform.domain.anomalies.protocol import READING_KEY, READING_SCORES, READINGS, Grain, require, teachable
from energy_platform.domain.errors import DetectorInput

SIGMAS = 2.0
# Of a day's 24 hours the largest is beyond 2 on most days.
DAY_SIGMAS = 4.0
_SMALLEST_SD = 1e-9


@dataclass(frozen=True, slots=True)
class FittedMeanSigma:
    """Mean and standard deviation of each channel, shape (meters,)."""

    grain: Grain
    meters: Meters
    mean: Floats
    sd: Floats
    sigmas: float
    note: str

    def score(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Standard deviations above the mean; of a day, those of its largest hour."""
        if self.grain is Grain.READING:
            return self._readings(rows)
        days = DayMatrix.of(rows, self.meters)
        hour = days.map(_largest_hour).astype(np.int64)
        value = days.hours_kwh[np.arange(len(hour)), hour].astype(np.float64)
        mean, sd = at(self.mean, days.meter_no), at(self.sd, days.meter_no)
        score = (value - mean) / sd

        def reason(row: int) -> str:
            return f"{clock(int(hour[row]))}: " + self._words(value[row], mean[row], sd[row], "kWh")

        return day_scores(
            rows,
            score=score,
            is_anomalous=score > self.sigmas,
            value=value,
            expected=mean,
            lower=None,
            upper=mean + self.sigmas * sd,
            reason=reason,
        )

    def _readings(self, rows: pl.DataFrame) -> pl.DataFrame:
        require(rows, READINGS.names(), "mean_plus_sigma")
        number = self.meters.numbers(rows)
        value = rows["value"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        mean, sd = at(self.mean, number), at(self.sd, number)
        score = (value - mean) / sd
        is_anomalous = score > self.sigmas
        columns = {"score": score, "value": value, "expected": mean, "upper": mean + self.sigmas * sd}
        return rows.select(
            *READING_KEY,
            *(pl.Series(name, numbers).fill_nan(None) for name, numbers in columns.items()),
            pl.lit(None, dtype=pl.Float64).alias("lower"),
            pl.Series("is_anomalous", is_anomalous),
            sentences(is_anomalous, lambda row: self._words(value[row], mean[row], sd[row], "")),
        ).select(READING_SCORES.names())

    def _words(self, value: float, mean: float, sd: float, unit: str) -> str:
        limit = mean + self.sigmas * sd
        value_text, limit_text, mean_text = (f"{number:.4g} {unit}".rstrip() for number in (value, limit, mean))
        return (
            f"{value_text} is above {limit_text}, the channel's mean of {mean_text} "
            f"plus {self.sigmas:g} standard deviations."
        )


@dataclass(frozen=True, slots=True)
class MeanSigma:
    """Mean and standard deviation of each channel over all its hours or readings."""

    grain: Grain
    name: str = "mean_plus_sigma"

    def fit(self, history: pl.DataFrame | DayHistory) -> FittedMeanSigma:
        """Learn every channel's mean and standard deviation."""
        if self.grain is Grain.HOUSEHOLD_DAY:
            return self._fit_days(DayHistory.of(history, self.name))
        frame = DayHistory.frame_of(history)
        require(frame, READINGS.names(), self.name)
        rows = teachable(frame)
        if rows.height < 2:
            raise DetectorInput(f"{self.name} learns from 2 readings at least; there are {rows.height}.")
        meters = Meters.of(rows)
        made = (
            pl.DataFrame({"number": meters.numbers(rows), "value": rows["value"].cast(pl.Float64).fill_nan(None)})
            .group_by("number")
            .agg(mean=pl.col("value").mean(), sd=pl.col("value").std(ddof=0))
            .sort("number")
        )
        return self._fitted(meters, made["mean"].to_numpy(), made["sd"].to_numpy(), SIGMAS, rows.height)

    def _fit_days(self, known: DayHistory) -> FittedMeanSigma:
        number, meters = known.days.meter_no, known.meters.count

        def summed(values: Floats) -> Floats:
            return np.bincount(number, weights=values, minlength=meters).astype(np.float64)

        hours = summed(known.days.map(lambda piece: (~np.isnan(piece.hours_kwh)).sum(axis=1).astype(np.float64)))
        mean = summed(known.days.map(lambda piece: _sums(piece.hours_kwh))) / hours
        squares = known.days.map(lambda piece: _sums((piece.hours_kwh - mean[piece.meter_no, None]) ** 2))
        return self._fitted(known.meters, mean, np.sqrt(summed(squares) / hours), DAY_SIGMAS, known.rows.height)

    def _fitted(self, meters: Meters, mean: Floats, sd: Floats, sigmas: float, rows: int) -> FittedMeanSigma:
        note = f"mean plus {sigmas:g} standard deviations, {rows} rows of {meters.count} meters and channels"
        return FittedMeanSigma(self.grain, meters, mean, np.maximum(sd, _SMALLEST_SD), sigmas, note)


def _sums(values: Singles | Floats) -> Floats:
    """Sum of each row's known values."""
    return np.asarray(np.nansum(values, axis=1, dtype=np.float64), dtype=np.float64)


def _largest_hour(days: DayMatrix) -> Floats:
    """The hour with most energy; unknown hours are none."""
    found: Floats = np.where(np.isnan(days.hours_kwh), -np.inf, days.hours_kwh).argmax(axis=1).astype(np.float64)
    return found
