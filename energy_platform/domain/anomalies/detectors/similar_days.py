"""Days unlike the meter's most similar ones: same kind of day, like temperature, recent.

An evening peak of an air conditioner is nothing strange on a hot day, and the home's other hot days say so.
Of each day the ``NEIGHBOURS`` most similar good days of the history are taken (degrees apart, days apart, kind
of day); their hours are what is expected. Nearest neighbours rather than a regression on degrees: they need no
season of history and are the evidence that a person asks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from energy_platform.domain.anomalies.days import (
    DayMatrix,
    Flags,
    Floats,
    Meters,
    Numbers,
    Singles,
    clock,
    day_scores,
)
from energy_platform.domain.anomalies.history import DayHistory
from energy_platform.domain.anomalies.protocol import Grain

NEIGHBOURS = 9
# Of how many degrees a day of another kind, or 100 days in between, is worth as much as.
_OTHER_KIND_C = 12.0
_HUNDRED_DAYS_C = 4.0
FALSE_ALARMS = 0.01
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What a day is compared by; arrays of shape (rows,)."""

    temperature_c: Floats
    day_off: Flags
    day: Numbers

    @classmethod
    def of(cls, rows: pl.DataFrame) -> Neighbours:
        """From ``HOUSEHOLD_DAYS``."""
        return cls(
            rows["temperature_c"].cast(pl.Float32).fill_null(float("nan")).to_numpy(),
            rows["is_day_off"].to_numpy(),
            rows["local_date"].to_physical().cast(pl.Int64).to_numpy(),
        )

    def at(self, places: Numbers | slice) -> Neighbours:
        """Some of the rows."""
        return Neighbours(self.temperature_c[places], self.day_off[places], self.day[places])

    def key(self) -> bytes:
        """Equal for equal days."""
        return b"".join(part.tobytes() for part in (self.temperature_c, self.day_off, self.day))

    def apart(self, other: Neighbours) -> Singles:
        """How unlike each row is to each of ``other``, in degrees, shape (rows, others); 0 degrees where unknown."""
        degrees = np.abs(self.temperature_c[:, None] - other.temperature_c[None, :])
        kind = self.day_off[:, None] != other.day_off[None, :]
        days = np.abs(self.day[:, None] - other.day[None, :])
        apart = np.nan_to_num(degrees) + _OTHER_KIND_C * kind + (_HUNDRED_DAYS_C / 100) * days
        # A day is no evidence for itself.
        apart[days == 0] = np.inf
        found: Singles = apart.astype(np.float32)
        return found


