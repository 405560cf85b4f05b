"""A fleet's energy on the clock of its own days: a row a local day, a column a half hour or hour of it.

Belongs here: from UTC intervals to local days and back, gaps, meters that come and go. Does not belong
here: what a forecaster makes of it (inputs.py and the forecasters).

People live by the clock on the wall: on it every day has the same hours, the evening peak stays where it
is when the clocks change, and "the same time yesterday" needs no arithmetic. The hour that is missing in
spring is filled, the one that comes twice in autumn is one value; both days get back their 46 or 50 half
hours when a forecast is told in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from energy_platform.domain.calendar import calendar_features
from energy_platform.domain.columns.model import UTC_TIME

Floats = NDArray[np.float64]

# Two local days, 48 hours but for the days when the clocks change.
HORIZON_DAYS = 2
WEEK = 7
# A day short of more than a tenth of its slots is no day to learn from or to be measured by.
KNOWN_SHARE = 0.9
THIN_SHARE = 0.5
# Three quarters of a day's hours, or its mean temperature is that of a night.
TEMPERATURE_HOURS = 18
_CALENDAR = ("is_holiday", "is_day_before_holiday", "is_day_after_holiday")
_YEAR_DAYS = 365.25
_SATURDAY, _SUNDAY = 5, 6
# From 20 December on a combination told so errs 3 % (AEP) and 8 % (DAYTON) less; it does in each of six years of both.
_DECEMBER, _YEAR_END_FROM = 12, 24


@dataclass(frozen=True, slots=True)
class LocalDays:
    """What is known of one fleet, oldest day first, without a hole.

    Args:
        first_day: local date of the first row.
        time_zone: IANA zone of its sites.
        country: whose public holidays apply.
        interval_minutes: 30 or 60.
        kwh_per_meter: energy of the mean reporting meter, shape (days, slots); gaps are filled.
        is_known: whether at least ``KNOWN_SHARE`` of the day was measured, shape (days,).
        meters: meters that report, median over the day's slots, shape (days,); 0 on a day without any.
        temperature_c: mean outdoor temperature of the day, shape (days,), NaN where it is not known.
    """

    first_day: date
    time_zone: str
    country: str
    interval_minutes: int
    kwh_per_meter: Floats
    is_known: NDArray[np.bool_]
    meters: Floats
    temperature_c: Floats

    @property
    def days(self) -> int:
        """How many days are known; also the index of the first day that is not."""
        return len(self.kwh_per_meter)

    @property
    def slots(self) -> int:
        """Intervals of a day on the wall clock: 48 or 24."""
        return 24 * 60 // self.interval_minutes

    @property
    def cutoff(self) -> date:
        """The first day that is not known: the local day at whose start a forecast of these days is issued."""
        return self.first_day + timedelta(days=self.days)

    def before(self, day: date) -> LocalDays:
        """What was known at the start of ``day``."""
        return self.first(max((day - self.first_day).days, 0))

    def first(self, days: int) -> LocalDays:
        """The oldest ``days`` days."""
        return replace(
            self,
            kwh_per_meter=self.kwh_per_meter[:days],
            is_known=self.is_known[:days],
            meters=self.meters[:days],
            temperature_c=self.temperature_c[:days],
        )

    def calendar(self) -> Calendar:
        """The calendar of the known days and of the ``HORIZON_DAYS`` after them."""
        return _calendar(self.country, self.first_day, self.days + HORIZON_DAYS)

    def expected_meters(self) -> float:
        """Meters that will report, should nothing change: those of the last known day."""
        reporting = self.meters[self.is_known]
        return float(reporting[-1]) if len(reporting) else 0.0


@dataclass(frozen=True, slots=True)
class Calendar:
    """What is known of days before they come, by day since a first one; every array of shape (days,).

    Args:
        weekday: 0 (Monday) to 6.
        kind: the weekday that people live like: a Sunday on a public holiday, a Saturday on the working days from
            24 to 31 December, else ``weekday``.
        is_holiday: 0 or 1; so are the day before and the day after one.
        is_day_before_holiday: 0 or 1.
        is_day_after_holiday: 0 or 1.
        season: sine and cosine of the year and of half the year, shape (days, 4).
    """

    weekday: NDArray[np.int64]
    kind: NDArray[np.int64]
    is_holiday: Floats
    is_day_before_holiday: Floats
    is_day_after_holiday: Floats
    season: Floats

    @classmethod
    def of(cls, country: str, first_day: date, days: int) -> Calendar:
        """The calendar of ``days`` days from ``first_day`` on."""
        dates = [first_day + timedelta(days=day) for day in range(days)]
        flags = calendar_features(country, dates).sort("local_date").select(_CALENDAR).to_numpy().astype(float)
        angle = np.array([day.timetuple().tm_yday for day in dates]) * (2 * np.pi / _YEAR_DAYS)
        season = np.stack([np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)], axis=1)
        weekday = np.array([day.weekday() for day in dates], dtype=np.int64)
        is_year_end = np.array([day.month == _DECEMBER and day.day >= _YEAR_END_FROM for day in dates])
        kind = np.where(is_year_end & (weekday < _SATURDAY), _SATURDAY, weekday)
        kind = np.where(flags[:, 0] > 0, _SUNDAY, kind)
        return cls(weekday, kind, flags[:, 0], flags[:, 1], flags[:, 2], season)


@lru_cache(maxsize=64)
def _calendar(country: str, first_day: date, days: int) -> Calendar:
    """``Calendar.of``, remembered: a fleet's forecasters ask for the same one some dozen times."""
    return Calendar.of(country, first_day, days)


