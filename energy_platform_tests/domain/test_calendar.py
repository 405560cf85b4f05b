import csv
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_platform.domain.calendar import CALENDAR_FEATURES, calendar_features, calendar_of, public_holidays

DAYS = st.lists(st.dates(date(2005, 1, 1), date(2029, 12, 31)), min_size=1, max_size=20)


@settings(deadline=None)
@given(DAYS)
def test_angles_lie_on_the_unit_circle_and_weekends_on_days_6_and_7(days: list[date]) -> None:
    frame = calendar_features("GB-ENG", days)
    for sin, cos in (("weekday_sin", "weekday_cos"), ("day_of_year_sin", "day_of_year_cos")):
        assert ((frame[sin] ** 2 + frame[cos] ** 2) - 1).abs().max() < 1e-6
    assert (frame["is_weekend"] == (frame["day_of_week"] >= 6)).all()
    assert frame["local_date"].to_list() == sorted(set(days))
    assert frame.null_count().sum_horizontal().item() == 0


def test_the_days_around_a_holiday_are_marked_over_the_turn_of_the_year() -> None:
    frame = calendar_features("GB-ENG", [date(2012, 12, 31), date(2013, 1, 2)])
    assert frame["is_day_before_holiday"].to_list() == [1.0, 0.0]
    assert frame["is_day_after_holiday"].to_list() == [0.0, 1.0]


def test_subdivisions_have_their_own_holidays() -> None:
    assert date(2013, 1, 2) in public_holidays("GB-SCT", 2013)
    assert date(2013, 1, 2) not in public_holidays("GB-ENG", 2013)


def test_every_country_and_day_that_occurs_is_told_once() -> None:
    keys = pl.DataFrame(
        {"country": ["GB-ENG", "PT", "PT"], "local_date": [date(2013, 4, 25)] * 2 + [date(2013, 4, 26)]}
    )
    found = calendar_of(keys).sort("country", "local_date")
    assert found.height == 3
    assert found["is_holiday"].to_list() == [0.0, 1.0, 0.0]


def test_no_days_give_an_empty_calendar_with_all_columns() -> None:
    empty = calendar_of(pl.DataFrame(schema={"country": pl.String, "local_date": pl.Date}))
    assert empty.columns == ["country", "local_date", *CALENDAR_FEATURES]


@pytest.mark.shared_data
def test_english_holidays_are_those_of_the_public_list(shared_data: Path) -> None:
    with (shared_data / "lcl" / "uk_bank_holidays.csv").open() as lines:
        listed = [date.fromisoformat(row[0]) for row in list(csv.reader(lines))[1:] if row]
    # The list has day and month swapped wherever the day is 12 or less (Easter Monday on 4 September 2012).
    as_meant = {day.replace(month=day.day, day=day.month) if day.day <= 12 else day for day in listed}
    weekdays = {day for year in (2012, 2013) for day in public_holidays("GB-ENG", year) if day.weekday() < 5}
    assert {day for day in listed if day in weekdays} < set(listed)
    assert {day for day in as_meant | set(listed) if day in weekdays} == weekdays
