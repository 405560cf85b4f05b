"""Detectors that learn what rows usually look like: clusters, a mixture, isolation, a boundary. scikit-learn's own.

All give a distance from the usual and call the farthest anomalous: beyond the share ``false_alarms`` of the
history's held-out rows, or for k-means with five centres beyond three standard deviations of its cluster's
distances. They work on days (shape.py) and on readings (any columns). A model that is fitted on at most
``shape.MOST_TRAINING_ROWS`` rows, drawn evenly from the history, scores every row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from energy_platform.domain.anomalies.days import Floats, Singles, day_scores, sentences
from energy_platform.domain.anomalies.detectors.shape import Inputs
from energy_platform.domain.anomalies.history import DayHistory
from energy_platform.domain.anomalies.protocol import READING_KEY, READING_SCORES, Grain
from energy_platform.domain.threads import one_thread

SEED = 42
# One row in three sets the limit.
HELD_OUT = 3
# scikit-learn's one-class SVM at nu 0.05: 4.6 s of scoring for each 200,000 rows with 20,000 to learn from,
# 246 s of fitting with 160,000. Above this its kernel is approximated instead.
EXACT_SVM_ROWS = 4_000
NYSTROEM_COMPONENTS = 100
# scikit-learn works distances of single precision out in double precision, piece by piece.
KERNEL_DTYPE = "float64"


@dataclass(frozen=True, slots=True)
class FittedOutliers:
    """A fitted model, its distances on the history, and the distance beyond which a row is anomalous.

    Args:
        name: of the detector.
        inputs: from rows to the model's matrix.
        distance: from a scaled matrix to how far each row is from usual.
        usual: median distance of the history.
        limit: anomalous beyond.
        note: how it was fitted.
        what: the distance in words.
    """

    name: str
    inputs: Inputs
    distance: Distance
    usual: float
    limit: float
    note: str
    what: str

    def score(self, rows: pl.DataFrame) -> pl.DataFrame:
        """How far each row is from usual, with the input that is farthest off in the reason."""
        scores, farthest = self.inputs.scores(rows, [self.distance])
        return self.told(rows, scores[0], farthest)

    def told(self, rows: pl.DataFrame, distance: Floats, farthest: Singles) -> pl.DataFrame:
        """The frame of distances that ``Inputs.scores`` gave; ``score`` is 0 at the usual distance and 1 at the limit."""
        expected, upper = (np.full(len(distance), number) for number in (self.usual, self.limit))
        # A scale of its own kind: models that were fitted on other rows, or by another method, stay comparable.
        score = (distance - self.usual) / max(self.limit - self.usual, 1e-9)
        is_anomalous = distance > self.limit

        def reason(row: int) -> str:
            index, sds = farthest[row]
            return (
                f"{self.what} is {distance[row]:.2f}, beyond {self.limit:.2f}; farthest off is "
                f"{self.inputs.names[int(index)]}, {abs(sds):.1f} standard deviations {'above' if sds > 0 else 'below'} its mean."
            )

        if self.inputs.grain is Grain.HOUSEHOLD_DAY:
            return day_scores(
                rows,
                score=score,
                is_anomalous=is_anomalous,
                value=distance,
                expected=expected,
                lower=None,
                upper=upper,
                reason=reason,
            )
        return rows.select(
            *READING_KEY,
            pl.Series("score", score).fill_nan(None),
            pl.Series("is_anomalous", is_anomalous),
            pl.Series("value", distance).fill_nan(None),
            pl.Series("expected", expected),
            pl.lit(None, dtype=pl.Float64).alias("lower"),
            pl.Series("upper", upper),
            sentences(is_anomalous, reason),
        ).select(READING_SCORES.names())


Distance = Callable[[Singles], Floats]
"""A scaled matrix to a distance of each row; an object that can be pickled."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What a learning detector makes of a scaled matrix."""

    distance: Distance
    how: str


@dataclass(frozen=True, slots=True)
class Outliers:
    """One learning detector.

    Args:
        name: in tables.
        grain: of the rows.
        learn: fits the model on a scaled matrix.
        what: the distance in words.
        columns: the readings' columns to learn from; days have their own numbers.
        false_alarms: share of the history that lies beyond the limit; None takes ``limit``.
        limit: anomalous beyond this distance.
    """

    name: str
    grain: Grain
    learn: Callable[[Singles], Learned]
    what: str
    columns: tuple[str, ...] = ("value",)
    false_alarms: float | None = 0.01
    limit: float = 0.0

    def fit(self, history: pl.DataFrame | DayHistory) -> FittedOutliers:
        """Learn what is usual, evenly from the whole history where it is long."""
        return self.fit_matrix(*Inputs.learn(history, self.grain, self.columns, self.name))

    def fit_matrix(self, inputs: Inputs, matrix: Singles) -> FittedOutliers:
        """Learn from what ``Inputs.learn`` gives; several detectors may share it."""
        # The limit comes from rows that the model was not fitted on: to its own rows it is kinder.
        held_out = np.arange(len(matrix)) % HELD_OUT == 0
        with one_thread():
            learned = self.learn(matrix[~held_out])
            distances = learned.distance(matrix[held_out])
        limit = self.limit if self.false_alarms is None else float(np.quantile(distances, 1 - self.false_alarms))
        note = f"{learned.how}, fitted on {(~held_out).sum():,} of {inputs.rows:,} rows"
        return FittedOutliers(self.name, inputs, learned.distance, float(np.median(distances)), limit, note, self.what)


