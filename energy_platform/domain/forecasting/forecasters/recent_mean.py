"""The other baseline: the mean of the meter's last 28 days, every day alike.

Belongs here: the rule alone. On noise without a weekly pattern it beats last week's day by a quarter, and any
trained model does too: a model that is not better than *this* has learnt nothing but a mean.
"""

from __future__ import annotations

import polars as pl

from energy_platform.domain.forecasting.history import DaySeries
from energy_platform.domain.forecasting.protocol import untrained

NAME = "recent_mean"


def predict(rows: pl.DataFrame, series: DaySeries) -> pl.Series:  # noqa: ARG001  # of the protocol
    """The mean of 28 days, which is the scale of a row.

    Example:
        >>> predict(pl.DataFrame({"scale_kwh": [4.0, 2.5]}), None).to_list()
        [4.0, 2.5]
    """
    return rows["scale_kwh"].alias("p50_kwh")


FORECASTER = untrained(NAME, predict, is_naive=True)
