"""Is one forecaster better than another on the same rows by more than the noise? One paired test.

Belongs here: the test. Does not belong here: what follows from it (promotion.py).

The test is that of Diebold & Mariano (J. Business & Economic Statistics 13, 1995) on absolute errors, for
panels: what is compared is the mean over meters, days and leads of |error of the reference| - |error of
the model|. Such differences are far from independent, in two ways, and the variance counts both:

- Forecasts of one week err together, over all meters and over the issue days that look at the same
  target day. So the target days' weeks are the observations, and neighbouring weeks may go together too
  (Driscoll & Kraay, Rev. Economics & Statistics 80, 1998; Bartlett weights, one lag: Newey & West, 1987).
- A home may favour one model for months. With ten meters or more the variance is also clustered by meter
  (two ways: Thompson, J. Financial Economics 99, 2011). With fewer the meters are taken as given.

The largest of these variances counts. Weeks are few, so the statistic has Student's t with weeks - 1
degrees of freedom and the small-sample factor of Harvey, Leybourne & Newbold (Int. J. Forecasting 13, 1997).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from energy_platform.domain.errors import ContractBroken

LEVEL = 0.05
# Three degrees of freedom: with fewer weeks one mild week decides.
MIN_WEEKS = 4
# Fewer meters say nothing of how much meters differ.
MIN_METER_CLUSTERS = 10

ROW_KEY = ("source", "commodity", "cutoff_date", "lead_days", "meter_id", "channel")
FOLD_COLUMNS = ("model", *ROW_KEY, "local_date", "actual_kwh", "p50_kwh")

_Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
_Codes: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One model against a reference on the rows that both have.

    Args:
        model: who should be better.
        reference: who should be beaten.
        rows: forecasts compared.
        weeks: weeks of target days they fall in.
        meters: meters and channels they are of.
        mae_kwh: MAE of the model; None without rows.
        reference_mae_kwh: MAE of the reference on the same rows.
        low_kwh: one-sided lower bound of ``difference_kwh`` at ``LEVEL``; None with fewer than ``MIN_WEEKS`` weeks.
        p_value: chance of such a lead, or a larger one, if the model were no better than the margin asks.
    """

    model: str
    reference: str
    rows: int
    weeks: int
    meters: int
    mae_kwh: float | None = None
    reference_mae_kwh: float | None = None
    low_kwh: float | None = None
    p_value: float | None = None

    @property
    def difference_kwh(self) -> float | None:
        """MAE of the reference less the model's; positive is better."""
        if self.mae_kwh is None or self.reference_mae_kwh is None:
            return None
        return self.reference_mae_kwh - self.mae_kwh

    @property
    def skill(self) -> float | None:
        """1 - MAE / MAE of the reference; None where the reference has no error."""
        if self.mae_kwh is None or not self.reference_mae_kwh:
            return None
        return 1 - self.mae_kwh / self.reference_mae_kwh

    @property
    def figures(self) -> str:
        """The comparison in words."""
        if self.mae_kwh is None:
            return f"{self.model} and {self.reference} have no row in common"
        words = (
            f"MAE {self.mae_kwh:.4g} kWh against {self.reference_mae_kwh:.4g} kWh of {self.reference} "
            f"on {self.rows:,} forecasts of {self.meters:,} meters over {self.weeks} weeks"
        )
        return words if self.p_value is None else f"{words}, p = {self.p_value:.2g}"


def compare(folds: pl.DataFrame, *, model: str, reference: str, margin: float = 0.0) -> Comparison:
    """Compare a model with a reference on the rows that both have.

    Args:
        folds: rows with ``FOLD_COLUMNS``, one per model and ``ROW_KEY``.
        model: who should be better.
        reference: who should be beaten.
        margin: share of the reference's error that must be saved before it counts as better; 0.02 tests
            whether the model saves more than 2 %.

    Raises:
        ContractBroken: ``folds`` lacks a column.
    """
    missing = [name for name in FOLD_COLUMNS if name not in folds.columns]
    if missing:
        raise ContractBroken("backtest folds", missing=missing, found=folds.columns)
    error = (pl.col("p50_kwh") - pl.col("actual_kwh")).abs()
    own = folds.filter(pl.col("model") == model).select(*ROW_KEY, "local_date", error=error)
    other = folds.filter(pl.col("model") == reference).select(*ROW_KEY, reference_error=error)
    rows = own.join(other, on=list(ROW_KEY), how="inner", validate="1:1").drop_nulls()
    if rows.is_empty():
        return Comparison(model, reference, 0, 0, 0)
    week = (rows["local_date"] - rows["local_date"].min()).dt.total_days().to_numpy() // 7
    meter = rows.select(pl.struct("meter_id", "channel").rank("dense")).to_series().to_numpy().astype(np.int64) - 1
    errors, reference_errors = rows["error"].to_numpy(), rows["reference_error"].to_numpy()
    gain = (1 - margin) * reference_errors - errors
    weeks = np.unique(week).size
    known = Comparison(
        model,
        reference,
        rows.height,
        weeks,
        int(meter.max()) + 1,
        float(errors.mean()),
        float(reference_errors.mean()),
    )
    if weeks < MIN_WEEKS:
        return known
    from scipy import special

    mean, spread = float(gain.mean()), _standard_error(gain, week.astype(np.int64), meter)
    bound = float(special.stdtrit(weeks - 1, 1 - LEVEL)) * spread
    low = mean + margin * float(reference_errors.mean()) - bound
    return Comparison(
        known.model,
        known.reference,
        known.rows,
        known.weeks,
        known.meters,
        known.mae_kwh,
        known.reference_mae_kwh,
        low,
        _p_value(mean, spread, degrees=weeks - 1),
    )


def _p_value(mean: float, spread: float, *, degrees: int) -> float:
    """One-sided; without any spread the sign decides, and no difference at all is no evidence."""
    if spread == 0.0:
        return 0.0 if mean > 0 else 1.0
    from scipy import special

    return float(1 - special.stdtr(degrees, mean / spread))


def _standard_error(gain: _Floats, week: _Codes, meter: _Codes) -> float:
    """Of the mean gain: the largest of the variances that the module's docstring names."""
    centred = gain - gain.mean()
    weekly = np.bincount(week, weights=centred)
    present = np.bincount(week) > 0
    weeks = int(present.sum())
    small_sample = weeks / (weeks - 1)
    by_week = float((weekly**2).sum())
    neighbours = float((weekly[1:] * weekly[:-1])[present[1:] & present[:-1]].sum())
    variances = [by_week * small_sample, (by_week + neighbours) * small_sample]
    meters = int(meter.max()) + 1
    if meters >= MIN_METER_CLUSTERS:
        by_meter = float((np.bincount(meter, weights=centred) ** 2).sum()) * meters / (meters - 1)
        cell = float((np.bincount(meter * (int(week.max()) + 1) + week, weights=centred) ** 2).sum())
        variances += [by_meter, by_week * small_sample + by_meter - cell]
    return float(np.sqrt(max(variances))) / gain.size
