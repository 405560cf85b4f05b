"""Why a forecast is what it is: the inputs that moved it most.

Belongs here: the figures. Does not belong here: saying them in sentences (domain/insights), how the model has
erred before (backtests.py).
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl

from energy_platform.domain.columns import DRIVERS
from energy_platform.domain.forecasting.forecasters import lightgbm
from energy_platform.domain.forecasting.rows import ENERGY_FEATURES, MODEL_FEATURES

TOP = 3
# Contributions of a row cost a hundred times its forecast (0.6 ms): the meters whose forecasts leave the
# weekly pattern most are explained, all of them in a small fleet.
MAX_METERS = 100

_METER = ("meter_id", "channel")


def drivers(
    trees: lightgbm.LightGBM, rows: pl.DataFrame, *, issued_at_utc: datetime, max_meters: int = MAX_METERS
) -> pl.DataFrame:
    """Rows of ``forecasts.drivers``: the ``TOP`` inputs of each forecast by what they add to it or take away.

    Args:
        trees: the model to explain; in a combination it is the member that can be.
        rows: rows of ``rows.design`` at one cutoff, each with the median ``p50_kwh`` that is issued.
        issued_at_utc: when this is computed.
        max_meters: those whose medians are farthest from the seasonal naive forecast, in kWh over the week.
    """
    off = (pl.col("p50_kwh") - pl.col("naive_kwh")).abs().sum()
    farthest = rows.group_by(_METER).agg(off=off).sort("off", *_METER, descending=[True, False, False]).head(max_meters)
    chosen = rows.join(farthest, on=_METER, how="semi", maintain_order="left")
    if chosen.is_empty():
        return pl.DataFrame(schema=DRIVERS.polars_schema)
    found = trees.contributions(chosen)
    base, added = found[:, -1], found[:, :-1]
    order = np.argsort(-np.abs(added), axis=1, kind="stable")[:, :TOP]
    values = chosen.select(
        pl.col(name) * pl.col("scale_kwh") if name in ENERGY_FEATURES else pl.col(name) for name in MODEL_FEATURES
    ).to_numpy()
    at = np.arange(chosen.height)
    names = np.array(MODEL_FEATURES, dtype=object)
    parts = [
        chosen.select("cutoff_date", *_METER, pl.col("lead").alias("lead_days")).with_columns(
            place=pl.lit(place + 1),
            feature=pl.Series(names[order[:, place]], dtype=pl.String),
            value=pl.Series(values[at, order[:, place]].astype(float)).fill_nan(None),
            contribution_kwh=pl.Series(added[at, order[:, place]]),
            base_kwh=pl.Series(base),
        )
        for place in range(TOP)
    ]
    return (
        pl.concat(parts)
        .with_columns(model=pl.lit(lightgbm.NAME), issued_at_utc=pl.lit(issued_at_utc))
        .select(DRIVERS.column_names)
        .cast(DRIVERS.polars_schema)
        .sort("meter_id", "channel", "lead_days", "place")
    )
