"""Has the world moved away from what the champion was trained on? Drift of its errors and of its inputs.

Belongs here: the two tests, their thresholds with reasons, the sentence why a retrain is due. Does not
belong here: reading scores and features, asking for the retrain (defs/models/drift.py).

Errors: a one-sided CUSUM (Page, Biometrika 41, 1954) on weekly MAE over the naive MAE of the same rows. The
ratio takes seasons out: a winter week errs more in kWh, for naive as well. The backtest says what the ratio
is and how much a week scatters. With k = 0.5 and h = 5 standard deviations a model that has not changed
raises the alarm once in 18 years of weeks, one whose ratio rises by two standard deviations after four
weeks (Hawkins & Olwell, Cumulative Sum Charts, 1998).

Inputs: the population stability index of each input, newest days against the training's. Its threshold is
0.25, as in credit scoring (Siddiqi 2006), or what chance alone gives with so few meters, whichever is more:
without any change it is distributed as chi² / n (Yurdakul, 2018). Rows of one meter repeat each other, so
meters are what is counted. Inputs that follow the calendar drift every month and are left out by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeAlias

import numpy as np
import polars as pl

# CUSUM: shifts below one standard deviation are let pass; five add up to an alarm.
ALLOWANCE, ALARM = 0.5, 5.0
# A backtest of few weeks may scatter less than weeks do: a week is never taken to scatter less than this share.
LEAST_SCATTER = 0.05
MIN_BACKTEST_WEEKS = 4

BINS = 10
PSI_THRESHOLD = 0.25
# One false alarm in a thousand inputs: 40 inputs are looked at every day.
PSI_CHANCE = 0.001
# Fewer meters cannot show that inputs have moved.
MIN_METERS = 10

_Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that has moved.

    Args:
        kind: ``error`` or ``feature``.
        name: the model, or the input.
        value: CUSUM in standard deviations, or the index.
        threshold: what it exceeds.
        since: first week of the rise; None for an input.
        words: the same in words.
    """

    kind: str
    name: str
    value: float
    threshold: float
    since: date | None
    words: str


def error_drift(backtest: pl.DataFrame, recent: pl.DataFrame, *, model: str) -> Drift | None:
    """Whether a model errs more, against naive, than its backtest promised.

    Args:
        backtest: ``week`` (a date), ``mae_kwh`` and ``naive_mae_kwh`` of the backtest's weeks, same rows for both.
        recent: the same of issued forecasts since then.
        model: its name, for the words.
    """
    promised = _ratios(backtest)
    weeks = recent.sort("week")
    seen = _ratios(weeks)
    if len(promised) < MIN_BACKTEST_WEEKS or not len(seen):
        return None
    expected = float(promised.mean())
    # The mean of few weeks is itself uncertain.
    scatter = max(float(promised.std(ddof=1)), LEAST_SCATTER * expected) * np.sqrt(1 + 1 / len(promised))
    total, started = 0.0, 0
    for position, ratio in enumerate(seen):
        raised = total + (ratio - expected) / scatter - ALLOWANCE
        if raised <= 0:
            total, started = 0.0, position + 1
            continue
        total = raised
    if total <= ALARM:
        return None
    since = weeks.filter(pl.col("naive_mae_kwh") > 0)["week"][started]
    words = (
        f"{model} erred {float(seen[started:].mean()):.2f} of naive since {since}, its backtest promised {expected:.2f} "
        f"(CUSUM {total:.1f}, alarm at {ALARM:.0f})"
    )
    return Drift("error", model, total, ALARM, since, words)


def feature_drift(training: pl.DataFrame, newest: pl.DataFrame, *, features: Sequence[str], meters: int) -> list[Drift]:
    """Inputs whose distribution has moved, the furthest first.

    Args:
        training: rows of the training, with ``features``.
        newest: rows of the newest days.
        features: the inputs to look at.
        meters: meters behind the smaller of the two frames.
    """
    if meters < MIN_METERS:
        return []
    from scipy import special

    chance = float(special.chdtri(BINS - 1, PSI_CHANCE)) * 2 / meters
    threshold = max(PSI_THRESHOLD, chance)
    found = []
    for name in features:
        index = stability_index(training[name], newest[name])
        if index > threshold:
            words = f"{name} has moved (stability index {index:.2f}, threshold {threshold:.2f})"
            found.append(Drift("feature", name, index, threshold, None, words))
    return sorted(found, key=lambda drift: -drift.value)


def stability_index(expected: pl.Series, found: pl.Series) -> float:
    """Population stability index: sum of (q - p) ln(q / p) over tenths of ``expected``, nulls as a bin of their own.

    Example:
        >>> stability_index(pl.Series(range(1000)), pl.Series(range(1000)))
        0.0
    """
    before, after = (series.cast(pl.Float64).fill_nan(None) for series in (expected, found))
    if not len(before) or not len(after):
        return 0.0
    known = before.drop_nulls()
    edges = np.unique(np.quantile(known.to_numpy(), np.arange(1, BINS) / BINS)) if len(known) else np.array([])
    shares = [_shares(series, edges) for series in (before, after)]
    # An empty bin counts as half a row: else one new value would be an infinite change.
    floors = [0.5 / len(series) for series in (before, after)]
    p, q = (np.maximum(share, floor) for share, floor in zip(shares, floors, strict=True))
    both_empty = (shares[0] == 0) & (shares[1] == 0)
    return float(((q - p) * np.log(q / p))[~both_empty].sum())


def retrain_reason(drifts: Sequence[Drift], *, features: int) -> str | None:
    """Why a retrain is due, or None.

    A drift of errors is enough. Inputs count when a fifth of them have moved: a single one, a mild autumn,
    is what a model is trained to take.

    Args:
        drifts: what has moved.
        features: how many inputs were looked at.
    """
    errors = [drift.words for drift in drifts if drift.kind == "error"]
    moved = [drift for drift in drifts if drift.kind == "feature"]
    reasons = list(errors)
    if features and len(moved) >= max(0.2 * features, 2):
        named = "; ".join(drift.words for drift in moved[:3])
        reasons.append(f"{len(moved)} of {features} inputs have moved: {named}")
    return f"retrain is due because {'; and '.join(reasons)}" if reasons else None


def _ratios(weeks: pl.DataFrame) -> _Floats:
    """MAE over naive MAE by week, without weeks in which naive made no error."""
    known = weeks.sort("week").filter(pl.col("naive_mae_kwh") > 0)
    ratios: _Floats = (known["mae_kwh"] / known["naive_mae_kwh"]).to_numpy()
    return ratios


def _shares(series: pl.Series, edges: _Floats) -> _Floats:
    """Share of the values in each bin, the last bin for nulls."""
    values = series.drop_nulls().to_numpy()
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    shares: _Floats = np.append(counts, series.null_count()) / len(series)
    return shares
