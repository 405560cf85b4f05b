"""A meter that repeats itself: the same value hour after hour, above zero."""

from __future__ import annotations

import numpy as np

from energy_platform.domain.anomalies.days import Floats, Singles
from energy_platform.domain.anomalies.detectors.limits import Limit, longest_run


def repeated_hours(hours_kwh: Singles, scale_kwh: Floats) -> Floats:  # noqa: ARG001  # of the measure
    """Hours in a row that equal the hour before and are not zero."""
    with np.errstate(invalid="ignore"):
        is_same = (np.diff(hours_kwh, axis=1) == 0) & (hours_kwh[:, 1:] != 0)
    return longest_run(is_same)


DETECTOR = Limit(
    "flatline",
    repeated_hours,
    "{value:.0f} hours in a row repeat the value before them; the meter's own days reach {limit:.0f}.",
    least=4,
    smallest_sd=1.0,
    share=0.995,
    beyond=1,
)
