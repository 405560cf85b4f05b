"""What a forecaster of a fleet's next two days is: it is fitted on known days and asked at issue days.

Belongs here: the shape that every forecaster has. Does not belong here: any one of them (a file each,
listed in registry.py), bands (bands.py), which one is issued (issuing.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from energy_platform.domain.forecasting.hours.local_days import Floats, LocalDays


class Fitted(Protocol):
    """A forecaster that has learnt what it could."""

    def predict(self, known: LocalDays, issues: Sequence[int]) -> Floats:
        """Median energy of the mean meter, shape (issues, ``HORIZON_DAYS``, slots), kWh.

        Args:
            known: the days that are known; may hold more than an issue knew.
            issues: index of the first unknown day of each issue, at most ``known.days``. Only days before
                it are looked at.
        """
        ...


class Forecaster(Protocol):
    """A way to forecast."""

    @property
    def name(self) -> str:
        """As it is stored in the column ``model``."""
        ...

    @property
    def least_days(self) -> int:
        """Days of history without which it is not fitted."""
        ...

    @property
    def refit_days(self) -> int:
        """Days that a fit serves."""
        ...

    @property
    def is_heavy(self) -> bool:
        """Whether it is fitted anew at every issue: such take part in young fleets, and when asked for."""
        ...

    @property
    def is_naive(self) -> bool:
        """Whether it learns nothing: what the others have to beat."""
        ...

    def fit(self, known: LocalDays, *, seed: int) -> Fitted:
        """Learn from all of ``known``, which has at least ``least_days`` days."""
        ...
