"""A linear model of all meters on the features: ridge regression of energy over the meter's own scale.

Belongs here: which inputs it takes, how they are prepared, the text form. It is what shows whether trees are
worth their cost; where history is short or nearly linear it wins.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from energy_platform.domain.errors import FeaturesChanged
from energy_platform.domain.forecasting.history import DaySeries, Floats
from energy_platform.domain.forecasting.protocol import Forecaster
from energy_platform.domain.forecasting.rows import LEADS, MODEL_FEATURES, feature_hash

NAME = "ridge"
_FILE = "ridge.json"
# A line through temperatures leads far beyond the ones it has seen; a number of days is no multiple of anything.
_LEFT_OUT = ("temperature_1_c", "temperature_7_c", "days_of_history", "lead_days", "day_of_week")
INPUTS = tuple(name for name in MODEL_FEATURES if name not in _LEFT_OUT)
# Squared errors would chase homes that come back from vacancy.
_MAX_RATIO = 4.0
_PENALTY = 100.0


@dataclass(frozen=True, slots=True)
class Ridge:
    """Weights over standardised inputs.

    Args:
        feature_hash: ``rows.feature_hash`` of the inputs it was trained on.
        mean: of each input; what an unknown one counts as.
        std: of each input.
        weights: one an input, in multiples of the meter's scale, then one a day ahead and one a weekday.
        intercept: the same unit.
    """

    feature_hash: str
    mean: list[float]
    std: list[float]
    weights: list[float]
    intercept: float

    def predict(self, rows: pl.DataFrame, series: DaySeries) -> pl.Series:  # noqa: ARG002  # of the protocol
        """Expected energy, at least 0.

        Raises:
            FeaturesChanged: the model was trained on other inputs than this code makes.
        """
        if feature_hash() != self.feature_hash:
            raise FeaturesChanged(NAME, trained_on=self.feature_hash, given=feature_hash())
        inputs = prepared(rows, np.array(self.mean), np.array(self.std))
        ratio = inputs @ np.array(self.weights) + self.intercept
        return pl.Series("p50_kwh", np.maximum(ratio, 0.0) * rows["scale_kwh"].to_numpy(), dtype=pl.Float64)

    def texts(self) -> dict[str, str]:
        """One JSON file."""
        return {_FILE: json.dumps({name: getattr(self, name) for name in self.__slots__})}


def raw_inputs(rows: pl.DataFrame) -> Floats:
    """The inputs as they are, NaN where unknown, multiples of the scale bounded; shape (rows, len(INPUTS))."""
    found = rows.select(pl.col(INPUTS).cast(pl.Float64).fill_null(float("nan"))).to_numpy()
    bounded: Floats = np.clip(found, -10.0, 10.0)
    return bounded


def prepared(rows: pl.DataFrame, mean: Floats, std: Floats) -> Floats:
    """Standardised inputs, 0 where unknown, then a column for each day ahead and each weekday."""
    scaled = np.nan_to_num((raw_inputs(rows) - mean) / std)
    lead = rows["lead"].to_numpy()[:, None] == np.array(LEADS)
    weekday = rows["local_date"].dt.weekday().to_numpy()[:, None] == np.arange(1, 8)
    return np.hstack([scaled, lead, weekday])


def fit(rows: pl.DataFrame, series: DaySeries, *, seed: int) -> Ridge:  # noqa: ARG001  # of the protocol
    """Train; rows weigh the square root of their scale, as for the trees."""
    from sklearn.linear_model import Ridge as Regression

    inputs = raw_inputs(rows)
    known = ~np.isnan(inputs)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, inputs, 0.0).sum(axis=0) / count
    std = np.sqrt(np.where(known, (inputs - mean) ** 2, 0.0).sum(axis=0) / count)
    std = np.where(std > 1e-6, std, 1.0)
    scale = rows["scale_kwh"].to_numpy()
    ratio = np.clip(rows["target_kwh"].to_numpy() / scale, 0.0, _MAX_RATIO)
    weight = np.sqrt(scale)
    line = Regression(alpha=_PENALTY).fit(prepared(rows, mean, std), ratio, sample_weight=weight / weight.mean())
    return Ridge(feature_hash(), mean.tolist(), std.tolist(), line.coef_.tolist(), float(line.intercept_))


def restore(texts: Mapping[str, str]) -> Ridge:
    """The weights that ``texts`` wrote."""
    return Ridge(**json.loads(texts[_FILE]))


FORECASTER = Forecaster(NAME, fit, restore)
