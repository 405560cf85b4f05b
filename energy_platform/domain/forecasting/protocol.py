"""What a forecaster is: it is fitted on rows of ``rows.design`` and gives their medians.

Belongs here: the shape that training, issuing and the combination rely on. Bands are not a forecaster's
concern: intervals.py makes them from residuals, for every one alike.

A forecaster may read the rows, the matrix of known days, or both. Of the matrix it looks, for each row, only
at columns before the row's ``cutoff_date``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from energy_platform.domain.forecasting.history import DaySeries


class Fitted(Protocol):
    """A forecaster after training."""

    def predict(self, rows: pl.DataFrame, series: DaySeries) -> pl.Series:
        """Median in kWh of each row, at least 0, in the order of ``rows``; null where it gives none."""
        ...

    def texts(self) -> dict[str, str]:
        """All there is to keep, as text files by name; ``Forecaster.restore`` makes the same of them."""
        ...


class _Fit(Protocol):
    def __call__(self, rows: pl.DataFrame, series: DaySeries, *, seed: int) -> Fitted:
        """Train on rows of ``rows.design`` that have a ``target_kwh``."""
        ...


class _Restore(Protocol):
    def __call__(self, texts: Mapping[str, str]) -> Fitted:
        """What ``Fitted.texts`` kept; other files may be among them."""
        ...


@dataclass(frozen=True, slots=True)
class Forecaster:
    """One way of forecasting, as the registry in ``forecasters`` holds it.

    Args:
        name: in tables and in MLflow.
        fit: trains it.
        restore: makes a trained one of its texts.
        is_heavy: it fits every series by itself at every issue: run on a sample of series unless asked.
        is_naive: it learns nothing: what a model has to beat.
    """

    name: str
    fit: _Fit
    restore: _Restore
    is_heavy: bool = False
    is_naive: bool = False


Rule = Callable[[pl.DataFrame, DaySeries], pl.Series]
"""Rows and known days to medians, as ``Fitted.predict``."""


@dataclass(frozen=True, slots=True)
class Untrained:
    """A rule that needs no training, or is fitted when it forecasts: there is nothing to keep."""

    rule: Rule

    def predict(self, rows: pl.DataFrame, series: DaySeries) -> pl.Series:
        """What the rule gives."""
        return self.rule(rows, series)

    def texts(self) -> dict[str, str]:
        """Nothing."""
        return {}


def untrained(name: str, rule: Rule, *, is_heavy: bool = False, is_naive: bool = False) -> Forecaster:
    """The forecaster of a rule that learns nothing over meters."""
    made = Untrained(rule)

    def fit(rows: pl.DataFrame, series: DaySeries, *, seed: int) -> Untrained:  # noqa: ARG001  # of the protocol
        return made

    def restore(texts: Mapping[str, str]) -> Untrained:  # noqa: ARG001  # of the protocol
        return made

    return Forecaster(name, fit, restore, is_heavy=is_heavy, is_naive=is_naive)
