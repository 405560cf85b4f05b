"""The mean day of each home by season and kind of day: what homes are compared by.

Belongs here: the SQL that sums hours, the arrays it fills, shares of the day. Does not belong here: how
homes are grouped (clustering.py).

A *cell* is a season on weekdays or on weekends. Hours are hours on the wall of the site, and a mean is
taken over the hours there were: an hour that a clock change repeats counts as two, one that it skips not
at all, so that neither shifts a shape. A share is an hour's part of the mean day: size leaves no trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeAlias

import numpy as np
import polars as pl

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.floating[Any]]]
Flags: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Labels: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

# Quarters by their months, which are no one's winter in particular.
SEASONS = ("dec-feb", "mar-may", "jun-aug", "sep-nov")
CELLS: tuple[tuple[str, bool], ...] = tuple((season, weekend) for season in SEASONS for weekend in (False, True))
HOURS = 24
# Sums are kept by blocks of as many days, counted from a Monday (dbt's var hour_block_days; a test holds them equal).
BLOCK_DAYS = 28
_FIRST_MONDAY = date(1969, 12, 29)
# A year and a day: every season once.
_WINDOW_BLOCKS = 13
# Each hour of a cell as often as this, or the cell is unknown: a month has eight weekend days.
LEAST_HOURS = 4
# 20 W all day: below it the shape is that of a standby light, of rounding, of one odd reading.
LEAST_DAY_KWH = 0.5
WEEKDAYS, WEEKEND_DAYS = 5, 2


@dataclass(frozen=True, slots=True)
class HomeProfiles:
    """Mean days of the homes of one source and commodity.

    Args:
        site_ids: the homes, in the order of the arrays.
        mean_kwh: mean energy of an hour, shape (homes, halves, cells, 24), NaN where there was none.
            The halves are every other four weeks: one can be judged by the other.
        hours: how many hours each mean is taken over, same shape.
    """

    site_ids: tuple[str, ...]
    mean_kwh: Floats
    hours: Floats

    @classmethod
    def of(cls, rows: pl.DataFrame) -> HomeProfiles:
        """The arrays of what ``profiles_sql`` gives."""
        sites = rows["site_id"].unique().sort()
        place = sites.search_sorted(rows["site_id"]).to_numpy()
        cell = (rows["season"].cast(pl.Int64) * 2 + rows["is_weekend"].cast(pl.Int64)).to_numpy()
        where = (place, rows["half"].cast(pl.Int64).to_numpy(), cell, rows["local_hour"].cast(pl.Int64).to_numpy())
        shape = (len(sites), 2, len(CELLS), HOURS)
        mean_kwh, hours = np.full(shape, np.nan), np.zeros(shape)
        mean_kwh[where], hours[where] = rows["mean_kwh"].to_numpy(), rows["hours"].to_numpy()
        return cls(tuple(sites), mean_kwh, hours)

    def __len__(self) -> int:
        return len(self.site_ids)

    def only(self, homes: Labels | Flags) -> HomeProfiles:
        """Some of the homes."""
        ids = tuple(np.array(self.site_ids, dtype=object)[homes].tolist())
        return HomeProfiles(ids, self.mean_kwh[homes], self.hours[homes])

    def days_kwh(self, half: int | None = None, *, least_hours: int = LEAST_HOURS) -> Floats:
        """Mean energy of each hour, shape (homes, cells, 24); NaN for a cell that is not known well enough.

        Args:
            half: 0 or 1 for every other four weeks; None for all of them.
            least_hours: readings that each hour of the cell must have.
        """
        halves = slice(None) if half is None else slice(half, half + 1)
        hours = self.hours[:, halves].sum(axis=1)
        energy = np.nansum(self.mean_kwh[:, halves] * self.hours[:, halves], axis=1)
        known = (hours >= least_hours).all(axis=2) & (energy.sum(axis=2) >= 0)
        mean = np.divide(energy, hours, out=np.full(hours.shape, np.nan), where=hours > 0)
        known &= np.nan_to_num(mean).sum(axis=2) >= LEAST_DAY_KWH
        return np.where(known[:, :, None], mean, np.nan)

    def shares(self, half: int | None = None, *, least_hours: int = LEAST_HOURS) -> Floats:
        """Each hour's part of the mean day, shape (homes, cells, 24): 24 shares sum to 1."""
        return as_shares(self.days_kwh(half, least_hours=least_hours))


