"""Gradient boosting over all slots of the next two days at once (LightGBM), the median directly.

Belongs here: the layout of its inputs, parameters, fit. What the inputs mean: inputs.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from energy_platform.domain.forecasting.hours.inputs import LogScale, Recent, training_issues
from energy_platform.domain.forecasting.hours.local_days import HORIZON_DAYS, WEEK, Floats, LocalDays

TRAINING_DAYS = 3 * 365
# Rows a fit learns from; longer histories give every second or third issue.
MOST_ROWS = 20_000
ROUNDS = 60
# One thread: on 20,000 rows two wait for each other longer than they work.
PARAMETERS: dict[str, Any] = {
    "objective": "l1",
    "learning_rate": 0.15,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "max_bin": 127,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


@dataclass(frozen=True, slots=True)
class FittedBoosting:
    """A trained booster.

    Args:
        scale: logarithm the levels are on.
        booster: native LightGBM booster.
    """

    scale: LogScale
    booster: Any

    def predict(self, known: LocalDays, issues: Sequence[int]) -> Floats:
        """Median of the mean meter, shape (issues, 2, slots), kWh."""
        recent = Recent.of(known, issues, self.scale)
        change = self.booster.predict(table(recent), num_threads=1)
        level = change.reshape(len(recent.at), HORIZON_DAYS, known.slots) + recent.usual[:, None, :]
        return self.scale.energy_kwh(level)


@dataclass(frozen=True, slots=True)
class Boosting:
    """LightGBM on lags, levels and calendar of each slot; absolute error, so that it gives the median."""

    name: str = "lightgbm"
    least_days: int = 70
    refit_days: int = 56
    is_heavy: bool = False
    is_naive: bool = False

    def fit(self, known: LocalDays, *, seed: int) -> FittedBoosting:
        """Trees over at most ``MOST_ROWS`` rows of ``training_issues``."""
        import lightgbm

        scale = LogScale.of(known)
        issues = thinned(training_issues(known, days=TRAINING_DAYS), rows_each=HORIZON_DAYS * known.slots)
        recent = Recent.of(known, issues, scale)
        target = np.stack([recent.target(ahead) for ahead in range(HORIZON_DAYS)], axis=1).ravel()
        settings = {**PARAMETERS, "seed": seed}
        data = lightgbm.Dataset(table(recent), target, params=settings)
        return FittedBoosting(scale, lightgbm.train(settings, data, num_boost_round=ROUNDS))


def thinned(issues: list[int], *, rows_each: int) -> list[int]:
    """Every n-th issue, the newest among them, so that ``MOST_ROWS`` are not passed; n is never a whole week.

    Example:
        >>> len(thinned(list(range(730)), rows_each=96)), len(thinned(list(range(300)), rows_each=96))
        (183, 150)
    """
    step = -(-len(issues) * rows_each // MOST_ROWS)
    step += step % WEEK == 0
    return issues[::-1][::step][::-1]


def table(recent: Recent) -> NDArray[np.float32]:
    """Inputs as rows of (issue, day ahead, slot), shape (issues × 2 × slots, inputs)."""
    days = [_day_table(recent, ahead) for ahead in range(HORIZON_DAYS)]
    return np.stack(days, axis=1).reshape(-1, days[0].shape[-1]).astype(np.float32)


def _day_table(recent: Recent, ahead: int) -> Floats:
    """Inputs of one day ahead, shape (issues, slots, inputs)."""
    issues, slots = recent.usual.shape
    per_hour = slots // 24
    yesterday, usual = recent.day(1), recent.usual
    around = (np.roll(yesterday, 1, axis=1) + yesterday + np.roll(yesterday, -1, axis=1)) / 3
    by_slot = [
        np.broadcast_to(np.arange(slots), (issues, slots)),
        yesterday,
        around,
        recent.day(2),
        recent.day(3),
        recent.same_weekday(ahead, 1),
        recent.same_weekday(ahead, 2),
        recent.mean_of_weekdays(ahead),
        recent.month(),
        usual - recent.usual_level,
        np.roll(usual, 1, axis=1) - usual,
        np.roll(usual, -1, axis=1) - usual,
    ]
    calendar, target = recent.calendar, recent.at + ahead
    by_issue = [
        np.full(issues, ahead),
        *(yesterday[:, -hours * per_hour :].mean(axis=1) for hours in (1, 3, 6)),
        *(recent.day_level(back)[:, 0] for back in (1, 2, 3)),
        *(recent.same_weekday(ahead, weeks).mean(axis=1) for weeks in (1, 2)),
        recent.month_level()[:, 0],
        calendar.weekday[target],
        calendar.weekday[recent.at],
        calendar.is_holiday[target],
        calendar.is_day_before_holiday[target],
        calendar.is_day_after_holiday[target],
        calendar.is_holiday[recent.at - 1],
        calendar.is_holiday[target - WEEK],
        *recent.season[target, :2].T,
        *recent.weather.T,
    ]
    columns = by_slot + [np.broadcast_to(values[:, None], (issues, slots)) for values in by_issue]
    return np.stack(columns, axis=2)
