"""Numbers of a day that say how it differs from the meter's own usual days: what the learning detectors look at.

Belongs here: the ten numbers of a household day, and how readings become a matrix. Does not belong here:
any one detector. All are relative to the meter's own medians of the same kind of day, so that a large
home, a Sunday or a night tariff is not strange by itself, and one model serves every meter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from energy_platform.domain.anomalies.days import DayMatrix, Floats, Meters, Numbers, Singles
from energy_platform.domain.anomalies.history import DayHistory
from energy_platform.domain.anomalies.protocol import HOURS, READINGS, Grain, require, teachable
from energy_platform.domain.errors import DetectorInput

FEATURES = (
    "day_level",  # logarithm of the day's energy over the usual
    "night_level",  # 0 to 6 h
    "morning_level",  # 6 to 12 h
    "afternoon_level",  # 12 to 18 h
    "evening_level",  # 18 to 24 h
    "peak_level",  # the largest hour
    "base_level",  # mean of the four smallest hours
    "steadiness",  # share of hours within 2 % of the hour before, less the usual
    "strangest_hour",  # logarithm of the largest robust |z|
    "unlikeness",  # half the distance between the day's shape and the usual one, 0 to 1
)
_LEAST_KWH = 0.02  # added to energies an hour before ratios: half of a small standby load
_SAME = 0.02
_CLIP = 8.0  # a factor of 3,000: beyond it everything is equally strange
_BASE_HOURS = 4
# With 15,000, 30,000 or 100,000 days of 5,566 made-up homes single models scatter by 0.06 of F1, without a trend (one seed).
MOST_TRAINING_ROWS = 30_000


@dataclass(frozen=True, slots=True)
class UsualDays:
    """The usual day of each meter and kind of day, shape (2 × meters, …): working days at 2n, days off at 2n + 1."""

    meters: Meters
    hours_kwh: Singles
    deviations_per_kwh: Singles
    levels_kwh: Singles
    shape: Singles
    steadiness: Singles

    @classmethod
    def of(cls, known: DayHistory) -> UsualDays:
        """The usual days of some history."""
        days, meters = known.days, known.meters
        center, spread = known.hour_medians
        parts = [np.column_stack(_levels(piece.hours_kwh)) for _, piece in days.chunks()]
        usual = _medians_of_kind(np.concatenate(parts), 2 * days.meter_no + days.day_off, meters.count)
        total = np.maximum(center.sum(axis=1, keepdims=True), HOURS * _LEAST_KWH)
        return cls(meters, center, (1 / spread).astype(np.float32), usual[:, :7], center / total, usual[:, 7])

    def features(self, days: DayMatrix) -> Singles:
        """``FEATURES`` of days, shape (rows, 10); NaN for meters without a usual day and for days without energy."""
        kind = 2 * np.maximum(days.meter_no, 0) + days.day_off
        levels, steadiness = _levels(days.hours_kwh)
        hours = np.nan_to_num(days.hours_kwh)
        made = np.empty((len(kind), len(FEATURES)), dtype=np.float32)
        with np.errstate(invalid="ignore", divide="ignore"):
            made[:, :7] = np.log(np.maximum(levels, 0) + _LEAST_KWH) - np.log(self.levels_kwh[kind] + _LEAST_KWH)
            made[:, 7] = steadiness - self.steadiness[kind]
            away = np.abs(hours - self.hours_kwh[kind]) * self.deviations_per_kwh[kind]
            made[:, 8] = np.log1p(away.max(axis=1))
            total = np.maximum(hours.sum(axis=1, keepdims=True), HOURS * _LEAST_KWH)
            made[:, 9] = 0.5 * np.abs(hours / total - self.shape[kind]).sum(axis=1)
        np.clip(made, -_CLIP, _CLIP, out=made)
        made[(days.meter_no < 0) | np.isnan(days.hours_kwh).all(axis=1)] = np.nan
        return made


def _levels(hours_kwh: Singles) -> tuple[Singles, Singles]:
    """Mean hour of the day, of its quarters, the largest, the mean of the four smallest; and the share of steady hours."""
    unknown = np.isnan(hours_kwh)
    hours = np.where(unknown, 0, hours_kwh)
    known = np.maximum(HOURS - unknown.sum(axis=1), 1)
    levels = np.empty((len(hours), 7), dtype=np.float32)
    levels[:, 0] = hours.sum(axis=1) / known
    levels[:, 1:5] = hours.reshape(-1, 4, 6).mean(axis=2)
    levels[:, 5] = hours.max(axis=1)
    levels[:, 6] = np.partition(hours, _BASE_HOURS, axis=1)[:, :_BASE_HOURS].mean(axis=1)
    steady = np.abs(np.diff(hours, axis=1)) <= _SAME * hours[:, 1:]
    return levels, steady.mean(axis=1).astype(np.float32)


def _medians_of_kind(values: Singles, kind: NDArray[np.int64], meters: int) -> Singles:
    """Median of each column by meter and kind of day; that of the meter's other kind where there is none."""
    made = pl.DataFrame(values).with_columns(kind=kind).group_by("kind").agg(pl.all().median())
    found = np.full((2 * meters, values.shape[1]), np.nan, dtype=np.float32)
    found[made["kind"].to_numpy()] = made.drop("kind").to_numpy()
    other = found.reshape(meters, 2, -1)[:, ::-1].reshape(found.shape)
    return np.where(np.isnan(found), other, found)