@dataclass(frozen=True, slots=True)
class FittedSimilarDays:
    """The good days of each meter.

    Args:
        meters: known ones.
        ends: of each meter's days in the arrays, shape (meters + 1,).
        days: what they are compared by.
        hours_kwh: shape (days, 24).
        scale_kwh: mean distance of a good day's hours from its neighbours', by meter.
        limit: of the score, by meter.
        note: how it was fitted.
    """

    meters: Meters
    ends: Numbers
    days: Neighbours
    hours_kwh: Singles
    scale_kwh: Floats
    limit: Floats
    note: str

    def score(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Mean distance of the hours from those of similar days, over that of a good day; value is the day's kWh."""
        days = DayMatrix.of(rows, self.meters)
        away, expected, hour = self.distances(days, Neighbours.of(rows))
        known = np.maximum(days.meter_no, 0)
        score = away / self.scale_kwh[known]
        limit = self.limit[known]
        value = np.nan_to_num(days.hours_kwh).sum(axis=1).astype(np.float64)

        def reason(row: int) -> str:
            return (
                f"the hours are {score[row]:.1f} times as far from similar days' as usual (limit {limit[row]:.1f}), farthest "
                f"at {clock(int(hour[row]))}; the day used {value[row]:.1f} kWh, similar days {expected[row]:.1f} kWh."
            )

        return day_scores(
            rows,
            score=score,
            is_anomalous=score > limit,
            value=value,
            expected=expected,
            lower=None,
            upper=None,
            reason=reason,
        )

    def distances(self, days: DayMatrix, near: Neighbours) -> tuple[Floats, Floats, Numbers]:
        """Mean distance in kWh an hour, kWh of the expected day, the farthest hour; NaN for unknown meters."""
        usual = self._usual(days, near)
        away, expected = np.empty(len(usual)), np.empty(len(usual))
        farthest = np.empty(len(usual), dtype=np.int64)
        for place, piece in days.chunks():
            unlike = np.abs(piece.hours_kwh - usual[place])
            known = ~np.isnan(unlike)
            unlike = np.where(known, unlike, 0)
            away[place] = np.where(known.any(axis=1), unlike.sum(axis=1) / np.maximum(known.sum(axis=1), 1), np.nan)
            expected[place] = usual[place].sum(axis=1)
            farthest[place] = unlike.argmax(axis=1)
        return away, expected, farthest

    def _usual(self, days: DayMatrix, near: Neighbours) -> Singles:
        """Mean hours of the most similar days, shape (rows, 24), NaN for unknown meters.

        Homes of one place that know the same days have the same neighbours: they are looked for once.
        """
        usual = np.full(days.hours_kwh.shape, np.nan, dtype=np.float32)
        order = np.argsort(days.meter_no, kind="stable")
        borders = np.searchsorted(days.meter_no[order], np.arange(self.meters.count + 1))
        hours = np.nan_to_num(self.hours_kwh)
        found: dict[tuple[bytes, bytes], NDArray[np.int32]] = {}
        for meter in np.flatnonzero(np.diff(borders)):
            places = order[borders[meter] : borders[meter + 1]]
            own = slice(self.ends[meter], self.ends[meter + 1])
            asked, known = near.at(places), self.days.at(own)
            key = (asked.key(), known.key())
            if key not in found:
                found[key] = _nearest(asked.apart(known), NEIGHBOURS)
            usual[places] = hours[own][found[key]].mean(axis=1)
        return usual

    def evidence(self, rows: pl.DataFrame, most: int = 3) -> list[list[date]]:
        """The most similar good days of each row, nearest first; none for unknown meters."""
        near, number = Neighbours.of(rows), self.meters.numbers(rows)
        found: list[list[date]] = []
        for row, meter in enumerate(number):
            if meter < 0:
                found.append([])
                continue
            own = self.days.at(slice(self.ends[meter], self.ends[meter + 1]))
            order = near.at(slice(row, row + 1)).apart(own)[0].argsort(kind="stable")[:most]
            found.append([_EPOCH + timedelta(days=int(own.day[place])) for place in order])
        return found


def _nearest(apart: Singles, count: int) -> NDArray[np.int32]:
    """Columns of the ``count`` smallest of each row, shape (rows, count)."""
    count = min(count, apart.shape[1])
    return np.argpartition(apart, count - 1, axis=1)[:, :count].astype(np.int32)


@dataclass(frozen=True, slots=True)
class SimilarDays:
    """Nearest neighbours among a meter's own good days."""

    name: str = "similar_days"
    grain: Grain = Grain.HOUSEHOLD_DAY

    def fit(self, history: pl.DataFrame | DayHistory) -> FittedSimilarDays:
        """Keep the good days, and learn how far such a day is from its neighbours."""
        known = DayHistory.of(history, self.name)
        meters, days, near = known.meters, known.days, Neighbours.of(known.rows)
        ends = np.searchsorted(days.meter_no, np.arange(meters.count + 1))
        bare = FittedSimilarDays(
            meters, ends, near, days.hours_kwh, np.ones(meters.count), np.full(meters.count, np.inf), ""
        )
        away, _, _ = bare.distances(days, near)
        frame = pl.DataFrame({"meter": days.meter_no, "away": away})
        of_meter = frame.group_by("meter").agg(
            scale=pl.col("away").median(), reach=pl.col("away").quantile(1 - FALSE_ALARMS, "higher")
        )
        of_meter = of_meter.sort("meter")
        scale = np.maximum(of_meter["scale"].to_numpy(), 0.005)
        note = f"{known.note()}, {NEIGHBOURS} neighbours"
        limit = of_meter["reach"].to_numpy() / scale
        return FittedSimilarDays(meters, ends, near, days.hours_kwh, scale, limit, note)
