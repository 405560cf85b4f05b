"""P10 and P90 around a median, from the residuals of a backtest (split conformal prediction).

Belongs here: residual quantiles and the bands made from them. The method promises that a share of
80 % of outcomes falls within P10 to P90 when the days to come are like the backtest's (Vovk et al.,
Algorithmic Learning in a Random World, 2005, ch. 4; here with signed residuals, each tail by itself).
Residuals are divided first by the meter's own spread and by a factor of the weekday (Sundays are wider than
Tuesdays), so that the meters and days of a group share them: an issue day fixes which lead is a Sunday.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import ceil, floor

import numpy as np
import polars as pl

from energy_platform.domain.forecasting.history import Floats

LOW, HIGH = 0.1, 0.9
# Below this many residuals a tenth quantile is one or two days: a wider group is asked instead.
MIN_RESIDUALS = 40
# Tails that are tried when a tenth holds too little of weeks that it was not taken from.
_TAILS = (0.1, 0.09, 0.08, 0.07, 0.06, 0.05)
# Residuals of no particular weekday that each weekday's own are averaged with: four weeks of fifty homes, which go
# through the same weather, tell little. Of 100, 1,000 and no weekdays at all 1,000 has the least pinball loss (17 issues
# of April to August on London homes).
_WEEKDAY_PRIOR = 1000

_Band = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ResidualBands:
    """Low and high residual in spreads.

    Args:
        bands: by group: ``commodity/lead``, ``commodity``, or ``""`` for all.
        weekdays: how much wider than the mean each weekday is, Monday first; all 1 when not given.
    """

    bands: dict[str, _Band] = field(default_factory=dict)
    weekdays: tuple[float, ...] = (1.0,) * 7

    def to_json(self) -> str:
        """The bands as JSON text."""
        return json.dumps({"bands": self.bands, "weekdays": self.weekdays}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ResidualBands:
        """The bands that ``to_json`` wrote."""
        told = json.loads(text)
        return cls({group: (low, high) for group, (low, high) in told["bands"].items()}, tuple(told["weekdays"]))

    def of(self, commodity: str, lead: int) -> _Band | None:
        """The band of the narrowest group that has one; None when there were no residuals at all."""
        for group in (f"{commodity}/{lead}", commodity, ""):
            if group in self.bands:
                return self.bands[group]
        return None

    @property
    def width(self) -> pl.Expr:
        """The weekday's factor of a row, from its ``local_date``."""
        factors = dict(enumerate(self.weekdays, start=1))
        return pl.col("local_date").dt.weekday().replace_strict(factors, return_dtype=pl.Float64)


def residual_bands(backtest: pl.DataFrame) -> ResidualBands:
    """Residual quantiles of a backtest.

    Args:
        backtest: rows with commodity, lead, cutoff_date, local_date, target_kwh, p50_kwh, spread_kwh.
    """
    scaled = backtest.select(
        "commodity",
        "lead",
        "cutoff_date",
        "local_date",
        residual=(pl.col("target_kwh") - pl.col("p50_kwh")) / pl.col("spread_kwh"),
    ).drop_nulls()
    weekdays = _weekday_factors(scaled)
    residuals = scaled.with_columns(pl.col("residual") / ResidualBands(weekdays=weekdays).width)
    groups: dict[str, pl.Series] = {"": residuals["residual"]}
    for (commodity,), part in residuals.group_by("commodity", maintain_order=True):
        groups[str(commodity)] = part["residual"]
    for (commodity, lead), part in residuals.group_by("commodity", "lead", maintain_order=True):
        groups[f"{commodity}/{lead}"] = part["residual"]
    tail = _tail(residuals)
    return ResidualBands(
        {
            name: _quantiles(values.sort().to_numpy(), tail)
            for name, values in sorted(groups.items())
            if len(values) >= MIN_RESIDUALS
        },
        weekdays,
    )


