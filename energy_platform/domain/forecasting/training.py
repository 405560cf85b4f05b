"""Train at a cutoff: backtest against the baseline, decide, fit again on everything known.

Belongs here: the protocol of one cutoff over frames in memory. Does not belong here: reading the
frames or keeping the model (defs/models, adapters/registry.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

import polars as pl

from energy_platform.domain.forecasting import lightgbm, seasonal_naive
from energy_platform.domain.forecasting.intervals import ResidualBands, residual_bands, with_band
from energy_platform.domain.forecasting.metrics import mean_pinball
from energy_platform.domain.forecasting.protocol import Predict
from energy_platform.domain.forecasting.rows import BACKTEST_DAYS

# About six weeks of one meter, every lead: with less, a tree learns those weeks and nothing else.
MIN_TRAINING_ROWS = 300
# Four issues of one meter, every lead.
MIN_BACKTEST_ROWS = 28


@dataclass(frozen=True, slots=True)
class Training:
    """What training at one cutoff came to.

    Args:
        cutoff: nothing of this day or later was used.
        forecaster: fitted on every training row; None when there was too little history.
        bands: residual bands of the forecaster from the backtest.
        metrics: backtest metrics by model and name; empty without a backtest.
        training_rows: rows of the final fit.
        backtest_rows: rows both models were compared on.
    """

    cutoff: date
    forecaster: lightgbm.LightGBMForecaster | None
    bands: ResidualBands
    training_rows: int
    backtest_rows: int
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def mae_kwh(self) -> float | None:
        """Backtest MAE of the trained model."""
        return self.metrics.get(lightgbm.NAME, {}).get("mae_kwh")

    @property
    def naive_mae_kwh(self) -> float | None:
        """Backtest MAE of the baseline on the same rows."""
        return self.metrics.get(seasonal_naive.NAME, {}).get("mae_kwh")

    @property
    def is_champion(self) -> bool:
        """Whether the trained model beat the baseline."""
        return self.mae_kwh is not None and self.naive_mae_kwh is not None and self.mae_kwh < self.naive_mae_kwh

    @property
    def reason(self) -> str:
        """The decision in words, with its figures."""
        if self.forecaster is None or self.mae_kwh is None or self.naive_mae_kwh is None:
            return (
                f"seasonal_naive is issued: too little history before {self.cutoff} to train and compare "
                f"({self.training_rows} training and {self.backtest_rows} backtest rows; "
                f"at least {MIN_TRAINING_ROWS} and {MIN_BACKTEST_ROWS} are needed)."
            )
        figures = (
            f"backtest MAE {self.mae_kwh:.4g} kWh against {self.naive_mae_kwh:.4g} kWh of seasonal_naive "
            f"on {self.backtest_rows} meter-days before {self.cutoff}"
        )
        if self.is_champion:
            return f"lightgbm is issued: {figures}, {1 - self.mae_kwh / self.naive_mae_kwh:.1%} better."
        return f"seasonal_naive is issued: lightgbm did not beat it ({figures})."


def train(training: pl.DataFrame, held_out: pl.DataFrame, *, cutoff: date, seed: int) -> Training:
    """Backtest, compare and fit.

    The backtest model knows only targets before the first backtest issue, ``BACKTEST_DAYS`` before the
    cutoff. The final one is fitted on all of ``training`` and carries the backtest's residual bands.

    Args:
        training: rows of ``rows.design`` with targets before ``cutoff``.
        held_out: rows of ``rows.design`` issued at ``rows.backtest_days``, targets before ``cutoff``.
        cutoff: the day at whose start the trainer stands.
        seed: of LightGBM's sampling.
    """
    earlier = training.filter(pl.col("local_date") < cutoff - timedelta(days=BACKTEST_DAYS))
    if earlier.height < MIN_TRAINING_ROWS or held_out.height < MIN_BACKTEST_ROWS:
        return Training(cutoff, None, ResidualBands(), training.height, held_out.height)
    rehearsed = lightgbm.fit(earlier, seed=seed)
    tested = with_median(held_out, rehearsed.predict)
    bands = residual_bands(tested)
    naive = with_median(held_out, seasonal_naive.predict)
    return Training(
        cutoff,
        lightgbm.fit(training, seed=seed),
        bands,
        training.height,
        held_out.height,
        {
            lightgbm.NAME: backtest_metrics(tested, bands),
            seasonal_naive.NAME: backtest_metrics(naive, residual_bands(naive)),
        },
    )


def with_median(rows: pl.DataFrame, predict: Predict) -> pl.DataFrame:
    """``rows`` with the forecaster's ``p50_kwh``."""
    return rows.with_columns(predict(rows).alias("p50_kwh"))


def backtest_metrics(tested: pl.DataFrame, bands: ResidualBands) -> dict[str, float]:
    """MAE, RMSE and pinball loss of a backtest, and MAE by lead.

    The bands come from the same rows, so the pinball loss is slightly flattering; coverage, which would
    be 80 % by construction, is left to the scores of issued forecasts.
    """
    error = pl.col("p50_kwh") - pl.col("target_kwh")
    whole = with_band(tested, bands).select(
        mae_kwh=error.abs().mean(), rmse_kwh=error.pow(2).mean().sqrt(), pinball_kwh=mean_pinball("target_kwh").mean()
    )
    by_lead = tested.group_by("lead").agg(mae=error.abs().mean()).sort("lead")
    return whole.row(0, named=True) | {f"mae_kwh_lead_{lead}": mae for lead, mae in by_lead.iter_rows()}
