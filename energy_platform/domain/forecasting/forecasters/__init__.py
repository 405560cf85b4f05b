"""The forecasters of a meter's days, by name. To add one: a file here and a line in ``FORECASTERS``.

The combination is not among them: it is made of the others (combination.py).
"""

from __future__ import annotations

from energy_platform.domain.forecasting.forecasters import (
    exponential_smoothing,
    lightgbm,
    prophet,
    recent_mean,
    ridge,
    seasonal_naive,
    statistical,
)
from energy_platform.domain.forecasting.protocol import Forecaster

FORECASTERS: dict[str, Forecaster] = {
    module.FORECASTER.name: module.FORECASTER
    for module in (
        seasonal_naive,
        recent_mean,
        exponential_smoothing,
        ridge,
        lightgbm,
        statistical,
        prophet,
    )
}
# Those that the combination is made of: they forecast every meter, and have learnt something.
MEMBERS = tuple(name for name, one in FORECASTERS.items() if not (one.is_heavy or one.is_naive))