def local_days(
    half_hours: pl.DataFrame,
    *,
    time_zone: str,
    country: str,
    interval_minutes: int,
    cutoff: date,
    weather: pl.DataFrame | None = None,
) -> LocalDays:
    """Local days of one fleet, from its first reading to the day before ``cutoff``.

    A slot is the energy of the mean reporting meter: meters that join or leave change the sum and not the
    mean, so they do not look like growth. A day on which less than half of the usual meters report is
    unknown. A slot without a reading takes the same slot of the week before,
    or failing that of the day before, or of the first day that has it.

    Args:
        half_hours: rows of ``marts.fleet_half_hours`` of one source and commodity: interval_start_utc,
            energy_kwh, meters.
        time_zone: IANA zone of the sites.
        country: whose public holidays apply.
        interval_minutes: 30 or 60, the grain wanted.
        cutoff: the first local day that is not looked at.
        weather: what was measured where the meters are: observed_at_utc, temperature_c; None without a station.

    Returns:
        No days when there is no reading before ``cutoff``.
    """
    slots = 24 * 60 // interval_minutes
    wall = pl.col("interval_start_utc").dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone)
    cells = (
        half_hours.lazy()
        .select(
            "energy_kwh",
            "meters",
            local_date=wall.dt.date(),
            slot=(wall.dt.hour().cast(pl.Int32) * 60 + wall.dt.minute()) // interval_minutes,
        )
        .filter(pl.col("local_date") < cutoff)
        .group_by("local_date", "slot")
        .agg(
            kwh=pl.col("energy_kwh").sum() / pl.col("meters").sum() * (interval_minutes / 30),
            meters=pl.col("meters").mean(),
        )
        .sort("local_date", "slot")
        .collect()
    )
    if cells.is_empty():
        nothing = np.empty(0)
        return LocalDays(
            cutoff, time_zone, country, interval_minutes, np.empty((0, slots)), nothing.astype(bool), nothing, nothing
        )
    first_day: date = cells["local_date"][0]
    rows = (cells["local_date"] - first_day).dt.total_days().to_numpy()
    shape = ((cutoff - first_day).days, slots)
    kwh, meters = np.full(shape, np.nan), np.full(shape, np.nan)
    kwh[rows, cells["slot"].to_numpy()] = cells["kwh"].to_numpy()
    meters[rows, cells["slot"].to_numpy()] = cells["meters"].to_numpy()
    reporting = np.array([np.median(row[~np.isnan(row)]) if not np.isnan(row).all() else 0.0 for row in meters])
    kwh[_is_thin(reporting)] = np.nan
    is_known = (~np.isnan(kwh)).mean(axis=1) >= KNOWN_SHARE
    temperature = _day_temperatures(weather, first_day=first_day, days=len(kwh), time_zone=time_zone)
    return LocalDays(first_day, time_zone, country, interval_minutes, fill_gaps(kwh), is_known, reporting, temperature)


