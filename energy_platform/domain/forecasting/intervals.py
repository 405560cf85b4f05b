"""P10 and P90 around a median, from the residuals of a backtest (split conformal prediction).

Belongs here: residual quantiles and the bands made from them. The method promises that a share of
80 % of outcomes falls within P10 to P90 when the days to come are like the backtest's (Vovk et al.,
Algorithmic Learning in a Random World, 2005, ch. 4; here with signed residuals, each tail by itself).
Residuals are divided by the meter's own spread first, so that the meters of a group share them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import ceil, floor

import numpy as np
import polars as pl

LOW, HIGH = 0.1, 0.9
# Below this many residuals a tenth quantile is one or two days: a wider group is asked instead.
MIN_RESIDUALS = 40

_Band = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ResidualBands:
    """Low and high residual, in spreads, by group: ``commodity/lead``, ``commodity``, or ``""`` for all."""

    bands: dict[str, _Band] = field(default_factory=dict)

    def to_json(self) -> str:
        """The bands as JSON text."""
        return json.dumps(self.bands, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ResidualBands:
        """The bands that ``to_json`` wrote."""
        return cls({group: (low, high) for group, (low, high) in json.loads(text).items()})

    def of(self, commodity: str, lead: int) -> _Band | None:
        """The band of the narrowest group that has one; None when there were no residuals at all."""
        for group in (f"{commodity}/{lead}", commodity, ""):
            if group in self.bands:
                return self.bands[group]
        return None


def residual_bands(backtest: pl.DataFrame) -> ResidualBands:
    """Residual quantiles of a backtest.

    Args:
        backtest: rows with commodity, lead, target_kwh, p50_kwh, spread_kwh.
    """
    residuals = backtest.select(
        "commodity", "lead", residual=(pl.col("target_kwh") - pl.col("p50_kwh")) / pl.col("spread_kwh")
    ).drop_nulls()
    groups: dict[str, pl.Series] = {"": residuals["residual"]}
    for (commodity,), part in residuals.group_by("commodity", maintain_order=True):
        groups[str(commodity)] = part["residual"]
    for (commodity, lead), part in residuals.group_by("commodity", "lead", maintain_order=True):
        groups[f"{commodity}/{lead}"] = part["residual"]
    return ResidualBands(
        {name: _quantiles(values) for name, values in sorted(groups.items()) if len(values) >= MIN_RESIDUALS}
    )


def _quantiles(values: pl.Series) -> _Band:
    """The conformal order statistics: one outcome more than seen is counted, so small samples give wider bands."""
    ordered = np.sort(values.to_numpy())
    size = len(ordered)
    low = max(floor((size + 1) * LOW), 1) - 1
    high = min(ceil((size + 1) * HIGH), size) - 1
    return float(ordered[low]), float(ordered[high])


def with_band(forecasts: pl.DataFrame, bands: ResidualBands) -> pl.DataFrame:
    """Add ``p10_kwh`` and ``p90_kwh``: ordered around ``p50_kwh``, finite, at least 0.

    A group without residuals (a first week, a new commodity) takes the least and the largest day of the
    meter's last four weeks.

    Args:
        forecasts: rows with commodity, lead, p50_kwh, spread_kwh, least_kwh, largest_kwh.
        bands: residual bands of the same forecaster.
    """
    groups = forecasts.select("commodity", "lead").unique(maintain_order=True)
    found = [bands.of(commodity, lead) or (None, None) for commodity, lead in groups.iter_rows()]
    table = groups.with_columns(
        low=pl.Series([low for low, _ in found], dtype=pl.Float64),
        high=pl.Series([high for _, high in found], dtype=pl.Float64),
    )
    middle = pl.col("p50_kwh")
    low = pl.coalesce(middle + pl.col("low") * pl.col("spread_kwh"), "least_kwh", middle)
    high = pl.coalesce(middle + pl.col("high") * pl.col("spread_kwh"), "largest_kwh", middle)
    return (
        forecasts.join(table, on=["commodity", "lead"], how="left", maintain_order="left")
        .with_columns(
            p10_kwh=pl.min_horizontal(low, middle).clip(lower_bound=0.0), p90_kwh=pl.max_horizontal(high, middle)
        )
        .drop("low", "high")
    )
