"""One gradient-boosted model for all meters: the median of energy over the meter's own scale.

Belongs here: parameters, fit, predict, the text form of a trained model. Does not belong here:
what the inputs are (rows.py), where a model is kept (adapters/registry.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from energy_platform.domain.errors import FeaturesChanged
from energy_platform.domain.forecasting.rows import MAX_RATIO, MODEL_FEATURES, feature_hash

NAME = "lightgbm"
# What MLflow's registry calls it.
REGISTERED_MODEL = "meter-day-lightgbm"


def parameters(*, seed: int, rows: int) -> dict[str, Any]:
    """LightGBM's parameters, the number of rounds included; the same for the same seed and rows.

    The loss is the absolute error because that is what the forecast is judged by and because homes come
    back from vacancy: a squared error would chase those days. Small trees on half of the rows and columns:
    on 55 homes 250 rounds of 31 leaves took five times as long and were no better. One thread: LightGBM's
    threads wait for each other after every leaf, and with 200,000 rows on two busy cores two of them took
    15 s for what one did in 6. With millions of rows on idle cores it would be the other way round.
    """
    return {
        "objective": "l1",
        "num_iterations": 120,
        "learning_rate": 0.08,
        "num_leaves": 15,
        # Few rows: leaves as large as a fiftieth of them, or two homes are learnt by heart.
        "min_data_in_leaf": int(np.clip(rows // 50, 5, 100)),
        "feature_fraction": 0.5,
        "bagging_fraction": 0.5,
        "bagging_freq": 1,
        "max_bin": 127,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed,
        "num_threads": 1,
        "verbosity": -1,
    }


@dataclass(frozen=True, slots=True)
class LightGBMForecaster:
    """A trained model.

    Args:
        booster: native LightGBM booster.
        feature_hash: ``rows.feature_hash`` of the inputs it was trained on.
    """

    booster: Any
    feature_hash: str

    def predict(self, rows: pl.DataFrame) -> pl.Series:
        """Median in kWh for each row of ``rows.design``, at least 0.

        Raises:
            FeaturesChanged: the model was trained on other inputs than this code makes.
        """
        given = feature_hash()
        if given != self.feature_hash:
            raise FeaturesChanged(NAME, trained_on=self.feature_hash, given=given)
        if rows.is_empty():
            return pl.Series("p50_kwh", [], dtype=pl.Float64)
        ratio = self.booster.predict(matrix(rows), num_threads=1)
        return pl.Series("p50_kwh", np.maximum(ratio, 0.0) * rows["scale_kwh"].to_numpy())


def matrix(rows: pl.DataFrame) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Model inputs as Float32, NaN where unknown; shape (rows, len(MODEL_FEATURES))."""
    return rows.select(pl.col(MODEL_FEATURES).fill_null(float("nan"))).to_numpy(order="c")


def fit(rows: pl.DataFrame, *, seed: int) -> LightGBMForecaster:
    """Train on rows of ``rows.design`` that have a ``target_kwh``.

    Rows weigh the square root of their scale: with the scale itself a few large meters would decide
    everything, with equal weights the small ones would.
    """
    import lightgbm

    scale = rows["scale_kwh"].to_numpy()
    ratio = np.clip(rows["target_kwh"].to_numpy() / scale, 0.0, MAX_RATIO)
    settings = parameters(seed=seed, rows=rows.height)
    data = lightgbm.Dataset(
        matrix(rows),
        ratio,
        weight=np.sqrt(scale),
        feature_name=list(MODEL_FEATURES),
        params={name: settings[name] for name in ("max_bin", "verbosity", "num_threads", "deterministic", "seed")},
    )
    rounds = settings.pop("num_iterations")
    return LightGBMForecaster(lightgbm.train(settings, data, num_boost_round=rounds), feature_hash())


def from_booster(booster: Any, *, trained_on: str) -> LightGBMForecaster:
    """A model that was kept elsewhere, with the feature hash it was kept with.

    Raises:
        FeaturesChanged: it was trained on other inputs than this code makes.
    """
    if trained_on != feature_hash():
        raise FeaturesChanged(NAME, trained_on=trained_on, given=feature_hash())
    return LightGBMForecaster(booster, trained_on)
