"""A backtest summed up: by forecaster and day ahead, and by meter.

Belongs here: rows of ``models.backtests`` and ``models.residuals`` from the folds of a training. Does not
belong here: making the folds (training.py), scores of forecasts that were issued (metrics.py).
"""

from __future__ import annotations

from datetime import date

import polars as pl

from energy_platform.domain.columns import BACKTESTS, RESIDUALS
from energy_platform.domain.forecasting.forecasters import seasonal_naive
from energy_platform.domain.forecasting.intervals import HIGH, LOW
from energy_platform.domain.forecasting.metrics import mean_pinball

_ROW = ("source", "commodity", "meter_id", "channel", "cutoff_date", "lead_days")
_RESIDUAL = pl.col("actual_kwh") - pl.col("p50_kwh")


def backtest_rows(folds: pl.DataFrame, *, cutoff: date) -> pl.DataFrame:
    """Rows of ``models.backtests``, every forecaster of a training by source, commodity and day ahead.

    Args:
        folds: ``training.Training.folds``.
        cutoff: of the training.
    """
    if folds.is_empty():
        return pl.DataFrame(schema=BACKTESTS.polars_schema)
    error, naive = _RESIDUAL.abs(), pl.col("naive_error")
    return _shaped(
        _with_naive_error(folds)
        .group_by("model", "source", "commodity", "lead_days", "is_sample")
        .agg(
            meter_days=pl.len(),
            meters=pl.struct("meter_id", "channel").n_unique(),
            mae_kwh=error.mean(),
            rmse_kwh=_RESIDUAL.pow(2).mean().sqrt(),
            pinball_kwh=mean_pinball().mean(),
            bias_kwh=-_RESIDUAL.mean(),
            skill=pl.when(naive.sum() > 0).then(1 - error.sum() / naive.sum()),
        ),
        cutoff,
        BACKTESTS.polars_schema,
    ).sort("source", "commodity", "lead_days", "mae_kwh")


def residual_rows(folds: pl.DataFrame, *, model: str, cutoff: date) -> pl.DataFrame:
    """Rows of ``models.residuals``: how one forecaster erred on each meter of a backtest.

    Args:
        folds: ``training.Training.folds``.
        model: the forecaster to sum up.
        cutoff: of the training.
    """
    if folds.is_empty():
        return pl.DataFrame(schema=RESIDUALS.polars_schema)
    worst = _RESIDUAL.abs().arg_max()
    return _shaped(
        _with_naive_error(folds)
        .filter(pl.col("model") == model)
        .group_by("model", "meter_id", "channel", "source", "commodity")
        .agg(
            meter_days=pl.len(),
            mae_kwh=_RESIDUAL.abs().mean(),
            naive_mae_kwh=pl.col("naive_error").mean(),
            bias_kwh=_RESIDUAL.mean(),
            p10_residual_kwh=_RESIDUAL.quantile(LOW),
            p90_residual_kwh=_RESIDUAL.quantile(HIGH),
            worst_date=pl.col("local_date").get(worst),
            worst_residual_kwh=_RESIDUAL.get(worst),
        ),
        cutoff,
        RESIDUALS.polars_schema,
    ).sort("meter_id", "channel")


def leaderboard_of(rows: pl.DataFrame) -> pl.DataFrame:
    """``models.backtests`` of one cutoff as one line a forecaster, best first; a sample's skill is on its own rows."""
    days = pl.col("meter_days")
    naive_mae = pl.col("mae_kwh") / (1 - pl.col("skill"))
    return (
        rows.group_by("model", "is_sample")
        .agg(
            meter_days=days.sum(),
            meters=pl.col("meters").max(),
            mae_kwh=(pl.col("mae_kwh") * days).sum() / days.sum(),
            pinball_kwh=(pl.col("pinball_kwh") * days).sum() / days.sum(),
            skill=1 - (pl.col("mae_kwh") * days).sum() / (naive_mae * days).sum(),
        )
        .sort("is_sample", "mae_kwh")
        .select("model", "mae_kwh", "skill", "pinball_kwh", "meters", "meter_days", "is_sample")
    )


def _with_naive_error(folds: pl.DataFrame) -> pl.DataFrame:
    naive = folds.filter(pl.col("model") == seasonal_naive.NAME).select(*_ROW, naive_error=_RESIDUAL.abs())
    return folds.join(naive, on=list(_ROW), how="left")


def _shaped(rows: pl.DataFrame, cutoff: date, schema: pl.Schema) -> pl.DataFrame:
    return rows.with_columns(cutoff_date=pl.lit(cutoff)).select(schema.names()).cast(schema)
