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
    MAD_TO_SD,
    SMALLEST_SD_KWH,
    DayMatrix,
    Floats,
    Meters,
    Numbers,
    Singles,
    clock,
    day_history,
    day_scores,
    quantile_by_meter,
)
from energy_platform.domain.anomalies.protocol import HOURS, Grain

LIMIT = 3.5
FALSE_ALARMS = 0.01
# Few days off lie in a short history; below this many a meter's days are taken together.
LEAST_OF_A_KIND = 5
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

    def fit(self, history: pl.DataFrame) -> FittedRobustHours:
        """Learn the medians of every meter with enough days."""
        rows = day_history(history, self.name).sort("meter_id", "channel")
        meters = Meters.of(rows)
        days = DayMatrix.of(rows, meters)
        center, spread = hour_medians(days, meters.count)
        steepness: Singles = (1 / spread).astype(np.float32)
        fitted = FittedRobustHours(meters, center, steepness, np.full(meters.count, LIMIT), "")
        scores = fitted.strangest(days)[0]
        usual = quantile_by_meter(scores, days.meter_no, meters.count, 1 - FALSE_ALARMS)
        note = f"medians of {meters.count} meters and channels, {rows.height} days"
        return FittedRobustHours(meters, center, steepness, np.fmax(usual, LIMIT), note)


def hour_medians(days: DayMatrix, meters: int) -> tuple[Singles, Singles]:
    """Median and deviation in kWh by meter, kind of day and hour, shape (2 × meters, 24); ``days`` sorted by meter."""
    center = np.zeros((2 * meters, HOURS), dtype=np.float32)
    spread = np.full((2 * meters, HOURS), SMALLEST_SD_KWH, dtype=np.float32)
    ends = np.searchsorted(days.meter_no, np.arange(meters + 1))
    for meter in range(meters):
        own = slice(ends[meter], ends[meter + 1])
        hours, day_off = days.hours_kwh[own], days.day_off[own]
        for kind in (0, 1):
            chosen = hours[day_off == bool(kind)]
            chosen = chosen if len(chosen) >= LEAST_OF_A_KIND else hours
            middle = _median(chosen)
            center[2 * meter + kind] = middle
            spread[2 * meter + kind] = np.maximum(_median(np.abs(chosen - middle)) * MAD_TO_SD, smallest_sd(middle))
    return center, spread


def smallest_sd(middle: Singles) -> Floats:
    """No hour is known better than to a fifth of the day's mean hour, or a standby light would be an event."""
    return np.full(middle.shape, max(SMALLEST_SD_KWH, 0.2 * float(middle.mean())))


def _median(values: Singles) -> Singles:
    """Median of each column; of the hours that are known where the clock change left some out."""
    if np.isnan(values).any():
        known = [column[~np.isnan(column)] for column in values.T]
        return np.array([np.median(column) if len(column) else 0.0 for column in known], dtype=np.float32)
    found: Singles = np.median(values, axis=0)
    return found