def _tail(residuals: pl.DataFrame) -> float:
    """The tail whose bands, taken from one half of the issues, hold 80 % of the other half: at most a tenth.

    Weeks differ, so bands of a few weeks hold less of the next ones than of their own (on London homes 79 %);
    how much less can be seen by holding one half of them against the other.
    """
    issues = residuals["cutoff_date"].unique().sort()
    if len(issues) < 2:
        return LOW
    late = residuals["cutoff_date"] >= issues[len(issues) // 2]
    halves = (_by_lead(residuals.filter(late)), _by_lead(residuals.filter(~late)))
    pairs = [
        (one[lead], rest[lead])
        for one, rest in (halves, halves[::-1])
        for lead in rest
        if len(one.get(lead, ())) >= MIN_RESIDUALS
    ]
    total = sum(len(other) for _, other in pairs)
    if not total:
        return LOW
    shares = [sum(_held(one, other, tail) for one, other in pairs) / total for tail in _TAILS]
    # Between the two tails that hold less and more than 80 %; np.interp wants shares that grow.
    return float(np.interp(HIGH - LOW, np.maximum.accumulate(shares), _TAILS))


def _held(one: Floats, other: Floats, tail: float) -> int:
    """How many of ``other`` lie within the band of ``one``; both ordered."""
    low, high = _quantiles(one, tail)
    return int(np.searchsorted(other, high, "right") - np.searchsorted(other, low, "left"))


def _by_lead(residuals: pl.DataFrame) -> dict[int, Floats]:
    """Ordered residuals of each lead."""
    parts = residuals.group_by("lead", maintain_order=True)
    return {int(str(lead)): part["residual"].sort().to_numpy() for (lead,), part in parts}


def _weekday_factors(scaled: pl.DataFrame) -> tuple[float, ...]:
    """What holds 80 % of a weekday's residuals over what holds 80 % of all, drawn towards 1 where there are few."""
    size = scaled["residual"].abs()
    usual = size.quantile(HIGH - LOW)
    if not usual:
        return (1.0,) * 7
    weekday = scaled["local_date"].dt.weekday()
    factors = []
    for day in range(1, 8):
        own = size.filter(weekday == day)
        factors.append(
            (len(own) * (own.quantile(HIGH - LOW) or 0.0) / usual + _WEEKDAY_PRIOR) / (len(own) + _WEEKDAY_PRIOR)
        )
    return tuple(factors)


def _quantiles(ordered: Floats, tail: float) -> _Band:
    """The conformal order statistics: one outcome more than seen is counted, so small samples give wider bands."""
    size = len(ordered)
    low = max(floor((size + 1) * tail), 1) - 1
    high = min(ceil((size + 1) * (1 - tail)), size) - 1
    return float(ordered[low]), float(ordered[high])


def with_band(forecasts: pl.DataFrame, bands: ResidualBands) -> pl.DataFrame:
    """Add ``p10_kwh`` and ``p90_kwh``: ordered around ``p50_kwh``, finite, at least 0.

    A group without residuals (a first week, a new commodity) takes the least and the largest day of the
    meter's last four weeks.

    Args:
        forecasts: rows with commodity, lead, local_date, p50_kwh, spread_kwh, least_kwh, largest_kwh.
        bands: residual bands of the same forecaster.
    """
    groups = forecasts.select("commodity", "lead").unique(maintain_order=True)
    found = [bands.of(commodity, lead) or (None, None) for commodity, lead in groups.iter_rows()]
    table = groups.with_columns(
        low=pl.Series([low for low, _ in found], dtype=pl.Float64),
        high=pl.Series([high for _, high in found], dtype=pl.Float64),
    )
    middle, width = pl.col("p50_kwh"), pl.col("spread_kwh") * bands.width
    low = pl.coalesce(middle + pl.col("low") * width, "least_kwh", middle)
    high = pl.coalesce(middle + pl.col("high") * width, "largest_kwh", middle)
    return (
        forecasts.join(table, on=["commodity", "lead"], how="left", maintain_order="left")
        .with_columns(
            p10_kwh=pl.min_horizontal(low, middle).clip(lower_bound=0.0), p90_kwh=pl.max_horizontal(high, middle)
        )
        .drop("low", "high")
    )
