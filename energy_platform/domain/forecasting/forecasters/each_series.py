"""For forecasters that fit every series by itself: the loop over meters and issue days.

Belongs here: what they share. A day that is unknown counts as the same weekday of the week before (the mean
of the series at its start), because the libraries take no gaps.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import polars as pl

from energy_platform.domain.forecasting.history import DaySeries, Floats

# Two years are enough for a weekly pattern, and what the libraries' costs are known for.
MAX_DAYS = 730
# Two weeks, or there is no weekly pattern to be seen.
MIN_DAYS = 14

OfOne = Callable[[Floats, date], Floats]
"""Energy of the days before an issue, oldest first and without gaps, and the issue day; gives the seven days."""


def predict_each(rows: pl.DataFrame, series: DaySeries, forecast: OfOne) -> pl.Series:
    """Medians in kWh, at least 0; null for a meter that has no ``MIN_DAYS`` of history.

    Args:
        rows: rows with meter_id, channel, cutoff_date and lead.
        series: the known days; only those before an issue day are handed on.
        forecast: the forecaster of one series.
    """
    if rows.is_empty():
        return pl.Series("p50_kwh", [], dtype=pl.Float64)
    meter, day = series.places(rows)
    found = np.full(rows.height, np.nan)
    lead = rows["lead"].to_numpy() - 1
    width = int(day.max()) + 1
    issues, issue = np.unique(meter * width + day, return_inverse=True)
    for number, key in enumerate(issues):
        history = without_gaps(series.energy_kwh[key // width], int(key % width))
        if len(history) < MIN_DAYS:
            continue
        of_issue = issue == number
        issue_day = rows["cutoff_date"][int(np.argmax(of_issue))]
        found[of_issue] = forecast(history[-MAX_DAYS:], issue_day)[lead[of_issue]]
    return pl.Series("p50_kwh", np.maximum(found, 0.0)).fill_nan(None)


def without_gaps(energy: Floats, until: int) -> Floats:
    """The days from the first known one up to column ``until``, unknown ones filled from the week before.

    Example:
        >>> without_gaps(np.array([np.nan, 1.0, 2, 3, 4, 5, 6, 7, np.nan]), 9).tolist()
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 1.0]
    """
    padded = np.full(until, np.nan)
    padded[: min(until, len(energy))] = energy[:until]
    known = np.flatnonzero(~np.isnan(padded))
    if not len(known):
        return padded[:0]
    filled = padded[known[0] :].copy()
    mean = float(np.nanmean(filled))
    for place in np.flatnonzero(np.isnan(filled)):
        filled[place] = filled[place - 7] if place >= 7 else mean
    return filled
