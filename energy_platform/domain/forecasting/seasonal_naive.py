"""Where the baseline's name used to be; see forecasters/seasonal_naive.py."""

from energy_platform.domain.forecasting.forecasters.seasonal_naive import NAME, predict

__all__ = ["NAME", "predict"]
