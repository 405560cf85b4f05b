"""Issue forecasts at a cutoff: every model's rows, one of them issued for each meter, with the reason.

Belongs here: which model is given to users and what a stored row looks like. Does not belong here: what
stands in for the champion (fallbacks.py), reading features, loading models (defs/forecasts).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from energy_platform.domain.columns import DRIVERS, FORECASTS, NOT_ISSUED, Table
from energy_platform.domain.forecasting.bundle import Bundle
from energy_platform.domain.forecasting.drivers import drivers
from energy_platform.domain.forecasting.fallbacks import (
    MODEL_DAYS,
    Meters,
    cold_starts,
    meters_at,
    reasons_of_the_dead,
    weekly_naive_of,
)
from energy_platform.domain.forecasting.forecasters import combination, lightgbm, seasonal_naive
from energy_platform.domain.forecasting.history import DaySeries
from energy_platform.domain.forecasting.intervals import ResidualBands, residual_bands, with_band

NO_DECISION = "seasonal_naive is issued: no model has been trained for a cutoff up to {cutoff}."
# Stored beside what is issued, so that they can be scored on the same days.
STORED = (combination.NAME, lightgbm.NAME)

_METER = ("meter_id", "channel")
_SHARED = (
    "cutoff_date",
    *_METER,
    "source",
    "commodity",
    "local_date",
    pl.col("lead").alias("lead_days"),
    "p10_kwh",
    "p50_kwh",
    "p90_kwh",
)


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model from the registry as the issuer needs it."""

    version: str
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class Choice:
    """The newest decision up to a cutoff.

    Args:
        model: the trained forecasters; None when there was too little history, or they were refused.
        champion: the forecaster that users get; None when seasonal naive is.
        reason: the decision in words, or why the champion is refused.
        is_refused: the decision names a champion that cannot be used.
    """

    model: TrainedModel | None
    champion: str | None
    reason: str
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class Issue:
    """What one cutoff gives.

    Args:
        forecasts: rows of ``forecasts.meter_days``.
        not_issued: rows of ``forecasts.not_issued``.
        drivers: rows of ``forecasts.drivers``.
    """

    forecasts: pl.DataFrame
    not_issued: pl.DataFrame
    drivers: pl.DataFrame


def issue(
    rows: pl.DataFrame,
    held_out: pl.DataFrame,
    series: DaySeries,
    *,
    cutoff: date,
    choice: Choice | None,
    issued_at_utc: datetime,
) -> Issue:
    """Forecasts for one cutoff, and the meters that get none.

    The baseline is always there.

    Args:
        rows: rows of ``rows.design`` issued at ``cutoff``.
        held_out: rows of ``rows.design`` of earlier issues whose targets were known at ``cutoff``; the
            baseline's band comes from them when there is no trained model to take it from.
        series: the known days before ``cutoff``.
        cutoff: the day at whose start the issuer stands.
        choice: the newest decision; None when there is none.
        issued_at_utc: when this is computed.
    """
    series = series.before(cutoff)
    bundle = choice.model.bundle if choice and choice.model else None
    bands = bundle.bands[seasonal_naive.NAME] if bundle else _rehearsed_bands(held_out, series)
    by_model = {seasonal_naive.NAME: with_band(_with_naive(rows, series), bands)}
    if bundle is not None:
        learnt = bundle.forecasts(rows, series)
        by_model |= {name: learnt[name] for name in STORED}
    meters = meters_at(series, cutoff)
    young = cold_starts(meters.young, series, cutoff)
    alone = pl.concat(
        [young.filter(pl.col("p50_kwh").is_not_null()), weekly_naive_of(meters.lagging, series, cutoff, bands)]
    )
    assigned = assign(rows, by_model, choice, meters=meters, standing_in=alone, cutoff=cutoff)
    parts = [_of_model(forecasts, name, choice, assigned) for name, forecasts in by_model.items()]
    parts.append(_of_stand_ins(alone, cutoff))
    return Issue(
        _as(FORECASTS, pl.concat(parts), issued_at_utc),
        _as(NOT_ISSUED, without_forecast(meters, young, cutoff), issued_at_utc),
        _explained(bundle, by_model, assigned, issued_at_utc),
    )


