"""Scores of forecasts and the leaderboard that they add up to.

Belongs here: the arithmetic. Does not belong here: joining forecasts with what happened (scores.py
has that SQL), when a score is good enough (decision.py).
"""

from __future__ import annotations

import polars as pl

from energy_platform.domain.forecasting.forecasters.seasonal_naive import NAME as BASELINE

# A home that stands empty has no weekly pattern to be measured against: a Wh of error would be a MASE of 100.
MIN_NAIVE_SCALE_KWH = 0.01

_GROUP = ("model", "source", "commodity", "cutoff_date", "lead_days")
_SAME_ROWS = ("source", "commodity", "cutoff_date", "lead_days")


def pinball(actual: pl.Expr, forecast: pl.Expr, *, quantile: float) -> pl.Expr:
    """Pinball loss row by row; at least 0, 0 is best (Koenker & Bassett, Econometrica 46, 1978).

    Example:
        >>> frame = pl.DataFrame({"y": [10.0, 10.0], "q": [8.0, 12.0]})
        >>> frame.select(pinball(pl.col("y"), pl.col("q"), quantile=0.9)).to_series().round(3).to_list()
        [1.8, 0.2]
    """
    error = actual - forecast
    return pl.max_horizontal(quantile * error, (quantile - 1) * error)


def mean_pinball(actual: str = "actual_kwh") -> pl.Expr:
    """Mean pinball loss of a row over its P10, P50 and P90."""
    y = pl.col(actual)
    levels = (("p10_kwh", 0.1), ("p50_kwh", 0.5), ("p90_kwh", 0.9))
    return pl.mean_horizontal(*(pinball(y, pl.col(name), quantile=level) for name, level in levels))


def score(rows: pl.DataFrame) -> pl.DataFrame:
    """``forecasts.scores`` of forecasts whose outcome is known.

    Args:
        rows: the keys model, source, commodity, cutoff_date, lead_days, meter_id, channel; p10_kwh, p50_kwh,
            p90_kwh, actual_kwh; naive_scale_kwh, the meter's mean absolute weekly difference before the
            cutoff (null where there is none).

    Returns:
        One row per model, source, commodity, cutoff and lead, ordered by them. ``mase`` is the mean of
        absolute errors over the meter's scale (Hyndman & Koehler, Int. J. Forecasting 22, 2006), without
        meters whose scale is below ``MIN_NAIVE_SCALE_KWH``. ``skill`` compares on the rows that both models have; null without the baseline.
    """
    error, actual = pl.col("p50_kwh") - pl.col("actual_kwh"), pl.col("actual_kwh")
    scale = pl.col("naive_scale_kwh")
    variation = (actual - actual.mean()).pow(2).sum()
    meter = [*_SAME_ROWS, "meter_id", "channel"]
    baseline = rows.filter(pl.col("model") == BASELINE).select(*meter, naive_error=error.abs())
    shared = pl.col("naive_error").is_not_null()
    return (
        rows.join(baseline, on=meter, how="left")
        .group_by(_GROUP)
        .agg(
            meter_days=pl.len().cast(pl.Int64),
            mae_kwh=error.abs().mean(),
            rmse_kwh=error.pow(2).mean().sqrt(),
            pinball_kwh=mean_pinball().mean(),
            mase=(error.abs() / scale).filter(scale >= MIN_NAIVE_SCALE_KWH).mean(),
            coverage=((actual >= pl.col("p10_kwh")) & (actual <= pl.col("p90_kwh"))).mean(),
            r2=1 - _ratio(error.pow(2).sum(), variation),
            skill=1 - _ratio(error.abs().filter(shared).sum(), pl.col("naive_error").sum()),
        )
        .sort(_GROUP)
    )


def leaderboard(scores: pl.DataFrame, *, by: tuple[str, ...] = ("model", "lead_days")) -> pl.DataFrame:
    """Scores of many cutoffs and sources as one table, each weighted by its meter-days.

    RMSE is the root of the mean square. R² and MASE are means over the cutoffs, not recomputed over all
    rows. Skill is against the baseline over the cutoffs that both have.

    Args:
        scores: rows of ``forecasts.scores``.
        by: one row of the result for each of these; ``("model",)`` for one line a model.

    Example:
        >>> leaderboard(pl.DataFrame(schema={**dict.fromkeys(("model", "source", "commodity"), pl.String),
        ...     "cutoff_date": pl.Date, "lead_days": pl.Int8, "meter_days": pl.Int64, **dict.fromkeys(
        ...     ("mae_kwh", "rmse_kwh", "pinball_kwh", "mase", "coverage", "r2", "skill"), pl.Float64)})).height
        0
    """
    days = pl.col("meter_days")
    naive = scores.filter(pl.col("model") == BASELINE).select(*_SAME_ROWS, naive_mae="mae_kwh", naive_days="meter_days")
    both = pl.col("naive_mae").is_not_null()
    return (
        scores.join(naive, on=list(_SAME_ROWS), how="left")
        .group_by(by)
        .agg(
            cutoffs=pl.col("cutoff_date").n_unique(),
            meter_days=days.sum(),
            mae_kwh=_weighted("mae_kwh"),
            rmse_kwh=_ratio((pl.col("rmse_kwh").pow(2) * days).sum(), days.sum()).sqrt(),
            pinball_kwh=_weighted("pinball_kwh"),
            mase=_weighted("mase"),
            coverage=_weighted("coverage"),
            r2=_weighted("r2"),
            skill=1
            - _ratio(
                (pl.col("mae_kwh") * days).filter(both).sum(),
                (pl.col("naive_mae") * pl.col("naive_days")).filter(both).sum(),
            ),
        )
        .sort(by)
    )


def _weighted(name: str) -> pl.Expr:
    known = pl.col(name).is_not_null()
    days = pl.col("meter_days")
    return _ratio((pl.col(name) * days).filter(known).sum(), days.filter(known).sum())


def _ratio(above: pl.Expr, below: pl.Expr) -> pl.Expr:
    """``above / below``; null where there is nothing to divide by."""
    return pl.when(below > 0).then(above / below)
