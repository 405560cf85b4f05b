"""Ridge regression of the next two days on the last ones, every slot with its own weights.

Belongs here: the layout of its inputs, its fit. What the inputs mean: inputs.py. The weights of all
slots come from one small linear system, so a fit over six years of hours takes a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from energy_platform.domain.forecasting.hours.inputs import LogScale, Recent, training_issues
from energy_platform.domain.forecasting.hours.local_days import HORIZON_DAYS, Floats, LocalDays

TRAINING_DAYS = 6 * 365
# Behaviour changes: a day two years back counts half.
HALF_LIFE_DAYS = 730.0
# Penalties tried on the newest fifth of the training days; a fleet of fifty homes needs a hundred times
# what a region needs.
PENALTIES = (10.0, 100.0, 1000.0)
_TRIAL_SHARE = 0.2
_LEAST_SPREAD = 1e-3
# Flags are rare, so standardised they are penalised little; doubled, less still.
_FLAG_WEIGHT = 2.0
_QUARTERS_OF_DAY = 4

Weights = tuple[Floats, Floats]


@dataclass(frozen=True, slots=True)
class FittedRidge:
    """Weights of both days ahead.

    Args:
        scale: logarithm the levels are on.
        weights: a day ahead: (constant, shape (slots,); weights, shape (inputs, slots)).
    """

    scale: LogScale
    weights: tuple[Weights, ...]

    def predict(self, known: LocalDays, issues: Sequence[int]) -> Floats:
        """Median of the mean meter, shape (issues, 2, slots), kWh."""
        recent = Recent.of(known, issues, self.scale)
        levels = [
            constant + design(recent, ahead) @ weights + recent.usual
            for ahead, (constant, weights) in enumerate(self.weights)
        ]
        return self.scale.energy_kwh(np.stack(levels, axis=1))


@dataclass(frozen=True, slots=True)
class Ridge:
    """Ridge regression (Hoerl & Kennard, Technometrics 12, 1970) with weights that fade with age."""

    name: str = "ridge"
    least_days: int = 70
    refit_days: int = 28
    is_heavy: bool = False
    is_naive: bool = False

    def fit(self, known: LocalDays, *, seed: int) -> FittedRidge:  # noqa: ARG002 - nothing is drawn
        """Weights from every issue of ``training_issues``; the penalty is chosen on the newest of them."""
        scale = LogScale.of(known)
        issues = training_issues(known, days=TRAINING_DAYS)
        recent = Recent.of(known, issues, scale)
        age_weight = 0.5 ** ((known.days - recent.at) / HALF_LIFE_DAYS)
        designs = [design(recent, ahead) for ahead in range(HORIZON_DAYS)]
        targets = [recent.target(ahead) for ahead in range(HORIZON_DAYS)]
        earlier = slice(0, len(issues) - int(len(issues) * _TRIAL_SHARE))
        later = slice(earlier.stop + HORIZON_DAYS, None)
        tried = solve(designs[0][earlier], targets[0][earlier], age_weight[earlier], PENALTIES)
        errors = [
            np.abs(constant + designs[0][later] @ weights - targets[0][later]).mean() for constant, weights in tried
        ]
        best = PENALTIES[int(np.argmin(errors))]
        solved = [solve(x, y, age_weight, (best,))[0] for x, y in zip(designs, targets, strict=True)]
        return FittedRidge(scale, tuple(solved))


def design(recent: Recent, ahead: int) -> Floats:
    """Inputs of the target day ``ahead`` days after each issue, shape (issues, inputs)."""
    calendar, target = recent.calendar, recent.at + ahead
    yesterday = recent.day(1)
    quarters = yesterday.reshape(len(yesterday), _QUARTERS_OF_DAY, -1).mean(axis=2)
    season = recent.season[target]
    weekday = np.eye(7)[calendar.weekday[target]]
    flags = np.stack(
        [
            calendar.is_holiday[target],
            calendar.is_day_before_holiday[target],
            calendar.is_day_after_holiday[target],
            calendar.is_holiday[recent.at - 1],
            calendar.is_holiday[recent.at - 2],
            calendar.is_holiday[target - 7],
        ],
        axis=1,
    )
    parts = [
        yesterday,
        recent.day(2),
        recent.same_weekday(ahead, 1),
        recent.same_weekday(ahead, 2),
        recent.mean_of_weekdays(ahead),
        recent.usual - recent.usual_level,
        recent.day_level(1),
        recent.day_level(2),
        recent.day_level(3),
        recent.day_level(1) - recent.day_level(8),
        recent.day_level(2) - recent.day_level(9),
        recent.month_level(),
        weekday * _FLAG_WEIGHT,
        flags * _FLAG_WEIGHT,
        recent.weather,
        season,
        # A warm day means less load in January and more in July.
        (season[:, :, None] * quarters[:, None, :]).reshape(len(season), -1),
    ]
    return np.concatenate(parts, axis=1)


def solve(
    inputs: Floats, targets: Floats, row_weights: NDArray[np.float64], penalties: Sequence[float]
) -> list[Weights]:
    """Constant and weights for each penalty on standardised inputs.

    Args:
        inputs: shape (rows, inputs).
        targets: shape (rows, outputs).
        row_weights: shape (rows,).
        penalties: each at least 0.
    """
    share = row_weights[:, None] / row_weights.sum()
    centre, middle = (share * inputs).sum(axis=0), (share * targets).sum(axis=0)
    spread = np.sqrt((share * (inputs - centre) ** 2).sum(axis=0)) + _LEAST_SPREAD
    scaled = (inputs - centre) / spread
    weighted = scaled * row_weights[:, None]
    gram, moments = scaled.T @ weighted, weighted.T @ (targets - middle)
    found = []
    for penalty in penalties:
        weights = np.linalg.solve(gram + penalty * np.eye(len(gram)), moments) / spread[:, None]
        found.append((middle - centre @ weights, weights))
    return found
