"""A night leak or a high standby: the quiet hours of the night are not quiet."""

from __future__ import annotations

import numpy as np

from energy_platform.domain.anomalies.days import Floats, Singles
from energy_platform.domain.anomalies.detectors.limits import Limit

NIGHT_HOURS = 6
# Of the six: a fridge that starts, or a late guest, is not the night.
QUIET_HOURS = 3


def night_level_kwh(hours_kwh: Singles, scale_kwh: Floats) -> Floats:  # noqa: ARG001  # of the measure
    """Mean of the quietest three hours between midnight and six; NaN when fewer are known."""
    night = np.partition(np.where(np.isnan(hours_kwh), np.inf, hours_kwh)[:, :NIGHT_HOURS], QUIET_HOURS - 1, axis=1)
    level = night[:, :QUIET_HOURS].mean(axis=1).astype(np.float64)
    return np.where(np.isinf(level), np.nan, level)


DETECTOR = Limit(
    "night_leak",
    night_level_kwh,
    "the quietest hours of the night use {value:.3f} kWh each, usual are {usual:.3f}; the limit is {limit:.3f}.",
    least=0.02,
    smallest_sd=0.003,
    deviations=3.0,
)
