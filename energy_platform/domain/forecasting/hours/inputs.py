"""What a fleet's forecasters are told when a forecast is issued: recent days, levels, calendar.

Belongs here: inputs that several forecasters share. Does not belong here: how one of them lays them
out (ridge.py, boosting.py).

Everything is on a logarithmic scale and relative to the mean of the last seven days, slot by slot
("usual"). So the inputs say how recent days differ from usual, the target is how the day ahead will,
and a fleet twice as large gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from energy_platform.domain.forecasting.hours.local_days import WEEK, Calendar, Floats, LocalDays

WEEKS_BACK = 4
# Days an issue looks back: the same weekday of four weeks.
LOOKBACK_DAYS = WEEKS_BACK * WEEK
# With one autumn behind it, what a model takes for autumn may be anything else of those weeks.
SEASON_DAYS = 550
# Below the first degrees a house is heated (CIBSE TM41, 2006), above the second it is cooled.
HEATED_BELOW_C, COOLED_ABOVE_C = 15.5, 18.0
_DEGREES = 10.0
# Added to the share of the mean slot before the logarithm: a slot without load stays finite, and half the
# load of a quiet hour is not as large an event as half the load of a busy one.
_OFFSET = 0.1
_SMALLEST = 1e-3


@dataclass(frozen=True, slots=True)
class LogScale:
    """Energy to a logarithm and back.

    Args:
        mean_kwh: mean slot of the days it was made from.
        offset: added to energy over the mean; larger when there is feed-in.

    Example:
        >>> scale = LogScale(mean_kwh=2.0, offset=0.1)
        >>> scale.energy_kwh(scale.level(np.array([0.0, 3.0]))).round(9).tolist()
        [0.0, 3.0]
    """

    mean_kwh: float
    offset: float

    @classmethod
    def of(cls, known: LocalDays) -> LogScale:
        """The scale of a fleet."""
        mean = float(np.abs(known.kwh_per_meter).mean()) or 1.0
        return cls(mean, _OFFSET + max(0.0, -float(known.kwh_per_meter.min()) / mean))

    def level(self, energy_kwh: Floats) -> Floats:
        """Logarithm of energy over its mean."""
        return np.log(np.maximum(energy_kwh / self.mean_kwh + self.offset, _SMALLEST))

    def energy_kwh(self, level: Floats) -> Floats:
        """The energy of a level."""
        return (np.exp(level) - self.offset) * self.mean_kwh


@dataclass(frozen=True, slots=True)
class Recent:
    """The days before some issues, as levels.

    Args:
        level: every known day, shape (days, slots).
        at: index of the first unknown day of each issue, shape (issues,).
        usual: mean of the seven days before each issue, shape (issues, slots).
        calendar: of the known days and the days ahead.
        season: its seasons, 0 for a fleet younger than ``SEASON_DAYS``.
        weather: yesterday's heating and cooling degrees, less the week's mean, shape (issues, 2); 0 without
            a station. The weather to come is not known.
    """

    level: Floats
    at: NDArray[np.int64]
    usual: Floats
    calendar: Calendar
    season: Floats
    weather: Floats

    @classmethod
    def of(cls, known: LocalDays, issues: Sequence[int], scale: LogScale) -> Recent:
        """The recent days of ``issues``, each at least ``LOOKBACK_DAYS`` after the first day."""
        at = np.asarray(issues, dtype=np.int64)
        level = scale.level(known.kwh_per_meter)
        usual: Floats = np.mean([level[at - back] for back in range(1, WEEK + 1)], axis=0)
        calendar = known.calendar()
        season = calendar.season if known.days >= SEASON_DAYS else np.zeros_like(calendar.season)
        return cls(level, at, usual, calendar, season, _weather(known.temperature_c, at))

    def day(self, back: int) -> Floats:
        """The day ``back`` days before the issue, less usual; shape (issues, slots)."""
        found: Floats = self.level[self.at - back] - self.usual
        return found

    def same_weekday(self, ahead: int, weeks: int) -> Floats:
        """The day some weeks before the target day ``ahead`` days after the issue, less usual."""
        found: Floats = self.level[self.at + ahead - WEEK * weeks] - self.usual
        return found

    def mean_of_weekdays(self, ahead: int) -> Floats:
        """Mean of the target day's weekday in the last four weeks, less usual."""
        found: Floats = np.mean([self.same_weekday(ahead, weeks) for weeks in range(1, WEEKS_BACK + 1)], axis=0)
        return found

    def month(self) -> Floats:
        """Mean of the last four weeks, less usual; shape (issues, slots)."""
        found: Floats = np.mean([self.day(back) for back in range(1, LOOKBACK_DAYS + 1)], axis=0)
        return found

    @property
    def usual_level(self) -> Floats:
        """Mean of ``usual`` over the day, shape (issues, 1)."""
        found: Floats = self.usual.mean(axis=1, keepdims=True)
        return found

    def day_level(self, back: int) -> Floats:
        """Mean level of a day, less usual; shape (issues, 1)."""
        found: Floats = self.day(back).mean(axis=1, keepdims=True)
        return found

    def month_level(self) -> Floats:
        """Mean level of the last four weeks, less usual: whether the load has been rising; shape (issues, 1)."""
        found: Floats = self.month().mean(axis=1, keepdims=True)
        return found

    def target(self, ahead: int) -> Floats:
        """What came to pass ``ahead`` days after the issue, less usual."""
        found: Floats = self.level[self.at + ahead] - self.usual
        return found


def _weather(temperature_c: Floats, at: NDArray[np.int64]) -> Floats:
    """Degrees of the day before each issue less their mean over the week before it, in tens, shape (issues, 2)."""
    degrees = np.stack([HEATED_BELOW_C - temperature_c, temperature_c - COOLED_ABOVE_C], axis=1).clip(min=0)
    week = np.stack([degrees[at - back] for back in range(1, WEEK + 1)])
    is_known = ~np.isnan(week)
    mean = np.where(is_known, week, 0.0).sum(axis=0) / np.maximum(is_known.sum(axis=0), 1)
    found: Floats = np.where(is_known[0], week[0] - mean, 0.0) / _DEGREES
    return found


def training_issues(known: LocalDays, *, days: int) -> list[int]:
    """Issues to learn from: both their target days are known and were measured, the newest ``days`` at most.

    Args:
        known: the days that may be learnt from.
        days: at most so many days back.
    """
    first = max(LOOKBACK_DAYS, known.days - days)
    return [day for day in range(first, known.days - 1) if known.is_known[day] and known.is_known[day + 1]]
