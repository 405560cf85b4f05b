"""The baseline: what the meter used on the last known day of the same weekday.

Belongs here: the rule alone. A day that is unknown falls back by another week, up to four; a meter
with no such day falls back to the mean of its last seven days. Every other forecaster is measured
against this one, and it is what users get when no other is better.
"""

from __future__ import annotations

import polars as pl

from energy_platform.domain.forecasting.history import DaySeries
from energy_platform.domain.forecasting.protocol import untrained

NAME = "seasonal_naive"


def predict(rows: pl.DataFrame, series: DaySeries) -> pl.Series:  # noqa: ARG001  # of the protocol
    """The last same weekday; never negative for a consumption meter.

    Example:
        >>> predict(pl.DataFrame({"naive_kwh": [4.0, -1.0]}), None).to_list()
        [4.0, 0.0]
    """
    return rows["naive_kwh"].clip(lower_bound=0.0).alias("p50_kwh")


FORECASTER = untrained(NAME, predict, is_naive=True)
