"""A meter that stands still: zero hour after hour, in a home that never uses nothing for so long."""

from __future__ import annotations

import numpy as np

from energy_platform.domain.anomalies.days import Floats, Singles
from energy_platform.domain.anomalies.detectors.limits import Limit, longest_run

# Of the usual mean hour: a sensor's noise around zero is zero.
_NOTHING = 1e-3


def still_hours(hours_kwh: Singles, scale_kwh: Floats) -> Floats:
    """Hours in a row without energy."""
    with np.errstate(invalid="ignore"):
        return longest_run(np.abs(hours_kwh) <= _NOTHING * scale_kwh[:, None])


DETECTOR = Limit(
    "meter_stopped",
    still_hours,
    "{value:.0f} hours in a row without any energy; the meter's own days reach {limit:.0f}.",
    least=3,
    smallest_sd=1.0,
    share=0.995,
    beyond=1,
)
