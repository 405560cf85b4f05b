"""Hours that differ from the same hour of the meter's working days or days off: median and MAD.

One score a day, that of its strangest hour. "Hour of the week" by the site's calendar: a public holiday is
a day off like a Sunday, so that a bank holiday's late breakfast is no anomaly. A day is anomalous beyond 3.5
(Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993) and beyond what 99 of 100 of the meter's own
days reach: energy is skewed, and a kettle is 3.5 deviations in many homes.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl

from energy_platform.domain.anomalies.days import (
    DayMatrix,
    Floats,
    Meters,
    Numbers,
    Singles,
    clock,
    day_scores,
    quantile_by_meter,
)
from energy_platform.domain.anomalies.history import DayHistory
from energy_platform.domain.anomalies.protocol import HOURS, Grain

LIMIT = 3.5
FALSE_ALARMS = 0.01
_WORKERS = 2


@dataclass(frozen=True, slots=True)
class FittedRobustHours:
    """Medians and deviations, shape (2 × meters, 24): working days of a meter at 2n, days off at 2n + 1."""

    meters: Meters
    center_kwh: Singles
    deviations_per_kwh: Singles
    limit: Floats
    note: str

    def score(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Largest |z| of the day's hours."""
        days = DayMatrix.of(rows, self.meters)
        score, hour, value, expected, reach = self.strangest(days)
        limit = self.limit.take(days.meter_no, mode="clip")
        reach *= limit
        is_anomalous = score > limit
        # Of a tenth of a million sentences a list of Python's own numbers takes half as long as an array.
        told = (numbers[is_anomalous].tolist() for numbers in (hour, value, score, expected, limit, days.day_off))
        reasons = [
            f"{clock(at_hour)}: {kwh:.2f} kWh is {sds:.1f} robust standard deviations {'above' if kwh > usual else 'below'} "
            f"{usual:.2f} kWh, the median of that hour on {'days off' if off else 'working days'}; the limit is {most:.1f}."
            for at_hour, kwh, sds, usual, most, off in zip(*told, strict=True)
        ]
        return day_scores(
            rows,
            score=score,
            is_anomalous=is_anomalous,
            value=value,
            expected=expected,
            lower=expected - reach,
            upper=expected + reach,
            reason=reasons,
        )

    def strangest(self, days: DayMatrix) -> tuple[Floats, Numbers, Floats, Floats, Floats]:
        """The strangest hour of each day.

        Returns:
            Its |z| (NaN for unknown meters), which hour it is, its energy, the expected energy and the energy that a
            deviation is; kWh. Piece by piece, so that all of it happens in the processor's cache.
        """
        count = len(days.meter_no)
        score, value, expected, deviation = (np.empty(count) for _ in range(4))
        hour = np.empty(count, dtype=np.int64)
        both = np.concatenate([self.center_kwh, self.deviations_per_kwh], axis=1)

        def work(item: tuple[slice, DayMatrix]) -> None:
            place, piece = item
            kind = 2 * np.maximum(piece.meter_no, 0) + piece.day_off
            usual = both.take(kind, axis=0, mode="clip")
            away = piece.hours_kwh - usual[:, :HOURS]
            away *= usual[:, HOURS:]
            np.abs(away, out=away)
            everyone = np.arange(len(away))
            found = away.argmax(axis=1)
            best = away[everyone, found]
            unknown = np.isnan(best)
            if unknown.any():  # argmax stops at an unknown hour, which is never the strangest
                found[unknown] = np.fmax(away[unknown], -1.0).argmax(axis=1)
                best = away[everyone, found]
            best[piece.meter_no < 0] = np.nan
            hour[place], score[place] = found, best
            value[place] = piece.hours_kwh[everyone, found]
            expected[place] = usual[everyone, found]
            deviation[place] = 1 / usual[everyone, HOURS + found]

        with ThreadPoolExecutor(_WORKERS) as pool:
            list(pool.map(work, days.chunks()))
        return score, hour, value, expected, deviation


@dataclass(frozen=True, slots=True)
class RobustHours:
    """Median and MAD of each meter, hour and kind of day."""

    name: str = "robust_hour_of_week"
    grain: Grain = Grain.HOUSEHOLD_DAY

    def fit(self, history: pl.DataFrame | DayHistory) -> FittedRobustHours:
        """Learn the medians of every meter with enough days."""
        known = DayHistory.of(history, self.name)
        meters, days, (center, spread) = known.meters, known.days, known.hour_medians
        steepness: Singles = (1 / spread).astype(np.float32)
        fitted = FittedRobustHours(meters, center, steepness, np.full(meters.count, LIMIT), "")
        scores = fitted.strangest(days)[0]
        usual = quantile_by_meter(scores, days.meter_no, meters.count, 1 - FALSE_ALARMS)
        note = f"medians of {known.note()}"
        return FittedRobustHours(meters, center, steepness, np.fmax(usual, LIMIT), note)
