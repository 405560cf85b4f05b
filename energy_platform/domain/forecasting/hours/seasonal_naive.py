"""The baselines: the same time of the same weekday last week, and a flat line.

Belongs here: the two rules. The first is what every other forecaster is measured against and what is
issued when none is better. The second is never issued: it tells a load with a pattern from noise, on
which anything that averages beats last week's noise and still knows nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from energy_platform.domain.forecasting.hours.local_days import HORIZON_DAYS, WEEK, Floats, LocalDays

FLAT_DAYS = 28


@dataclass(frozen=True, slots=True)
class SeasonalNaive:
    """Last week's day, slot by slot."""

    name: str = "seasonal_naive"
    least_days: int = WEEK
    refit_days: int = 56
    is_heavy: bool = False
    is_naive: bool = True

    def fit(self, known: LocalDays, *, seed: int) -> SeasonalNaive:  # noqa: ARG002 - there is nothing to learn
        """Itself."""
        return self

    def predict(self, known: LocalDays, issues: Sequence[int]) -> Floats:
        """The days a week before the target days; shape (issues, 2, slots)."""
        at = np.asarray(issues)[:, None] + np.arange(HORIZON_DAYS)
        return known.kwh_per_meter[at - WEEK]


@dataclass(frozen=True, slots=True)
class FlatLine:
    """The median slot of the last four weeks, for every slot ahead."""

    name: str = "flat_line"
    least_days: int = WEEK
    refit_days: int = 56
    is_heavy: bool = False
    is_naive: bool = True

    def fit(self, known: LocalDays, *, seed: int) -> FlatLine:  # noqa: ARG002 - there is nothing to learn
        """Itself."""
        return self

    def predict(self, known: LocalDays, issues: Sequence[int]) -> Floats:
        """One value an issue; shape (issues, 2, slots)."""
        medians = [np.median(known.kwh_per_meter[max(0, issue - FLAT_DAYS) : issue]) for issue in issues]
        return np.tile(np.array(medians)[:, None, None], (1, HORIZON_DAYS, known.slots))
