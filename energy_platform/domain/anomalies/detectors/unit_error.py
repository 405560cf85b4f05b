"""An energy in the next smaller unit: a thousand times too much, as a day or as single hours."""

from __future__ import annotations

import numpy as np

from energy_platform.domain.anomalies.days import Floats, Singles
from energy_platform.domain.anomalies.detectors.limits import Limit


def magnitude(hours_kwh: Singles, scale_kwh: Floats) -> Floats:
    """Powers of ten between the largest hour and the meter's usual mean hour, above or below zero."""
    largest = np.nanmax(np.where(np.isnan(hours_kwh), 0, np.abs(hours_kwh)), axis=1)
    found: Floats = np.log10(np.maximum(largest / scale_kwh, 1e-6))
    return found


DETECTOR = Limit(
    "unit_x1000",
    magnitude,
    "the largest hour is 10 to the power {value:.1f} times the meter's usual hour, as in a smaller unit; "
    "the limit is the power {limit:.1f}.",
    least=2.0,
    smallest_sd=0.1,
    share=1.0,
    beyond=0.7,
)
