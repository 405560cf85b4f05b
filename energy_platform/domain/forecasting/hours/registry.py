"""Every forecaster of the next two days: one line each.

Belongs here: the list. Does not belong here: which of them is issued (issuing.py).
"""

from energy_platform.domain.forecasting.hours.boosting import Boosting
from energy_platform.domain.forecasting.hours.exponential_smoothing import ExponentialSmoothing
from energy_platform.domain.forecasting.hours.mstl import Mstl
from energy_platform.domain.forecasting.hours.pooled import Pooled
from energy_platform.domain.forecasting.hours.protocol import Forecaster
from energy_platform.domain.forecasting.hours.ridge import Ridge
from energy_platform.domain.forecasting.hours.seasonal_naive import FlatLine, SeasonalNaive

BASELINE = SeasonalNaive()
FLAT_LINE = FlatLine()
FORECASTERS: tuple[Forecaster, ...] = (
    BASELINE,
    FLAT_LINE,
    ExponentialSmoothing(),
    Ridge(),
    Pooled(),
    Boosting(),
    Mstl(),
)