@dataclass(frozen=True, slots=True)
class NearestCentre:
    """Distance to the nearest centre; in standard deviations of its cluster's distances where these are given."""

    centres: Singles
    mean: Singles | None = None
    sd: Singles | None = None

    def __call__(self, matrix: Singles) -> Floats:
        """The distances."""
        squares = (matrix**2).sum(axis=1, keepdims=True) - 2 * matrix @ self.centres.T + (self.centres**2).sum(axis=1)
        cluster = squares.argmin(axis=1)
        away: Floats = np.sqrt(np.maximum(squares[np.arange(len(cluster)), cluster], 0)).astype(np.float64)
        if self.mean is None or self.sd is None:
            return away
        found: Floats = (away - self.mean[cluster]) / self.sd[cluster]
        return found


@dataclass(frozen=True, slots=True)
class MinusDensity:
    """Minus what a scikit-learn model says of a row: its log-likelihood, its depth in trees, its side of a boundary."""

    model: Any
    method: str
    dtype: str = "float32"

    def __call__(self, matrix: Singles) -> Floats:
        """The distances, worked out in pieces so that memory stays small."""
        score = getattr(self.model, self.method)
        pieces = [score(matrix[begin : begin + 100_000].astype(self.dtype)) for begin in range(0, len(matrix), 100_000)]
        found: Floats = -np.concatenate(pieces).astype(np.float64)
        return found


def score_together(detectors: Mapping[str, FittedOutliers], rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """What detectors with the same inputs say: the inputs are worked out once."""
    inputs = next(iter(detectors.values())).inputs
    scores, farthest = inputs.scores(rows, [one.distance for one in detectors.values()])
    return {name: one.told(rows, score, farthest) for (name, one), score in zip(detectors.items(), scores, strict=True)}


def _k_means(matrix: Singles, clusters: int) -> tuple[Singles, Floats, Floats]:
    """Centres, each row's distance to its own, and each row's cluster."""
    from sklearn.cluster import KMeans

    model = KMeans(n_clusters=min(clusters, len(matrix)), random_state=SEED, n_init=3).fit(matrix)
    centres = model.cluster_centers_.astype(np.float32)
    away = np.linalg.norm(matrix - centres[model.labels_], axis=1).astype(np.float64)
    return centres, away, model.labels_


def learn_k_means_5(matrix: Singles) -> Learned:
    """Five centres; a row's distance to its own in standard deviations of that cluster's."""
    centres, away, labels = _k_means(matrix, 5)
    of = [away[labels == number] for number in range(len(centres))]
    mean = np.array([one.mean() for one in of], dtype=np.float32)
    # The few rows of a small cluster lie close to their centre: their spread is not smaller than a third of all rows'.
    sd = np.array([max(one.std(), away.std() / 3, 1e-6) for one in of], dtype=np.float32)
    return Learned(NearestCentre(centres, mean, sd), "k-means with 5 centres")


def learn_k_means_2(matrix: Singles) -> Learned:
    """Two centres; a row's distance to its own."""
    centres, _, _ = _k_means(matrix, 2)
    return Learned(NearestCentre(centres), "k-means with 2 centres")


def learn_mixture(matrix: Singles) -> Learned:
    """Three normal distributions; minus the logarithm of their density."""
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(3, covariance_type="full", random_state=SEED, reg_covar=1e-3).fit(matrix)
    return Learned(MinusDensity(model, "score_samples"), "a mixture of 3 normal distributions")


def learn_isolation(matrix: Singles) -> Learned:
    """A hundred trees; how few splits set a row apart (Liu, Ting and Zhou, 2008)."""
    from sklearn.ensemble import IsolationForest

    model = IsolationForest(n_estimators=100, random_state=SEED).fit(matrix)
    return Learned(MinusDensity(model, "score_samples"), "an isolation forest of 100 trees")


def learn_boundary(matrix: Singles) -> Learned:
    """A boundary around 95 of 100 rows, by radial kernel: exact on few rows, by Nyström's approximation on many."""
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import SGDOneClassSVM
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import OneClassSVM

    if len(matrix) <= EXACT_SVM_ROWS:
        model = OneClassSVM(kernel="rbf", nu=0.05, gamma="scale").fit(matrix)
        return Learned(MinusDensity(model, "decision_function", KERNEL_DTYPE), "an exact one-class SVM")
    width = 1 / (matrix.shape[1] * max(float(matrix.var()), 1e-6))
    model = make_pipeline(
        Nystroem(gamma=width, n_components=NYSTROEM_COMPONENTS, random_state=SEED),
        SGDOneClassSVM(nu=0.05, random_state=SEED, shuffle=True),
    ).fit(matrix)
    how = f"a one-class SVM by Nyström's approximation ({NYSTROEM_COMPONENTS} components), as above {EXACT_SVM_ROWS:,} rows"
    return Learned(MinusDensity(model, "decision_function", KERNEL_DTYPE), how)
