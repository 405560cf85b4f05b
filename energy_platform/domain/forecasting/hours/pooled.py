"""One linear model for the slots of each part of the day: how far a slot takes over what it did before.

Belongs here: the layout of its inputs. What they mean: inputs.py; how they are solved: ridge.py. Where
ridge.py gives every slot some two hundred weights of its own, here the slots of four hours share forty:
less can be said, and it is learnt from more rows. Fleets of few homes, whose slots are noisy, gain by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from energy_platform.domain.forecasting.hours.inputs import WEEKS_BACK, LogScale, Recent, training_issues
from energy_platform.domain.forecasting.hours.local_days import HORIZON_DAYS, Floats, LocalDays
from energy_platform.domain.forecasting.hours.ridge import Weights, solve

TRAINING_DAYS = 3 * 365
HALF_LIFE_DAYS = 365.0
PENALTY = 1000.0
# Night, morning, noon, evening: what a slot takes over differs by the hour.
PARTS_OF_DAY = 6
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class FittedPooled:
    """Weights of both days ahead.

    Args:
        scale: logarithm the levels are on.
        weights: a day ahead and part of the day: (constant, shape (1,); weights, shape (inputs, 1)).
    """

    scale: LogScale
    weights: tuple[tuple[Weights, ...], ...]

    def predict(self, known: LocalDays, issues: Sequence[int]) -> Floats:
        """Median of the mean meter, shape (issues, 2, slots), kWh."""
        recent = Recent.of(known, issues, self.scale)
        levels = []
        for ahead, parts in enumerate(self.weights):
            inputs = np.split(design(recent, ahead), PARTS_OF_DAY, axis=1)
            made = [(constant + x @ weights)[..., 0] for x, (constant, weights) in zip(inputs, parts, strict=True)]
            levels.append(np.concatenate(made, axis=1) + recent.usual)
        return self.scale.energy_kwh(np.stack(levels, axis=1))


@dataclass(frozen=True, slots=True)
class Pooled:
    """Ridge regression over the rows of all slots."""

    name: str = "pooled_ridge"
    least_days: int = 70
    refit_days: int = 28
    is_heavy: bool = False
    is_naive: bool = False

    def fit(self, known: LocalDays, *, seed: int) -> FittedPooled:  # noqa: ARG002 - nothing is drawn
        """Weights from every slot of every issue of ``training_issues``."""
        scale = LogScale.of(known)
        recent = Recent.of(known, training_issues(known, days=TRAINING_DAYS), scale)
        age_weight = 0.5 ** ((known.days - recent.at) / HALF_LIFE_DAYS)
        row_weight = np.repeat(age_weight, known.slots // PARTS_OF_DAY)
        weights = []
        for ahead in range(HORIZON_DAYS):
            inputs = np.split(design(recent, ahead), PARTS_OF_DAY, axis=1)
            targets = np.split(recent.target(ahead), PARTS_OF_DAY, axis=1)
            solved = [
                solve(x.reshape(-1, x.shape[-1]), y.reshape(-1, 1), row_weight, (PENALTY,))[0]
                for x, y in zip(inputs, targets, strict=True)
            ]
            weights.append(tuple(solved))
        return FittedPooled(scale, tuple(weights))


def design(recent: Recent, ahead: int) -> Floats:
    """Inputs of each slot of the target day, shape (issues, slots, inputs)."""
    calendar, target, usual = recent.calendar, recent.at + ahead, recent.usual
    issues, slots = usual.shape
    per_hour = slots // 24
    yesterday, before = recent.day(1), recent.day(2)
    like = [recent.same_weekday(ahead, weeks) for weeks in range(1, WEEKS_BACK + 1)]
    mean_like, month = recent.mean_of_weekdays(ahead), recent.month()
    is_free = ((calendar.weekday[target] >= _SATURDAY) | (calendar.is_holiday[target] > 0)).astype(float)[:, None]
    by_slot = [
        yesterday,
        around(yesterday, 1),
        around(yesterday, 3),
        before,
        around(before, 2),
        recent.day(3),
        like[0],
        like[1],
        like[2] + like[3],
        around(like[0], 2),
        mean_like,
        around(mean_like, 1),
        month,
        around(month, 1),
        *(around(usual, reach) - usual for reach in (1, 2, 4)),
        *(is_free * values for values in (yesterday, like[0], mean_like)),
    ]
    by_issue = [
        *(recent.day_level(back) for back in (1, 2, 3)),
        recent.month_level(),
        *(yesterday[:, -hours * per_hour :].mean(axis=1, keepdims=True) for hours in (1, 3)),
        like[0].mean(axis=1, keepdims=True),
        mean_like.mean(axis=1, keepdims=True),
        *recent.weather.T[:, :, None],
        calendar.is_holiday[target][:, None],
        calendar.is_day_before_holiday[target][:, None],
        calendar.is_holiday[target - 7][:, None],
        calendar.is_holiday[recent.at - 1][:, None],
        *np.eye(7)[calendar.weekday[target]].T[:, :, None],
    ]
    columns = by_slot + by_issue
    made = np.empty((issues, slots, len(columns)))
    for place, column in enumerate(columns):
        made[:, :, place] = column
    return made


def around(values: Floats, reach: int) -> Floats:
    """Mean of each slot and its ``reach`` neighbours on both sides, across midnight of the same day.

    Example:
        >>> around(np.array([[0.0, 3.0, 0.0, 0.0]]), 1).tolist()
        [[1.0, 1.0, 1.0, 0.0]]
    """
    found: Floats = np.mean([np.roll(values, shift, axis=1) for shift in range(-reach, reach + 1)], axis=0)
    return found
