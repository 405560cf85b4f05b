"""The known days of many meters as one matrix: what forecasters that look at a whole series read.

Belongs here: the matrix, where a row of ``rows.design`` stands in it, the SQL that fills it. Does not belong
here: what is computed from it (smoothing.py, series_features.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeAlias

import numpy as np
import polars as pl

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.floating[Any]]]
Flags: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Places: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

# Three years hold every season twice and bound the matrix when sources ended in different decades.
HISTORY_DAYS = 1_100
_METER = ("meter_id", "channel")
_KEPT = (*_METER, "source", "commodity", "country", "first_day")


@dataclass(frozen=True, slots=True)
class DaySeries:
    """Daily energy of many meters on one calendar.

    Args:
        meters: meter_id, channel, source, commodity, country, first_day (of its calendar); one row a meter,
            ordered by the first two.
        first_day: the day of the first column.
        energy_kwh: shape (meters, days); NaN where a day is unknown. Only columns before an issue day were
            known at it: every reader of the matrix has to see to that.
    """

    meters: pl.DataFrame
    first_day: date
    energy_kwh: Floats

    @classmethod
    def of(cls, rows: pl.DataFrame) -> DaySeries:
        """The matrix of what ``known_series_sql`` gives: one row a meter, its days as a list without gaps."""
        ordered = rows.sort(_METER)
        first = ordered["first_day"].min() if ordered.height else None
        if not isinstance(first, date):
            return cls(ordered.select(_KEPT), date(2000, 1, 1), np.empty((0, 0)))
        starts = (ordered["first_day"] - first).dt.total_days().to_numpy()
        lengths = ordered["energy_kwh"].list.len().to_numpy().astype(np.int64)
        values = ordered["energy_kwh"].explode(empty_as_null=False, keep_nulls=False).fill_null(float("nan")).to_numpy()
        meter = np.repeat(np.arange(ordered.height), lengths)
        within = np.arange(len(values)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        matrix = np.full((ordered.height, int((starts + lengths).max())), np.nan)
        matrix[meter, starts[meter] + within] = values
        return cls(ordered.select(_KEPT), first, matrix)

    @property
    def end(self) -> date:
        """The day after the last column."""
        return self.first_day + timedelta(days=self.energy_kwh.shape[1])

    def column(self, day: date) -> int:
        """Number of the column of a day; beyond the last one for days to come.

        Example:
            >>> DaySeries(pl.DataFrame(), date(2013, 1, 1), np.empty((0, 3))).column(date(2013, 1, 4))
            3
        """
        return (day - self.first_day).days

    def places(self, rows: pl.DataFrame) -> tuple[Places, Places]:
        """For each row its meter's number in the matrix, and the column of its ``cutoff_date``.

        Args:
            rows: rows with meter_id, channel, cutoff_date; every meter is in the matrix.
        """
        numbered = self.meters.select(_METER).with_row_index("number")
        number = rows.select(_METER).join(numbered, on=list(_METER), how="left", maintain_order="left")["number"]
        days = (rows["cutoff_date"] - self.first_day).dt.total_days()
        return number.cast(pl.Int64).to_numpy(), days.to_numpy().astype(np.int64)

    def before(self, day: date) -> DaySeries:
        """What was known when ``day`` began."""
        return DaySeries(self.meters, self.first_day, self.energy_kwh[:, : max(self.column(day), 0)])


def known_series_sql(features: str, *, cutoff: date) -> str:
    """One row per meter and channel: its days before ``cutoff`` (``HISTORY_DAYS`` at most) as a list.

    Args:
        features: relation with the columns of ``features.meter_days``; it has a row for every calendar day.
        cutoff: nothing of this day or later is read.
    """
    first = cutoff - timedelta(days=HISTORY_DAYS)
    return f"""
SELECT meter_id, channel, any_value(source) AS source, any_value(commodity) AS commodity,
    any_value(country) AS country, min(local_date) AS first_day, list(target_kwh ORDER BY local_date) AS energy_kwh
FROM {features}
WHERE local_date < DATE '{cutoff.isoformat()}' AND local_date >= DATE '{first.isoformat()}'
GROUP BY meter_id, channel
""".strip()
