"""Forecasts issued day after day, each by a fit that knew only earlier days.

Belongs here: when a forecaster is fitted again, and which fit an issue gets. Does not belong here:
what is made of the forecasts (combination.py, bands.py, issuing.py).

Fits stand at fixed days of the calendar, so an issue has the same forecast whichever other issues are
computed with it: a backfill, a rehearsal and the daily run agree.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from energy_platform.domain.forecasting.hours.local_days import HORIZON_DAYS, Floats, LocalDays
from energy_platform.domain.forecasting.hours.protocol import Forecaster

# In its first year a fleet's season is new to the model, and a fit costs half: it serves half as long.
YOUNG_DAYS = 400


def fit_day(known: LocalDays, issue: int, *, refit_days: int) -> int:
    """Index of the day whose fit an issue uses: only days before it were learnt from.

    Args:
        known: the fleet.
        issue: index of the first unknown day.
        refit_days: days that a fit serves.
    """
    every = refit_days // 2 if issue < YOUNG_DAYS else refit_days
    return max(issue - (known.first_day.toordinal() + issue) % every, 0)


def rolling(forecaster: Forecaster, known: LocalDays, issues: Sequence[int], *, seed: int) -> Floats:
    """Median of the mean meter at each issue, shape (issues, 2, slots); NaN where there was too little history.

    Args:
        forecaster: fitted anew at every ``fit_day`` of the issues.
        known: the fleet's days; an issue sees those before it.
        issues: indices of first unknown days, each at most ``known.days``.
        seed: of the fits.
    """
    forecasts = np.full((len(issues), HORIZON_DAYS, known.slots), np.nan)
    fits = [fit_day(known, issue, refit_days=forecaster.refit_days) for issue in issues]
    for at in sorted(set(fits)):
        learnt = known.first(at)
        if learnt.days < forecaster.least_days or not learnt.is_known.any():
            continue
        rows = [row for row, fit in enumerate(fits) if fit == at]
        forecasts[rows] = forecaster.fit(learnt, seed=seed).predict(known, [issues[row] for row in rows])
    return forecasts


def outcomes(known: LocalDays, issues: Sequence[int]) -> Floats:
    """What came to pass after each issue, shape (issues, 2, slots); NaN for days that are not known."""
    measured = np.where(known.is_known[:, None], known.kwh_per_meter, np.nan)
    ahead = np.full((HORIZON_DAYS, known.slots), np.nan)
    at = np.asarray(issues, dtype=np.int64)[:, None] + np.arange(HORIZON_DAYS)
    found: Floats = np.concatenate([measured, ahead])[at]
    return found
