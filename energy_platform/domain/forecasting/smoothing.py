"""Exponential smoothing of all meters at once: a level and a weekday's deviation from it.

Belongs here: the recursion and what it knew at an issue day. Does not belong here: which of its forecasts
are given to users (forecasters/exponential_smoothing.py).

Additive error and season, no trend (Hyndman et al., Forecasting with Exponential Smoothing, 2008, ch. 2.5,
"ANA"), for several rates side by side. Errors are clipped at a multiple of the meter's usual error before
they move the state (Gelper, Fried & Croux, J. Forecasting 29, 2010): a party is not a new level. The rate of
the level starts as that of a running mean, so that no first weeks are needed to begin from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energy_platform.domain.features import HORIZON_DAYS
from energy_platform.domain.forecasting.history import DaySeries, Flags, Floats, Places

# How fast the level follows, from a month's memory to two days'. The best of them on real homes, chosen on
# 18 weekly issues of spring and summer, is 0.3; the median of the five is better than any.
RATES = (0.1, 0.2, 0.3, 0.45, 0.65)
_WEEKDAY_RATE = 0.1
_CLIP = 1.5
_USUAL_ERROR_RATE = 0.03
# Memory of the error that bands are made from: about three weeks.
_SPREAD_RATE = 0.05
_FIRST_DAYS = 14


@dataclass(frozen=True, slots=True)
class Smoothed:
    """What the smoothing knew when each issue began.

    Args:
        forecasts_kwh: shape (issues, rates, leads).
        spread_kwh: mean absolute next-day error of the rate 0.3, newest days counting most; NaN before any.
    """

    forecasts_kwh: Floats
    spread_kwh: Floats


def smooth(series: DaySeries, meter: Places, day: Places) -> Smoothed:
    """Run the recursion over the calendar and read it at the issues.

    Args:
        series: the known days; of each issue only the columns before ``day`` are looked at.
        meter: row of the matrix, one an issue.
        day: column of the issue day, one an issue; may lie beyond the matrix.
    """
    energy = series.energy_kwh
    state = _State(energy.shape[0])
    forecasts = np.empty((len(day), len(RATES), HORIZON_DAYS), dtype=np.float32)
    spread = np.empty(len(day), dtype=np.float32)
    order = np.argsort(day, kind="stable")
    days = np.unique(day)
    bounds = np.searchsorted(day[order], [*days, np.iinfo(np.int64).max])
    column = 0
    for place, today in enumerate(days):
        while column < min(today, energy.shape[1]):
            state.learn(energy[:, column], column % 7)
            column += 1
        asked = order[bounds[place] : bounds[place + 1]]
        forecasts[asked] = state.forecasts(meter[asked], int(today))
        spread[asked] = state.spread[meter[asked]]
    return Smoothed(forecasts, spread)


class _State:
    """Levels, weekday deviations and usual errors of all meters after some days."""

    def __init__(self, meters: int) -> None:
        rates = len(RATES)
        self.level = np.zeros((rates, meters))
        self.weekday = np.zeros((rates, 7, meters))
        self.usual = np.zeros((rates, meters))
        self.known = np.zeros(meters)
        self.spread = np.full(meters, np.nan)

    def learn(self, energy: Floats, weekday: int) -> None:
        """One more day; meters whose day is unknown stay as they are."""
        seen = ~np.isnan(energy)
        if not seen.any():
            return
        known = self.known + 1
        # Infinitely fast on the first day: the level is that day.
        rate = np.maximum(np.array(RATES)[:, None], 1 / known)
        error = np.where(seen, energy, 0.0) - self.level - self.weekday[:, weekday]
        error = np.where(seen & (self.known > 0), error, 0.0)
        size = np.abs(error)
        if (self.known > 0).any():
            self._remember_error(seen & (self.known > 0), size)
        bound = np.where(self.known >= _FIRST_DAYS, _CLIP * self.usual, np.inf)
        moved = np.clip(error, -bound, bound)
        first = seen & (self.known == 0)
        self.level = np.where(first, np.where(seen, energy, 0.0), self.level + rate * moved)
        self.weekday[:, weekday] += _WEEKDAY_RATE * (1 - rate) * moved
        self.known = np.where(seen, known, self.known)

    def _remember_error(self, seen: Flags, size: Floats) -> None:
        usual_rate = np.maximum(_USUAL_ERROR_RATE, 1 / np.maximum(self.known, 1))
        self.usual = np.where(seen, self.usual + usual_rate * (size - self.usual), self.usual)
        spread_rate = np.maximum(_SPREAD_RATE, 1 / np.maximum(self.known, 1))
        one = size[RATES.index(0.3)]
        before = np.where(np.isnan(self.spread), 0.0, self.spread)
        self.spread = np.where(seen, before + spread_rate * (one - before), self.spread)

    def forecasts(self, meter: Places, today: int) -> Floats:
        """Level and weekday of the days from ``today`` on; shape (meters asked, rates, leads)."""
        weekdays = (today + np.arange(HORIZON_DAYS)) % 7
        return (self.level[:, None, meter] + self.weekday[:, weekdays][:, :, meter]).transpose(2, 0, 1)
