"""Energy with its sign turned, at a meter that does not feed in."""

from __future__ import annotations

import numpy as np

from energy_platform.domain.anomalies.days import Floats, Singles
from energy_platform.domain.anomalies.detectors.limits import Limit


def fed_in(hours_kwh: Singles, scale_kwh: Floats) -> Floats:
    """Energy below zero over the day, in usual hours of the meter."""
    found: Floats = -np.minimum(np.nan_to_num(hours_kwh), 0).sum(axis=1) / scale_kwh
    return found


DETECTOR = Limit(
    "sign",
    fed_in,
    "energy below zero: {value:.2f} usual hours of this meter in the day; its own days reach {limit:.2f}.",
    least=1e-6,
    smallest_sd=0.1,
    share=1.0,
)
