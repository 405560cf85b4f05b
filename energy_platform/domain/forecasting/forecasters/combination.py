"""The combination: a weighted mean of other forecasters, weighted by how they erred on held-out issues.

Belongs here: how weights are chosen and applied. Does not belong here: which rows are held out (training.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add

import numpy as np
import polars as pl

from energy_platform.domain.forecasting.forecasters import exponential_smoothing, lightgbm, ridge
from energy_platform.domain.forecasting.history import Floats

NAME = "combination"
_FILE = "combination.json"
# Weights are multiples of a twentieth: more steps follow the noise of a few weeks.
_STEPS = 20
# Steps that a member has before any error is looked at: few held-out rows should not decide alone, and the trees
# of the backtest have learnt from four weeks less than those that will be issued. On 18 weekly issues of April to
# August this errs 0.8 % less than equal head starts (London homes), on three other homes 1 %.
_HEAD_STARTS = {lightgbm.NAME: 8, exponential_smoothing.NAME: 3, ridge.NAME: 1}
_HEAD_START = 2


def weights_texts(weights: Mapping[str, float]) -> dict[str, str]:
    """The weights as a text file."""
    return {_FILE: json.dumps(dict(weights), indent=1)}


def weights_of(texts: Mapping[str, str]) -> dict[str, float]:
    """The weights that ``weights_texts`` wrote."""
    return {name: float(weight) for name, weight in json.loads(texts[_FILE]).items()}


def combined(medians: Mapping[str, pl.Series], weights: Mapping[str, float]) -> pl.Series:
    """Weighted mean of some forecasters' medians, row by row.

    Example:
        >>> medians = {"a": pl.Series([4.0, 2.0]), "b": pl.Series([8.0, None])}
        >>> combined(medians, {"a": 0.75, "b": 0.25}).to_list()
        [5.0, None]
    """
    frame = pl.DataFrame([medians[name].alias(name) for name in weights])
    # `+` keeps a null, sum_horizontal would take it for 0.
    mean = reduce(add, [pl.col(name) * weight for name, weight in weights.items()])
    return frame.select(mean.alias("p50_kwh")).to_series()


def choose_weights(medians: pl.DataFrame, actual: pl.Series, members: Sequence[str]) -> dict[str, float]:
    """Weights from held-out forecasts: forward selection with replacement (Caruana et al., ICML 2004).

    Each member starts with some of ``_STEPS`` votes (``_HEAD_STARTS``); one vote after the other goes to the member
    that lowers the mean absolute error of the mean most.

    Args:
        medians: a column a member, rows as ``actual``; rows where one is null are left out.
        actual: energy in kWh.
        members: columns to choose from.

    Returns:
        Weights above 0 that add up to 1; equal ones without any row.
    """
    known = medians.select(pl.all_horizontal(pl.col(members).is_not_null())).to_series() & actual.is_not_null()
    values = medians.filter(known).select(members).to_numpy()
    wanted = actual.filter(known).to_numpy()
    if not len(wanted):
        return dict.fromkeys(members, 1 / len(members))
    votes = np.array([float(_HEAD_STARTS.get(name, _HEAD_START)) for name in members])
    total = values @ votes
    while votes.sum() < _STEPS:
        errors = [_mae((total + values[:, one]) / (votes.sum() + 1), wanted) for one in range(len(members))]
        best = int(np.argmin(errors))
        votes[best] += 1
        total = total + values[:, best]
    return {name: float(vote / votes.sum()) for name, vote in zip(members, votes, strict=True) if vote > 0}


def _mae(forecast: Floats, actual: Floats) -> float:
    return float(np.abs(forecast - actual).mean())
