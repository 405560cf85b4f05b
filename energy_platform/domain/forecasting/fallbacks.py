"""What stands in for the champion, meter by meter, and who gets no forecast at all.

The order: the champion, LightGBM where the combination gives nothing, the weekly naive forecast, a cold start
from peers, none. Belongs here: which meter gets which, and why, in words. Does not belong here: whether there
is a champion (training.py, promotion.py), how a row is stored (issuing.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from energy_platform.domain.features import HORIZON_DAYS
from energy_platform.domain.forecasting import cold_start as cold
from energy_platform.domain.forecasting.forecasters import seasonal_naive
from energy_platform.domain.forecasting.history import DaySeries, Floats, Places
from energy_platform.domain.forecasting.intervals import ResidualBands, with_band
from energy_platform.domain.forecasting.rows import LEADS, MIN_SPREAD, SCALE_FLOOR_KWH
from energy_platform.domain.forecasting.smoothing import smooth

# A meter that has been silent this long, on the clock of its source, is taken for dead.
DEAD_DAYS = 14
# Below two weeks no model has seen a meter twice on any weekday; below one, nor has the weekly naive forecast.
MODEL_DAYS, WEEKLY_DAYS = 14, 7
_WEEKS = 4

_SHOWN = ("meter_id", "channel", "source", "commodity")
# What stand-ins look like.
_STAND_IN = pl.Schema(
    {
        **dict.fromkeys(_SHOWN, pl.String),
        "last_complete_day": pl.Date,
        "silent_days": pl.Int64,
        "lead": pl.Int8,
        "local_date": pl.Date,
        **dict.fromkeys(("p10_kwh", "p50_kwh", "p90_kwh"), pl.Float64),
        "model": pl.String,
        "reason": pl.String,
    }
)


@dataclass(frozen=True, slots=True)
class Meters:
    """Where each meter of the live sources stands at a cutoff.

    Args:
        states: meter_id, channel, source, commodity, ``number`` in the matrix, ``known_days``,
            ``last_complete_day`` (null without), ``silent_days`` on the clock of its source.
    """

    states: pl.DataFrame

    @property
    def young(self) -> pl.DataFrame:
        """Alive, with less than a week of known days: cold start."""
        return self.states.filter((pl.col("silent_days") < DEAD_DAYS) & (pl.col("known_days") < WEEKLY_DAYS))

    @property
    def lagging(self) -> pl.DataFrame:
        """Alive, with enough days, but none in the week before the cutoff: no row of features tells of them."""
        return self.states.filter(
            (pl.col("silent_days") < DEAD_DAYS) & (pl.col("known_days") >= WEEKLY_DAYS) & ~pl.col("has_recent_day")
        )

    @property
    def dead(self) -> pl.DataFrame:
        """No complete day in ``DEAD_DAYS`` of the source's clock."""
        return self.states.filter(pl.col("silent_days") >= DEAD_DAYS)


def meters_at(series: DaySeries, cutoff: date) -> Meters:
    """Where each meter stands; sources whose own newest day is a week before the cutoff have ended and are left out."""
    today = series.column(cutoff)
    known = ~np.isnan(series.energy_kwh[:, : max(today, 0)])
    states = series.meters.select(_SHOWN).with_row_index("number")
    if not states.height or not known.shape[1]:
        empty = {
            "known_days": pl.Int64,
            "last_complete_day": pl.Date,
            "silent_days": pl.Int64,
            "has_recent_day": pl.Boolean,
        }
        return Meters(states.clear().with_columns(pl.lit(None, dtype).alias(name) for name, dtype in empty.items()))
    count = known.sum(axis=1)
    last = np.where(count > 0, known.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1), -1)
    clock = pl.col("last").max().over("source")
    # A meter that never had a complete day is as silent as the time since its source's first sight of it.
    found = states.with_columns(
        known_days=pl.Series(count, dtype=pl.Int64),
        last=pl.Series(last, dtype=pl.Int64),
        first=pl.Series(_first_columns(series), dtype=pl.Int64),
    )
    silent = clock - pl.when(pl.col("last") >= 0).then("last").otherwise(pl.col("first") - 1)
    return Meters(
        found.filter(clock >= today - HORIZON_DAYS)
        .with_columns(
            silent_days=silent,
            has_recent_day=pl.col("last") >= today - HORIZON_DAYS,
            last_complete_day=pl.when(pl.col("last") >= 0).then(
                pl.lit(series.first_day) + pl.duration(days=pl.col("last"))
            ),
        )
        .drop("last", "first")
    )


def _first_columns(series: DaySeries) -> Places:
    """Column of the day from which each meter's calendar runs."""
    return (series.meters["first_day"] - series.first_day).dt.total_days().to_numpy().astype(np.int64)


