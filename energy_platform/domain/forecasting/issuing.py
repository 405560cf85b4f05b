"""Issue forecasts at a cutoff: both models' rows, one of them marked as issued, with the reason.

Belongs here: which model is given to users and what a stored row looks like. Does not belong here:
reading features, loading models (defs/forecasts).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from energy_platform.domain.columns import FORECASTS
from energy_platform.domain.forecasting import lightgbm, seasonal_naive
from energy_platform.domain.forecasting.intervals import ResidualBands, residual_bands, with_band
from energy_platform.domain.forecasting.training import with_median

NO_DECISION = "seasonal_naive is issued: no model has been trained for a cutoff up to {cutoff}."


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model from the registry as the issuer needs it."""

    version: str
    forecaster: lightgbm.LightGBMForecaster
    bands: ResidualBands


@dataclass(frozen=True, slots=True)
class Choice:
    """The newest decision up to a cutoff.

    Args:
        model: the trained model, None when the decision had too little history for one.
        is_champion: whether it is what users get.
        reason: the decision in words.
    """

    model: TrainedModel | None
    is_champion: bool
    reason: str


def issue(
    rows: pl.DataFrame, held_out: pl.DataFrame, *, cutoff: date, choice: Choice | None, issued_at_utc: datetime
) -> pl.DataFrame:
    """Rows of ``forecasts.meter_days`` for one cutoff.

    The baseline is always there; its band comes from its own residuals in the four weeks before.

    Args:
        rows: rows of ``rows.design`` issued at ``cutoff``.
        held_out: rows of ``rows.design`` of earlier issues whose targets were known at ``cutoff``.
        cutoff: the day at whose start the issuer stands.
        choice: the newest decision; None when there is none.
        issued_at_utc: when this is computed.
    """
    rehearsed = with_median(held_out, seasonal_naive.predict)
    naive = with_band(with_median(rows, seasonal_naive.predict), residual_bands(rehearsed))
    reason = choice.reason if choice else NO_DECISION.format(cutoff=cutoff)
    trained = choice.model if choice else None
    trained_is_issued = trained is not None and choice is not None and choice.is_champion
    parts = [_stored(naive, seasonal_naive.NAME, None, is_issued=not trained_is_issued, reason=reason)]
    if trained is not None:
        forecasts = with_band(with_median(rows, trained.forecaster.predict), trained.bands)
        parts.append(_stored(forecasts, lightgbm.NAME, trained.version, is_issued=trained_is_issued, reason=reason))
    return (
        pl.concat(parts)
        .with_columns(issued_at_utc=pl.lit(issued_at_utc))
        .select(FORECASTS.column_names)
        .cast(FORECASTS.polars_schema)
    )


def _stored(forecasts: pl.DataFrame, model: str, version: str | None, *, is_issued: bool, reason: str) -> pl.DataFrame:
    return forecasts.select(
        "cutoff_date",
        "meter_id",
        "channel",
        "source",
        "commodity",
        "local_date",
        pl.col("lead").alias("lead_days"),
        "p10_kwh",
        "p50_kwh",
        "p90_kwh",
        model=pl.lit(model),
        model_version=pl.lit(version, dtype=pl.String),
        is_issued=pl.lit(is_issued),
        reason=pl.lit(reason if is_issued else None, dtype=pl.String),
    )
