"""What is known of a day before it comes: weekday, season and public holidays, by country.

Belongs here: properties of a date alone. Does not belong here: clock changes (readings know their
UTC offset), anything that is measured.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from functools import lru_cache
from math import pi

import polars as pl

CALENDAR_FEATURES = (
    "day_of_week",
    "is_weekend",
    "weekday_sin",
    "weekday_cos",
    "day_of_year_sin",
    "day_of_year_cos",
    "month",
    "is_holiday",
    "is_day_before_holiday",
    "is_day_after_holiday",
)
_DAYS_PER_YEAR = 365.25


@lru_cache(maxsize=256)
def public_holidays(country: str, year: int) -> frozenset[date]:
    """Public holidays of one year in a country, or none when the country is not known to `holidays`.

    Args:
        country: ISO 3166-1 alpha-2, with a subdivision where they differ: ``GB-ENG``, ``DE-BY``.
        year: calendar year.

    Example:
        >>> date(2013, 5, 27) in public_holidays("GB-ENG", 2013)
        True
        >>> public_holidays("XX", 2013)
        frozenset()
    """
    import holidays

    code, _, subdivision = country.partition("-")
    try:
        found = holidays.country_holidays(code, subdiv=subdivision or None, years=year)
    except NotImplementedError:
        return frozenset()
    return frozenset(day for day in found if day.year == year)


def calendar_features(country: str, days: Collection[date]) -> pl.DataFrame:
    """The calendar of some days in one country.

    Returns:
        One row per distinct day: ``country``, ``local_date`` and ``CALENDAR_FEATURES`` as Float32;
        ``day_of_week`` 1 (Monday) to 7, ``month`` 1 to 12, flags 0 or 1, sines and cosines -1 to 1.

    Example:
        >>> frame = calendar_features("GB-ENG", [date(2013, 12, 24), date(2013, 12, 25)])
        >>> frame.select("day_of_week", "is_holiday", "is_day_before_holiday").rows()
        [(2.0, 0.0, 1.0), (3.0, 1.0, 1.0)]
    """
    ordered = sorted(set(days))
    one = timedelta(days=1)
    years = {(day + shift).year for day in ordered for shift in (-one, timedelta(0), one)}
    off = frozenset().union(*(public_holidays(country, year) for year in years)) if years else frozenset()
    frame = pl.DataFrame(
        {
            "country": [country] * len(ordered),
            "local_date": ordered,
            "is_holiday": [day in off for day in ordered],
            "is_day_before_holiday": [day + one in off for day in ordered],
            "is_day_after_holiday": [day - one in off for day in ordered],
        },
        schema_overrides={"local_date": pl.Date, "country": pl.String},
    )
    weekday = pl.col("local_date").dt.weekday()
    week_angle = (weekday - 1) * (2 * pi / 7)
    year_angle = pl.col("local_date").dt.ordinal_day() * (2 * pi / _DAYS_PER_YEAR)
    return frame.with_columns(
        day_of_week=weekday,
        is_weekend=weekday >= 6,
        weekday_sin=week_angle.sin(),
        weekday_cos=week_angle.cos(),
        day_of_year_sin=year_angle.sin(),
        day_of_year_cos=year_angle.cos(),
        month=pl.col("local_date").dt.month(),
    ).select("country", "local_date", *(pl.col(name).cast(pl.Float32) for name in CALENDAR_FEATURES))


def calendar_of(keys: pl.DataFrame) -> pl.DataFrame:
    """The calendar of every (``country``, ``local_date``) that occurs in ``keys``."""
    parts = [
        calendar_features(str(country), days["local_date"].unique().to_list())
        for (country,), days in keys.select("country", "local_date").unique().group_by("country", maintain_order=True)
    ]
    return pl.concat(parts) if parts else calendar_features("GB", [])