@dataclass(frozen=True, slots=True)
class Inputs:
    """From rows of a grain to a scaled matrix.

    Args:
        grain: of the rows.
        names: of the matrix' columns.
        mean: of the history, shape (columns,).
        sd: of the history, shape (columns,).
        usual: of days; None for readings.
        rows: of the history.
    """

    grain: Grain
    names: tuple[str, ...]
    mean: Singles
    sd: Singles
    usual: UsualDays | None
    rows: int

    @classmethod
    def learn(
        cls, history: pl.DataFrame | DayHistory, grain: Grain, columns: tuple[str, ...], detector: str
    ) -> tuple[Inputs, Singles]:
        """What scales the rows, and the scaled rows that may teach: at most ``MOST_TRAINING_ROWS``, drawn evenly.

        Raises:
            DetectorInput: a column is missing, or there are too few rows.
        """
        usual: UsualDays | None
        names: tuple[str, ...]
        if grain is Grain.HOUSEHOLD_DAY:
            known = DayHistory.of(history, detector)
            usual, names, count = UsualDays.of(known), FEATURES, known.rows.height
            matrix = usual.features(known.days.at(_drawn(count)))
        else:
            frame = DayHistory.frame_of(history)
            require(frame, [*READINGS.names(), *columns], detector)
            usual, names = None, tuple(columns)
            matrix = teachable(frame).select(columns).cast(pl.Float32).to_numpy()
            count = len(matrix)
            matrix = matrix[_drawn(count)]
        matrix = matrix[np.isfinite(matrix).all(axis=1)]
        if len(matrix) < 2 * len(names):
            raise DetectorInput(
                f"{detector} learns from {2 * len(names)} complete rows at least; there are {len(matrix)} "
                f"in a history of {DayHistory.frame_of(history).height}."
            )
        mean, sd = matrix.mean(axis=0), np.maximum(matrix.std(axis=0), 1e-6)
        return cls(grain, names, mean, sd, usual, count), (matrix - mean) / sd

    def scores(
        self, rows: pl.DataFrame, functions: Sequence[Callable[[Singles], Floats]]
    ) -> tuple[list[Floats], Singles]:
        """Each function of every scaled row, NaN where it has no complete row, and the most unusual number of each row.

        Returns:
            Scores of each function, shape (rows,); and (index, scaled value) of the input farthest from its mean,
            shape (rows, 2).
        """
        matrix = (self._matrix(rows) - self.mean) / self.sd
        usable = np.flatnonzero(np.isfinite(matrix).all(axis=1))
        scores = [np.full(rows.height, np.nan) for _ in functions]
        farthest = np.zeros((rows.height, 2), dtype=np.float32)
        if len(usable):
            known = matrix[usable]
            # All rows in one call: each of scikit-learn's costs as much as some thousand rows of a forest.
            for score, function in zip(scores, functions, strict=True):
                score[usable] = function(known)
            most = np.abs(known).argmax(axis=1)
            farthest[usable] = np.stack([most, known[np.arange(len(most)), most]], axis=1)
        return scores, farthest

    def _matrix(self, rows: pl.DataFrame) -> Singles:
        if self.usual is None:
            require(rows, [*READINGS.names(), *self.names], "a detector of readings")
            return rows.select(self.names).cast(pl.Float32).to_numpy()
        made = np.empty((rows.height, len(FEATURES)), dtype=np.float32)
        for place, piece in DayMatrix.of(rows, self.usual.meters).chunks():
            made[place] = self.usual.features(piece)
        return made


def _drawn(count: int) -> Numbers:
    """Places of the rows to learn from."""
    return np.linspace(0, count - 1, min(count, MOST_TRAINING_ROWS)).astype(np.int64)