def _day_temperatures(weather: pl.DataFrame | None, *, first_day: date, days: int, time_zone: str) -> Floats:
    """Mean of each local day, NaN with less than ``TEMPERATURE_HOURS`` of it."""
    found = np.full(days, np.nan)
    if weather is None or weather.is_empty():
        return found
    wall = pl.col("observed_at_utc").dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone)
    means = (
        weather.group_by(day=(wall.dt.date() - first_day).dt.total_days())
        .agg(temperature_c=pl.col("temperature_c").mean(), hours=pl.col("temperature_c").count())
        .filter(pl.col("day").is_between(0, days - 1), pl.col("hours") >= TEMPERATURE_HOURS)
        .sort("day")
    )
    found[means["day"].to_numpy()] = means["temperature_c"].to_numpy()
    return found


def _is_thin(reporting: Floats) -> NDArray[np.bool_]:
    """Days on which less than half of the week's usual meters report: readings are late, and the few are not the fleet.

    Args:
        reporting: meters by day.
    """
    usual = [np.median(reporting[max(0, day - WEEK) : day + 1]) for day in range(len(reporting))]
    return reporting < THIN_SHARE * np.array(usual)


def fill_gaps(kwh: Floats) -> Floats:
    """Days without a hole: each unknown slot takes a week before, else the day before, else the next known one.

    Example:
        >>> fill_gaps(np.array([[1.0, 2.0], [np.nan, 3.0]])).tolist()
        [[1.0, 2.0], [1.0, 3.0]]
    """
    filled = kwh.copy()
    for day in np.flatnonzero(np.isnan(filled).any(axis=1)):
        for back in (WEEK, 1):
            if day >= back:
                filled[day] = np.where(np.isnan(filled[day]), filled[day - back], filled[day])
    for slot in np.flatnonzero(np.isnan(filled).any(axis=0)):
        known = np.flatnonzero(~np.isnan(filled[:, slot]))
        # What is still unknown lies before the slot's first reading.
        filled[np.isnan(filled[:, slot]), slot] = filled[known[0], slot] if len(known) else np.nanmean(filled)
    return filled


def intervals_ahead(first_day: date, *, time_zone: str, interval_minutes: int) -> pl.DataFrame:
    """The intervals of the ``HORIZON_DAYS`` local days from ``first_day`` on, in UTC.

    Returns:
        Rows in order: ``interval_start_utc``; ``day`` 0 or 1; ``slot`` on the wall clock; ``lead_hours``, from the
        start of the first day to the start of the interval.

    Example:
        >>> rows = intervals_ahead(date(2013, 3, 31), time_zone="Europe/London", interval_minutes=30)
        >>> rows.height, rows.filter(rows["day"] == 0).height
        (94, 46)
    """
    start, end = (_midnight_utc(first_day + timedelta(days=days), time_zone) for days in (0, HORIZON_DAYS))
    starts = pl.datetime_range(start, end, f"{interval_minutes}m", closed="left", time_unit="us", eager=True)
    wall = pl.col("interval_start_utc").dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone)
    return pl.DataFrame({"interval_start_utc": starts.cast(UTC_TIME)}).with_columns(
        day=(wall.dt.date() - first_day).dt.total_days().cast(pl.Int32),
        slot=(wall.dt.hour().cast(pl.Int32) * 60 + wall.dt.minute()) // interval_minutes,
        lead_hours=(pl.col("interval_start_utc") - start).dt.total_minutes() / 60,
    )


def _midnight_utc(day: date, time_zone: str) -> datetime:
    """When a local day begins, naive UTC."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(time_zone))
    return midnight.astimezone(ZoneInfo("UTC")).replace(tzinfo=None)
