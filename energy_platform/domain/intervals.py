"""The UTC grid of intervals and the local days laid over it.

Belongs here: zone transitions, local offsets as SQL text, how many intervals a local day has.
Does not belong here: which zone a site has (sources/*.yml), reading of stamps (adapters/lake_loader).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

# Stamps outside these are typing errors, not readings: smart meters do not predate 1970, and the
# offsets of zones are only tabulated up to 2040. Moving the end later costs a longer CASE text.
FIRST_PLAUSIBLE_UTC = datetime(1970, 1, 1)
END_PLAUSIBLE_UTC = datetime(2040, 1, 1)
# The number of an interval modulo this is its bit in a day's mask: a local day has at most 50 half-hours, so at 30
# minutes or longer no two of one day share a bit (bit 63 is the sign of a BIGINT).
SLOTS = 63


@dataclass(frozen=True, slots=True)
class Transition:
    """From ``at_utc`` on, local time is UTC plus ``offset_minutes``."""

    at_utc: datetime
    offset_minutes: int


def is_zone(name: str) -> bool:
    """Whether the tz database knows the name.

    Example:
        >>> is_zone("Europe/London"), is_zone("Europe/Lundon")
        (True, False)
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


@lru_cache(maxsize=64)
def transitions(zone: str) -> tuple[Transition, ...]:
    """Every change of a zone's offset between 1970 and 2040, oldest first; the first is the start.

    Example:
        >>> len(transitions("Etc/UTC"))
        1
        >>> [t.at_utc.isoformat() for t in transitions("Europe/London") if t.at_utc.year == 2013]
        ['2013-03-31T01:00:00', '2013-10-27T01:00:00']
    """
    tz = ZoneInfo(zone)
    at, end, day = FIRST_PLAUSIBLE_UTC, END_PLAUSIBLE_UTC, timedelta(days=1)
    found = [Transition(at, _offset_minutes(tz, at))]
    while at < end:
        following = at + day
        if _offset_minutes(tz, following) != found[-1].offset_minutes:
            moment = _first_minute_of_change(tz, at, following)
            found.append(Transition(moment, _offset_minutes(tz, moment)))
        at = following
    return tuple(found)


def _offset_minutes(tz: ZoneInfo, at_utc: datetime) -> int:
    offset = at_utc.replace(tzinfo=UTC).astimezone(tz).utcoffset()
    return 0 if offset is None else int(offset.total_seconds() // 60)


def _first_minute_of_change(tz: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """Bisects to the minute at which the offset is no longer that of ``low``."""
    before = _offset_minutes(tz, low)
    while high - low > timedelta(minutes=1):
        middle = low + timedelta(minutes=(high - low) // timedelta(minutes=1) // 2)
        low, high = (middle, high) if _offset_minutes(tz, middle) == before else (low, middle)
    return high


def offset_sql(zone: str, column: str) -> str:
    """Local time minus UTC in minutes of a UTC timestamp column, as a tree of CASE.

    A tree of comparisons with constants is free at 16.8M rows, where ICU's ``timezone()`` took 3 s.

    Example:
        >>> offset_sql("Etc/UTC", "t")
        '0'
    """
    return _tree(transitions(zone), column)


def _tree(changes: tuple[Transition, ...], column: str) -> str:
    if len(changes) == 1:
        return str(changes[0].offset_minutes)
    middle = len(changes) // 2
    return (
        f"CASE WHEN {column} < TIMESTAMP '{changes[middle].at_utc}' "
        f"THEN {_tree(changes[:middle], column)} ELSE {_tree(changes[middle:], column)} END"
    )


def offset_minutes_at(zone: str, at_utc: datetime) -> int:
    """Local time minus UTC at one moment, in minutes.

    Example:
        >>> offset_minutes_at("Europe/London", datetime(2013, 7, 1))
        60
    """
    return _offset_minutes(ZoneInfo(zone), at_utc)


def is_fixed(zone: str) -> bool:
    """Whether the zone never changed its offset between 1970 and 2040.

    Example:
        >>> is_fixed("UTC"), is_fixed("Europe/Berlin")
        (True, False)
    """
    return len(transitions(zone)) == 1


def expected_intervals(zone: str, day: date, interval_minutes: int) -> int:
    """How many intervals the local day has: 46, 48 or 50 half-hours in zones with summer time.

    Example:
        >>> [expected_intervals("Europe/London", date(2013, m, d), 30) for m, d in ((3, 31), (6, 1), (10, 27))]
        [46, 48, 50]
    """
    tz = ZoneInfo(zone)
    start = datetime(day.year, day.month, day.day, tzinfo=tz).astimezone(UTC)
    following = day + timedelta(days=1)
    end = datetime(following.year, following.month, following.day, tzinfo=tz).astimezone(UTC)
    return int((end - start) / timedelta(minutes=interval_minutes))
