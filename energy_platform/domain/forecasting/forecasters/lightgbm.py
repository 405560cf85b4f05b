"""One gradient-boosted model for all meters: the median of energy over the meter's own scale.

Belongs here: parameters, fit, predict, contributions, the text form of a trained model. Does not belong here:
what the inputs are (rows.py), where a model is kept (adapters/registry.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from energy_platform.domain.errors import FeaturesChanged
from energy_platform.domain.forecasting.history import DaySeries, Floats
from energy_platform.domain.forecasting.protocol import Forecaster
from energy_platform.domain.forecasting.rows import MAX_RATIO, MODEL_FEATURES, feature_hash

NAME = "lightgbm"
_FILE, _HASH_FILE = "lightgbm.txt", "lightgbm.hash"
# Leaf values come from the rows nearest to a median: a hundred of them, or two homes are learnt by heart.
_ROWS_A_LEAF = 100


def parameters(*, seed: int, rows: int) -> dict[str, Any]:
    """LightGBM's parameters, the number of rounds included; the same for the same seed and rows.

    The loss is the absolute error because that is what the forecast is judged by and because homes come
    back from vacancy: a squared error would chase those days. Small trees on half of the rows and columns,
    in small steps: 200 of 0.04 err as little as three models of 120 steps of 0.08 averaged, and 1 % less
    than one of them. One thread: LightGBM's threads wait for each other after every leaf, and on two busy
    cores two of them took 14 CPU seconds for what one did in 1.5.
    """
    return {
        "objective": "l1",
        "num_iterations": 200,
        "learning_rate": 0.04,
        "num_leaves": 15,
        # Few rows: leaves as large as a fiftieth of them.
        "min_data_in_leaf": int(np.clip(rows // 50, 5, _ROWS_A_LEAF)),
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
class LightGBM:
    """A trained model.

    Args:
        booster: native LightGBM booster.
        feature_hash: ``rows.feature_hash`` of the inputs it was trained on.
    """

    booster: Any
    feature_hash: str

    def predict(self, rows: pl.DataFrame, series: DaySeries) -> pl.Series:  # noqa: ARG002  # of the protocol
        """Median in kWh for each row, at least 0.

        Raises:
            FeaturesChanged: the model was trained on other inputs than this code makes.
        """
        self._refuse_other_features()
        if rows.is_empty():
            return pl.Series("p50_kwh", [], dtype=pl.Float64)
        ratio = self.booster.predict(matrix(rows), num_threads=1)
        return pl.Series("p50_kwh", np.maximum(ratio, 0.0) * rows["scale_kwh"].to_numpy())

    def contributions(self, rows: pl.DataFrame) -> Floats:
        """What each input adds to or takes from the forecast of each row (Lundberg et al., TreeSHAP, 2020).

        Returns:
            kWh, shape (rows, inputs + 1); the last column is what the model says without looking at any
            input. A row's sum is its forecast before it is cut at 0.

        Raises:
            FeaturesChanged: the model was trained on other inputs than this code makes.
        """
        self._refuse_other_features()
        found: Floats = np.asarray(self.booster.predict(matrix(rows), pred_contrib=True, num_threads=1))
        in_kwh: Floats = found * rows["scale_kwh"].to_numpy()[:, None]
        return in_kwh

    def texts(self) -> dict[str, str]:
        """The booster in its own text form, and the hash of its inputs."""
        return {_FILE: self.booster.model_to_string(), _HASH_FILE: self.feature_hash}

    def _refuse_other_features(self) -> None:
        given = feature_hash()
        if given != self.feature_hash:
            raise FeaturesChanged(NAME, trained_on=self.feature_hash, given=given)


def matrix(rows: pl.DataFrame) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Model inputs as Float32, NaN where unknown; shape (rows, len(MODEL_FEATURES))."""
    return rows.select(pl.col(MODEL_FEATURES).fill_null(float("nan"))).to_numpy(order="c")


def fit(rows: pl.DataFrame, series: DaySeries, *, seed: int) -> LightGBM:  # noqa: ARG001  # of the protocol
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
    return LightGBM(lightgbm.train(settings, data, num_boost_round=rounds), feature_hash())


def restore(texts: Mapping[str, str]) -> LightGBM:
    """The model that ``texts`` wrote.

    Raises:
        FeaturesChanged: it was trained on other inputs than this code makes.
    """
    import lightgbm

    trained_on = texts[_HASH_FILE]
    if trained_on != feature_hash():
        raise FeaturesChanged(NAME, trained_on=trained_on, given=feature_hash())
    return LightGBM(lightgbm.Booster(model_str=texts[_FILE]), trained_on)


FORECASTER = Forecaster(NAME, fit, restore)
