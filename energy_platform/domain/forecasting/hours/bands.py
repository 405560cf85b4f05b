"""P10 and P90 around a median for every lead, from the errors of the issues before (split conformal prediction).

Belongs here: quantiles of past errors and the band made from them. Vovk et al., Algorithmic Learning in a
Random World (2005), ch. 4; each tail by itself. A lead shares the errors of its neighbours within an hour
and a half: two dozen issues give one error each, too few for a tenth quantile of one lead alone.
"""

from __future__ import annotations

import numpy as np

from energy_platform.domain.forecasting.hours.local_days import HORIZON_DAYS, Floats

# P10 and P90.
HIGH = 0.9
NEIGHBOUR_HOURS = 1.5
# Errors grow with the load, but not to nothing with it: a share of the mean slot is added.
_FLOOR_SHARE = 0.1
_SMALLEST_KWH = 1e-6


def band(median: Floats, *, past_median: Floats, past_actual: Floats) -> tuple[Floats, Floats]:
    """Low and high of one issue; never on the wrong side of the median.

    Args:
        median: the forecast, shape (2, slots).
        past_median: forecasts of earlier issues by the same forecaster, shape (issues, 2, slots).
        past_actual: what came to pass, same shape, NaN where it is unknown.

    Returns:
        (P10, P90), each of shape (2, slots). Without any earlier issue the band is the median itself.
    """
    usable = ~np.isnan(past_actual) & ~np.isnan(past_median)
    if not usable.any():
        return median.copy(), median.copy()
    floor = _FLOOR_SHARE * float(np.abs(past_actual[usable]).mean()) + _SMALLEST_KWH
    errors = (past_actual - past_median) / (np.abs(past_median) + floor)
    low, high = _quantiles(errors.reshape(len(errors), -1), slots=median.shape[1])
    spread = np.abs(median) + floor
    shape = (HORIZON_DAYS, median.shape[1])
    return (
        np.minimum(median + low.reshape(shape) * spread, median),
        np.maximum(median + high.reshape(shape) * spread, median),
    )


def _quantiles(errors: Floats, *, slots: int) -> tuple[Floats, Floats]:
    """Low and high error of each lead, shape (leads,), from errors of shape (issues, leads).

    One issue more than seen is counted, as conformal prediction does: with few the band is wider.
    """
    reach = int(NEIGHBOUR_HOURS * slots / 24)
    wider = 1 + 1 / int((~np.isnan(errors)).any(axis=1).sum())
    padded = np.pad(errors, ((0, 0), (reach, reach)), constant_values=np.nan)
    near = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1)
    # Not a number sorts last, so the known errors of a lead are the first of its row.
    ordered = np.sort(near.transpose(1, 0, 2).reshape(errors.shape[1], -1), axis=1)
    known = (~np.isnan(ordered)).sum(axis=1)
    everything = np.sort(errors[~np.isnan(errors)])
    found = []
    for level in (max(1 - HIGH * wider, 0.0), min(HIGH * wider, 1.0)):
        place = level * np.maximum(known - 1, 0)
        below, rest = np.floor(place).astype(np.int64), place % 1
        above = np.minimum(below + 1, np.maximum(known - 1, 0))
        rows = np.arange(len(ordered))
        between = ordered[rows, below] * (1 - rest) + ordered[rows, above] * rest
        found.append(np.where(known > 0, between, np.quantile(everything, level)))
    return found[0], found[1]
