"""Prophet with a weekly season alone: the configuration of the earlier systems, 80 % band left to intervals.py.

Belongs here: the configuration. It fits each series by itself, 0.1 s a series and issue: heavy.
"""

from __future__ import annotations

import logging
from datetime import date, timedelta

import numpy as np
import polars as pl

from energy_platform.domain.features import HORIZON_DAYS
from energy_platform.domain.forecasting.forecasters.each_series import predict_each
from energy_platform.domain.forecasting.history import DaySeries, Floats
from energy_platform.domain.forecasting.protocol import untrained

NAME = "prophet"
CONFIGURATION = {
    "weekly_seasonality": True,
    "yearly_seasonality": False,
    "daily_seasonality": False,
    "changepoint_prior_scale": 0.05,
    "interval_width": 0.8,
    # The bands are conformal for every forecaster, so Prophet's own are not drawn.
    "uncertainty_samples": 0,
}


def predict(rows: pl.DataFrame, series: DaySeries) -> pl.Series:
    """The trend and the weekday, fitted on each series before each issue day."""
    return predict_each(rows, series, forecast)


def forecast(history: Floats, issue_day: date) -> Floats:
    """Seven days from ``issue_day`` on."""
    import pandas as pd

    # On import it says as an error that it cannot draw: it is not asked to.
    logging.getLogger("prophet.plot").setLevel(logging.CRITICAL)
    import prophet

    logging.getLogger("cmdstanpy").setLevel(logging.ERROR)
    logging.getLogger("prophet").setLevel(logging.ERROR)
    days = pd.date_range(end=issue_day - timedelta(days=1), periods=len(history))
    model = prophet.Prophet(**CONFIGURATION).fit(pd.DataFrame({"ds": days, "y": history}))
    ahead = pd.DataFrame({"ds": pd.date_range(issue_day, periods=HORIZON_DAYS)})
    return np.asarray(model.predict(ahead)["yhat"], dtype=float)


FORECASTER = untrained(NAME, predict, is_heavy=True)