def as_shares(days_kwh: Floats) -> Floats:
    """Mean days as shares of the day along the last axis; export (below 0) counts as nothing used.

    Example:
        >>> as_shares(np.array([[1.0, 3.0, -1.0]])).tolist()
        [[0.25, 0.75, 0.0]]
    """
    used = np.maximum(days_kwh, 0.0)
    total = used.sum(axis=-1, keepdims=True)
    shares: Floats = np.divide(used, total, out=np.full(used.shape, np.nan), where=total > 0)
    return shares


def day_levels(days_kwh: Floats) -> Floats:
    """Energy of a cell's day over that of the home's mean day of that season, shape (homes, cells).

    1 on both kinds of day where the home uses as much on a weekend day; NaN where one kind is unknown.
    """
    day = days_kwh.sum(axis=2).reshape(len(days_kwh), len(SEASONS), 2)
    mean = (WEEKDAYS * day[..., :1] + WEEKEND_DAYS * day[..., 1:]) / (WEEKDAYS + WEEKEND_DAYS)
    levels: Floats = np.divide(day, mean, out=np.full(day.shape, np.nan), where=mean > 0)
    return levels.reshape(len(days_kwh), len(CELLS))


def season_of(day: date) -> int:
    """Number of a day's season in ``SEASONS``.

    Example:
        >>> SEASONS[season_of(date(2013, 12, 24))]
        'dec-feb'
    """
    return day.month % 12 // 3


def blocks_before(cutoff: date) -> tuple[int, int]:
    """First and last block (both included) of the year of whole blocks that ended when ``cutoff`` began."""
    last = (cutoff - _FIRST_MONDAY).days // BLOCK_DAYS - 1
    return last - _WINDOW_BLOCKS + 1, last


def profiles_sql(
    *,
    cutoff: date,
    blocks: str = "intermediate.int_meter_hour_blocks",
    meters: str = "intermediate.int_meters_in_totals",
) -> str:
    """Mean hours of every home of one source and commodity (two bound values), from blocks that ended before ``cutoff``.

    A home's channels that count in its total are added up. A block belongs to the season of its middle day.

    Args:
        cutoff: nothing of this day or later is read.
        blocks: relation with sums by meter, block, kind of day and local hour.
        meters: relation that says which meters count in a site's total.
    """
    first, last = blocks_before(cutoff)
    middle = (
        f"DATE '{_FIRST_MONDAY + timedelta(days=BLOCK_DAYS // 2)}' + CAST(b.block_number * {BLOCK_DAYS} AS INTEGER)"
    )
    return f"""
WITH sums AS (
    SELECT m.site_id, b.meter_no, month({middle}) % 12 // 3 AS season, b.block_number % 2 AS half, b.is_weekend,
        b.local_hour, sum(b.energy_kwh) AS energy_kwh, sum(b.hours) AS hours
    FROM {blocks} AS b
    JOIN {meters} AS m USING (meter_no)
    WHERE m.is_in_site_total AND m.source = ? AND m.commodity = ? AND b.block_number BETWEEN {first} AND {last}
    GROUP BY ALL
)
SELECT site_id, season, half, is_weekend, local_hour, sum(energy_kwh / hours) AS mean_kwh,
    CAST(min(hours) AS DOUBLE) AS hours
FROM sums GROUP BY ALL ORDER BY ALL
""".strip()
