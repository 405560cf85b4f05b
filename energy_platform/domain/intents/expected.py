"""What was to be expected of a day, from days before it alone: the counterfactual that an outcome is held against.

The expected load of a slot is the mean of the same slot on the last days of the same kind (Monday to Friday, or weekend).
A mean and not a median: an expected energy adds up over slots, medians of a spiky load do not. Belongs here: that rule.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from energy_platform.domain.intents.declaration import Intent
from energy_platform.domain.intents.loads import Floats, SiteDays


@dataclass(frozen=True, slots=True)
class Expected:
    """Of one day.

    Args:
        total_kwh: by slot.
        most_kwh: by channel, the most that a device drew in a slot on the days before: as much as it can.
        days: how many days it is the mean of.
    """

    total_kwh: Floats
    most_kwh: dict[str, float]
    days: int


def expected_of(days: SiteDays, at: int, intent: Intent) -> Expected | None:
    """What to expect of the day at an index, or None when too few days before it are whole.

    Args:
        days: load; nothing from the day itself on is looked at.
        at: index of the day.
        intent: how far back, and how many days it takes.
    """
    oldest = max(0, at - intent.expect_from_days)
    like = [
        before
        for before in range(oldest, at)
        if is_weekend(days.dates[before]) is is_weekend(days.dates[at]) and not np.isnan(days.total_kwh[before]).any()
    ]
    if len(like) < intent.least_days:
        return None
    most = {}
    for channel, loads in days.device_kwh.items():
        seen = loads[oldest:at]
        known = seen[~np.isnan(seen)]
        most[channel] = float(known.max()) if known.size else 0.0
    return Expected(days.total_kwh[like].mean(axis=0), most, len(like))


def expected_ahead(days: SiteDays, day: date, intent: Intent, *, acted: Collection[date] = ()) -> Expected | None:
    """What to expect of a day that has not come: the same, from the days known by now.

    Days on which the intent acted are left out: what it took away would otherwise be expected to be away, and the goal
    would chase itself downwards.
    """
    missing = max(0, (day - days.dates[-1]).days)
    unknown = np.full((missing, days.total_kwh.shape[1]), np.nan)
    total = np.vstack([days.total_kwh, unknown])
    dates = (*days.dates, *(days.dates[-1] + timedelta(days=number + 1) for number in range(missing)))
    for at, known in enumerate(dates):
        if known in acted:
            total[at] = np.nan
    loads = {channel: np.vstack([load, unknown]) for channel, load in days.device_kwh.items()}
    return expected_of(SiteDays(dates, total, loads), dates.index(day), intent)


def is_weekend(day: date) -> bool:
    """Saturday or Sunday.

    Example:
        >>> is_weekend(date(2024, 6, 1))
        True
    """
    return day.weekday() >= 5
