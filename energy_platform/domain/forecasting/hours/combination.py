"""Several forecasters as one: the less one erred on the issues before the cutoff, the larger its share.

Belongs here: how shares are found. Averages of forecasts err less than most of their members (Bates &
Granger, Operational Research Quarterly 20, 1969), who weigh by the inverse of the error; here by a high
power of it, because members that err a tenth more than the best have nothing to add.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from energy_platform.domain.forecasting.hours.local_days import Floats

NAME = "combination"
# Who errs 2 % more gets half as much, who errs 10 % more a twentieth. Of 4 to 48 the best on four earlier years
# of two regions; searching for the best shares was no better.
POWER = 32.0
# In a fleet's first year the order of the last weeks says less of the next ones: 5 % better than the above in the
# Novembers and Decembers of twelve years of two regions, each made to begin that January.
POWER_YOUNG = 8.0


def shares(members: Mapping[str, Floats], actual: Floats, *, power: float = POWER) -> dict[str, float]:
    """Share of each member, above 0, together 1.

    Args:
        members: forecasts by name, shape (issues, 2, slots).
        actual: what came to pass, same shape, NaN where it is unknown.
        power: of the inverse errors.

    Returns:
        Equal shares when nothing is known yet, or when nobody erred.

    Example:
        >>> found = shares({"a": np.full((1, 2, 1), 1.1), "b": np.zeros((1, 2, 1))}, np.ones((1, 2, 1)))
        >>> {name: round(share, 3) for name, share in found.items()}
        {'a': 1.0, 'b': 0.0}
    """
    names = list(members)
    stacked = np.stack([members[name] for name in names])
    usable = ~np.isnan(actual) & ~np.isnan(stacked).any(axis=0)
    errors = np.abs(stacked[:, usable] - actual[usable]).mean(axis=1) if usable.any() else np.zeros(len(names))
    if not errors.any():
        return dict.fromkeys(names, 1 / len(names))
    # Relative to the largest, so that no power overflows; nobody is infinitely good.
    votes = np.maximum(errors / errors.max(), 1e-6) ** -power
    return dict(zip(names, (votes / votes.sum()).tolist(), strict=True))


def combined(members: Mapping[str, Floats], given: Mapping[str, float]) -> Floats:
    """The weighted mean of the members, shape (issues, 2, slots).

    Args:
        members: forecasts by name, at least those that have a share.
        given: what ``shares`` found.
    """
    mean: Floats = np.sum([members[name] * share for name, share in given.items()], axis=0)
    return mean
