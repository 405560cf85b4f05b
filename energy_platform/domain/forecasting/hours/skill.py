"""Is a forecast better than what knows nothing, by more than the noise?

Belongs here: one paired test over the issues before a cutoff. What follows from it: issuing.py.

Diebold & Mariano (J. Business & Economic Statistics 13, 1995) on absolute errors. Issues of one week look
at the same days and err together, so weeks are the observations; a neighbouring week's covariance counts
where it makes the variance larger (Newey & West, Econometrica 55, 1987).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from energy_platform.domain.forecasting.hours.local_days import WEEK, Floats

# Three degrees of freedom: with fewer weeks one mild week decides.
LEAST_WEEKS = 4
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Skill:
    """One forecaster against another on the same slots.

    Args:
        mae_kwh: its mean absolute error.
        reference_mae_kwh: the other's.
        p_value: chance of such a lead if it were no better; None with fewer than ``LEAST_WEEKS`` weeks.
    """

    mae_kwh: float
    reference_mae_kwh: float
    p_value: float | None

    @property
    def is_shown(self) -> bool:
        """Whether it is better by more than the noise."""
        return self.p_value is not None and self.p_value < LEVEL


def skill(forecast: Floats, reference: Floats, actual: Floats, days: Sequence[int]) -> Skill:
    """Compare two forecasters over a row of issues.

    Args:
        forecast: medians, shape (issues, 2, slots).
        reference: the other's, same shape.
        actual: what came to pass, same shape, NaN where it is unknown.
        days: day of each issue, in order.
    """
    error, other = np.abs(forecast - actual), np.abs(reference - actual)
    shared = ~np.isnan(error) & ~np.isnan(other)
    if not shared.any():
        return Skill(float("nan"), float("nan"), None)
    gain = np.where(shared, other - error, 0.0).sum(axis=(1, 2))
    slots = shared.sum(axis=(1, 2))
    mean = gain.sum() / slots.sum()
    week = (np.asarray(days, dtype=np.int64) - days[0]) // WEEK
    weekly = np.bincount(week, weights=gain - mean * slots)[np.bincount(week, weights=slots) > 0]
    mae, reference_mae = float(error[shared].mean()), float(other[shared].mean())
    if len(weekly) < LEAST_WEEKS:
        return Skill(mae, reference_mae, None)
    from scipy import special

    small_sample = len(weekly) / (len(weekly) - 1)
    variance = float((weekly**2).sum())
    variance = max(variance, variance + float((weekly[1:] * weekly[:-1]).sum())) * small_sample
    if variance == 0.0:
        return Skill(mae, reference_mae, 0.0 if mean > 0 else 1.0)
    statistic = gain.sum() / np.sqrt(variance)
    return Skill(mae, reference_mae, float(1 - special.stdtr(len(weekly) - 1, statistic)))