def assign(
    rows: pl.DataFrame,
    by_model: Mapping[str, pl.DataFrame],
    choice: Choice | None,
    *,
    meters: Meters,
    standing_in: pl.DataFrame,
    cutoff: date,
) -> pl.DataFrame:
    """Which model each meter of ``rows`` is given: meter_id, channel, ``issued``, ``is_fallback``, ``reason``.

    The champion where it can be; else LightGBM, then the weekly naive forecast. Meters in ``standing_in``
    are given that, and nothing of ``by_model``.
    """
    champion = choice.champion if choice and not choice.is_refused else None
    decided = choice.reason if choice else NO_DECISION.format(cutoff=cutoff)
    found = (
        rows.select(_METER)
        .unique(maintain_order=True)
        .join(meters.states.select(*_METER, "known_days"), on=list(_METER), how="left")
        .join(standing_in.select(*_METER, stands_in="model").unique(), on=list(_METER), how="left")
    )
    is_old_enough = pl.col("known_days") >= MODEL_DAYS
    issued, reason = pl.lit(seasonal_naive.NAME), pl.lit(decided)
    is_fallback = pl.lit(choice is None or choice.is_refused)
    if champion is not None:
        short = "seasonal_naive is issued for this meter: {} complete days, a model needs " + str(MODEL_DAYS)
        issued, is_fallback = pl.lit(seasonal_naive.NAME), pl.lit(value=True)
        reason = pl.format(short, "known_days")
        for name in dict.fromkeys((lightgbm.NAME, champion)):
            gives = _gives_all(by_model[name])
            can = is_old_enough & pl.struct(_METER).is_in(gives.implode())
            told = decided if name == champion else f"{name} is issued for this meter: {champion} gives nothing for it"
            issued = pl.when(can).then(pl.lit(name)).otherwise(issued)
            reason = pl.when(can).then(pl.lit(told)).otherwise(reason)
            is_fallback = pl.when(can).then(pl.lit(name != champion)).otherwise(is_fallback)
    return found.select(
        *_METER,
        issued=pl.coalesce("stands_in", issued),
        is_fallback=is_fallback,
        reason=reason,
    )


def without_forecast(meters: Meters, young: pl.DataFrame, cutoff: date) -> pl.DataFrame:
    """Rows of ``forecasts.not_issued``: the dead, and newcomers of whom nothing can be said."""
    nothing = young.filter(pl.col("p50_kwh").is_null() & (pl.col("lead") == 1)).with_columns(
        reason=pl.lit("no complete day yet, and too few peers to learn from")
    )
    dead = reasons_of_the_dead(meters)
    return pl.concat([dead, nothing.select(dead.columns)]).with_columns(cutoff_date=pl.lit(cutoff))


def _with_naive(rows: pl.DataFrame, series: DaySeries) -> pl.DataFrame:
    return rows.with_columns(seasonal_naive.predict(rows, series))


def _rehearsed_bands(held_out: pl.DataFrame, series: DaySeries) -> ResidualBands:
    return residual_bands(_with_naive(held_out, series))


def _gives_all(forecasts: pl.DataFrame) -> pl.Series:
    """Meters, as structs, for which a model gives every day ahead."""
    whole = forecasts.group_by(_METER).agg(is_whole=pl.col("p50_kwh").is_not_null().all()).filter("is_whole")
    return whole.select(pl.struct(_METER)).to_series()


def _of_model(forecasts: pl.DataFrame, name: str, choice: Choice | None, assigned: pl.DataFrame) -> pl.DataFrame:
    """Rows of one model; those of the meters that are given it are marked as issued."""
    version = choice.model.version if choice and choice.model and name != seasonal_naive.NAME else None
    is_issued = pl.col("issued") == name
    return (
        forecasts.filter(pl.col("p50_kwh").is_not_null().all().over(_METER))
        .join(assigned, on=list(_METER), how="left", maintain_order="left")
        .select(
            *_SHARED,
            model=pl.lit(name),
            model_version=pl.lit(version, dtype=pl.String),
            is_issued=is_issued,
            is_fallback=is_issued & pl.col("is_fallback"),
            reason=pl.when(is_issued).then("reason"),
        )
    )


def _of_stand_ins(alone: pl.DataFrame, cutoff: date) -> pl.DataFrame:
    """Rows of cold starts and of meters that no row of features tells of: always issued, always a fallback."""
    return alone.with_columns(cutoff_date=pl.lit(cutoff)).select(
        *_SHARED,
        "model",
        model_version=pl.lit(None, dtype=pl.String),
        is_issued=pl.lit(value=True),
        is_fallback=pl.lit(value=True),
        reason="reason",
    )


def _explained(
    bundle: Bundle | None, by_model: Mapping[str, pl.DataFrame], assigned: pl.DataFrame, issued_at_utc: datetime
) -> pl.DataFrame:
    """Drivers of what is issued by a model that can be explained."""
    if bundle is None:
        return pl.DataFrame(schema=DRIVERS.polars_schema)
    parts = [
        by_model[name].join(
            assigned.filter(pl.col("issued") == name), on=list(_METER), how="semi", maintain_order="left"
        )
        for name in STORED
    ]
    return drivers(bundle.trees, pl.concat(parts), issued_at_utc=issued_at_utc)


def _as(table: Table, rows: pl.DataFrame, issued_at_utc: datetime) -> pl.DataFrame:
    stamped = rows.with_columns(issued_at_utc=pl.lit(issued_at_utc))
    return stamped.select(table.column_names).cast(table.polars_schema)
