"""Readings that are missing from a day, or the whole day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from energy_platform.domain.anomalies.days import (
    LEAST_DAYS,
    Floats,
    Meters,
    at,
    day_scores,
    median_by_meter,
    quantile_by_meter,
)
from energy_platform.domain.anomalies.history import DayHistory
from energy_platform.domain.anomalies.protocol import HOUSEHOLD_DAYS, Grain, require
from energy_platform.domain.errors import DetectorInput

# One reading may be late; from a twentieth of the day on something is the matter.
LEAST_SHARE = 0.05
USUAL_DAYS = 0.9


@dataclass(frozen=True, slots=True)
class FittedGap:
    """Share of readings that is usually missing, and its limit, by meter; shape (meters,)."""

    meters: Meters
    usual: Floats
    limit: Floats
    note: str

    def score(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Share of the day's readings that is missing, over the least that counts; the value is the share itself."""
        number = self.meters.numbers(rows)
        value, usual, limit = missing_share(rows), at(self.usual, number), at(self.limit, number)

        def reason(row: int) -> str:
            return f"{value[row]:.0%} of the day's readings are missing; usual is {usual[row]:.0%}, the limit {limit[row]:.0%}."

        return day_scores(
            rows,
            score=np.where(number < 0, np.nan, (value - usual) / LEAST_SHARE),
            is_anomalous=value > limit,
            value=value,
            expected=usual,
            lower=None,
            upper=limit,
            reason=reason,
        )


@dataclass(frozen=True, slots=True)
class Gap:
    """More missing than a meter with a poor connection usually lacks. It learns from incomplete days too."""

    name: str = "gap"
    grain: Grain = Grain.HOUSEHOLD_DAY

    def fit(self, history: pl.DataFrame | DayHistory) -> FittedGap:
        """Learn what is usually missing of every meter with enough days."""
        frame = DayHistory.frame_of(history)
        require(frame, HOUSEHOLD_DAYS.names(), self.name)
        rows = frame.filter(
            ~pl.col("is_known_anomalous").fill_null(value=False), pl.len().over("meter_id", "channel") >= LEAST_DAYS
        )
        if rows.is_empty():
            raise DetectorInput(f"{self.name} learns from {LEAST_DAYS} days of a meter; none has so many.")
        meters = Meters.of(rows)
        number, value = meters.numbers(rows), missing_share(rows)
        usual = median_by_meter(value, number, meters.count)
        limit = np.fmax(quantile_by_meter(value, number, meters.count, USUAL_DAYS), LEAST_SHARE)
        return FittedGap(meters, usual, limit, f"{rows.height} days of {meters.count} meters and channels")


def missing_share(rows: pl.DataFrame) -> Floats:
    """Readings that a day lacks over those it should have, 0 to 1."""
    found = rows.select((1 - pl.col("readings") / pl.col("expected_readings")).clip(0, 1)).to_series()
    return found.cast(pl.Float64).fill_null(float("nan")).to_numpy()
