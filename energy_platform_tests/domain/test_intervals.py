from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_platform.domain.intervals import SLOTS, expected_intervals, offset_sql, transitions

ZONES = [
    "Europe/London",
    "Europe/Lisbon",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "UTC",
]
MOMENTS = st.datetimes(datetime(1972, 2, 1), datetime(2039, 12, 31))


@pytest.mark.parametrize("zone", ZONES)
@settings(max_examples=5, deadline=None)
@given(moments=st.lists(MOMENTS, min_size=1, max_size=200))
def test_the_sql_offset_is_what_the_tz_database_says(zone: str, moments: list[datetime]) -> None:
    at_changes = [
        t.at_utc + timedelta(seconds=s) for t in transitions(zone)[1:] for s in (-1, 0) if t.at_utc.year > 1972
    ]
    moments = [*moments, *at_changes]
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT {offset_sql(zone, 't')} FROM (SELECT unnest(?) AS t)", [moments]).fetchall()
    expected = [
        int(moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).utcoffset().total_seconds() // 60)
        for moment in moments
    ]
    assert [offset for (offset,) in rows] == expected


@given(
    day=st.dates(date(1990, 1, 1), date(2039, 12, 30)), zone=st.sampled_from(ZONES), minutes=st.sampled_from([30, 60])
)
def test_no_two_intervals_of_a_local_day_share_a_bit(day: date, zone: str, minutes: int) -> None:
    start = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)
    starts = [start + timedelta(minutes=minutes * i) for i in range(expected_intervals(zone, day, minutes))]
    slots = [(int((s - datetime(1970, 1, 1)).total_seconds()) // (60 * minutes)) % SLOTS for s in starts]
    assert len(set(slots)) == len(starts)
    assert max(slots) <= 62, "bit 63 is the sign"
