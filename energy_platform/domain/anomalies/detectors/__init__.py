"""The detectors by name. To add one: a file here and a line in ``_OF_DAYS``.

Belongs here: which detectors there are. Does not belong here: how one works (its file), how well (records.py).
"""

from __future__ import annotations

from energy_platform.domain.anomalies.detectors import (
    conformal_residual,
    flatline,
    gap,
    level_shift,
    mean_sigma,
    night_leak,
    outliers,
    robust_hours,
    sign,
    similar_days,
    stopped,
    unit_error,
)
from energy_platform.domain.anomalies.protocol import Detector, Grain

_LEARNING = {
    "k_means_5": (outliers.learn_k_means_5, "the distance to the nearest of 5 usual kinds, in standard deviations,"),
    "k_means_2": (outliers.learn_k_means_2, "the distance to the nearer of 2 usual kinds"),
    "gaussian_mixture": (outliers.learn_mixture, "minus the log-likelihood"),
    "isolation_forest": (outliers.learn_isolation, "the isolation score"),
    "one_class_svm": (outliers.learn_boundary, "the distance outside the usual region"),
}


def outlier_detectors(grain: Grain, columns: tuple[str, ...] = ("value",)) -> tuple[Detector, ...]:
    """The learning detectors of one grain.

    Args:
        grain: what a row is.
        columns: of readings, what to learn from; days have numbers of their own (shape.py).
    """
    return tuple(
        outliers.Outliers(
            name,
            grain,
            learn,
            what,
            columns=columns,
            false_alarms=None if name == "k_means_5" else 0.01,
            limit=3.0,
        )
        for name, (learn, what) in _LEARNING.items()
    )


_OF_DAYS: tuple[Detector, ...] = (
    mean_sigma.MeanSigma(Grain.HOUSEHOLD_DAY),
    robust_hours.RobustHours(),
    conformal_residual.ConformalResidual(),
    similar_days.SimilarDays(),
    *outlier_detectors(Grain.HOUSEHOLD_DAY),
    level_shift.LevelShift(),
    night_leak.DETECTOR,
    flatline.DETECTOR,
    gap.Gap(),
    stopped.DETECTOR,
    unit_error.DETECTOR,
    sign.DETECTOR,
)
DAY_DETECTORS: dict[str, Detector] = {one.name: one for one in _OF_DAYS}


def reading_detectors(columns: tuple[str, ...] = ("value",)) -> dict[str, Detector]:
    """Detectors of readings by name: mean + kσ of ``value`` by channel, and the learning ones over ``columns``."""
    every: tuple[Detector, ...] = (mean_sigma.MeanSigma(Grain.READING), *outlier_detectors(Grain.READING, columns))
    return {one.name: one for one in every}
