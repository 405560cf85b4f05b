"""A statistical model of each series: statsforecast's AutoETS with a weekly season.

Belongs here: the choice of model. On London homes AutoETS erred 2 % less than MSTL; both fit each series by
itself, AutoETS in 0.2 s a series and issue: heavy.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from energy_platform.domain.features import HORIZON_DAYS
from energy_platform.domain.forecasting.forecasters.each_series import predict_each
from energy_platform.domain.forecasting.history import DaySeries, Floats
from energy_platform.domain.forecasting.protocol import untrained

NAME = "statistical"


def predict(rows: pl.DataFrame, series: DaySeries) -> pl.Series:
    """The form of exponential smoothing that fits each series best before each issue day."""
    return predict_each(rows, series, forecast)


def forecast(history: Floats, issue_day: date) -> Floats:  # noqa: ARG001  # it sees weekdays by their place
    """Seven days after the end of ``history``."""
    from statsforecast.models import AutoETS

    if np.ptp(history) == 0.0:
        return np.full(HORIZON_DAYS, float(history[-1]))
    found = AutoETS(season_length=7).forecast(y=np.asarray(history, dtype=float), h=HORIZON_DAYS)
    return np.asarray(found["mean"], dtype=float)


FORECASTER = untrained(NAME, predict, is_heavy=True)