def reasons_of_the_dead(meters: Meters) -> pl.DataFrame:
    """Keys, ``last_complete_day``, ``silent_days`` and ``reason`` of the meters that get no forecast."""
    last = pl.col("last_complete_day")
    return meters.dead.with_columns(
        reason=pl.when(last.is_null())
        .then(pl.format("no complete day in the {} days that it is known", "silent_days"))
        .otherwise(pl.format("no complete day since {}: {} days on the clock of its source", last, "silent_days"))
    ).select(*_SHOWN, "last_complete_day", "silent_days", "reason")


def weekly_naive_of(lagging: pl.DataFrame, series: DaySeries, cutoff: date, bands: ResidualBands) -> pl.DataFrame:
    """Seasonal naive for meters without a recent day: keys, lead, local_date, quantiles in kWh, ``reason``."""
    today = series.column(cutoff)
    number = lagging["number"].cast(pl.Int64).to_numpy()
    if not len(number):
        return pl.DataFrame(schema=_STAND_IN)
    known = series.energy_kwh[number, :today]
    spread = smooth(series, number, np.full(len(number), today)).spread_kwh
    recent = known[:, -_WEEKS * 7 :]
    mean = np.array([np.nanmean(row) for row in recent])
    parts = []
    for lead in LEADS:
        weeks = [7 * week - (lead - 1) for week in range(1, _WEEKS + 1)]
        same = np.stack([known[:, -back] if back <= known.shape[1] else np.full(len(known), np.nan) for back in weeks])
        first = np.argmax(~np.isnan(same), axis=0)
        value = same[first, np.arange(len(known))]
        parts.append(
            lagging.select(*_SHOWN, "last_complete_day", "silent_days").with_columns(
                lead=pl.lit(lead, pl.Int8),
                local_date=pl.lit(cutoff + timedelta(days=lead - 1)),
                p50_kwh=pl.Series(np.maximum(np.where(np.isnan(value), mean, value), 0.0)),
                spread_kwh=pl.Series(
                    np.maximum(spread, MIN_SPREAD * np.maximum(mean, SCALE_FLOOR_KWH)), dtype=pl.Float64
                ),
                least_kwh=pl.Series(np.nanmin(recent, axis=1)),
                largest_kwh=pl.Series(np.nanmax(recent, axis=1)),
            )
        )
    told = "seasonal_naive is issued for this meter: its newest complete day is {} days behind its source"
    banded = with_band(pl.concat(parts), bands).with_columns(reason=pl.format(told, "silent_days"))
    return _stand_ins(banded, seasonal_naive.NAME, cutoff)


def cold_starts(young: pl.DataFrame, series: DaySeries, cutoff: date) -> pl.DataFrame:
    """Cold starts: keys, lead, local_date, quantiles in kWh, ``reason``; a null median where nothing can be said."""
    parts: list[pl.DataFrame] = []
    for (source, commodity), group in young.group_by("source", "commodity", maintain_order=True):
        in_group = (series.meters["source"] == source) & (series.meters["commodity"] == commodity)
        numbers = np.flatnonzero(in_group.to_numpy())
        places = np.searchsorted(numbers, group["number"].cast(pl.Int64).to_numpy())
        found = cold.cold_start(series.energy_kwh[numbers], places, today=series.column(cutoff))
        parts += [_cold_part(group, found, lead) for lead in LEADS]
    if not parts:
        return pl.DataFrame(schema=_STAND_IN)
    return _stand_ins(pl.concat(parts), cold.NAME, cutoff)


def _stand_ins(rows: pl.DataFrame, model: str, cutoff: date) -> pl.DataFrame:
    day = pl.lit(cutoff) + pl.duration(days=pl.col("lead").cast(pl.Int64) - 1)
    return rows.with_columns(local_date=day, model=pl.lit(model)).select(_STAND_IN.names()).cast(_STAND_IN)


def _cold_part(group: pl.DataFrame, found: cold.ColdStart, lead: int) -> pl.DataFrame:
    levels: dict[str, Floats] = {"p10_kwh": found.p10_kwh, "p50_kwh": found.p50_kwh, "p90_kwh": found.p90_kwh}
    whose = f"the weekly profile of {found.peers} peers" if found.peers else "its own mean, for lack of peers"
    return group.select(*_SHOWN, "last_complete_day", "silent_days", "known_days").with_columns(
        pl.lit(lead, pl.Int8).alias("lead"),
        *(pl.Series(name, values[:, lead - 1]).fill_nan(None) for name, values in levels.items()),
        reason=pl.format(f"cold_start is issued for this meter: {{}} complete days so far; {whose}", "known_days"),
    )
