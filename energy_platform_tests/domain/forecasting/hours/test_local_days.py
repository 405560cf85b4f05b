"""From UTC half hours to days of the wall clock and back."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_platform.domain.forecasting.hours.local_days import Calendar, intervals_ahead
from energy_platform_tests.domain.forecasting.hours.fleet_builders import known, make_half_hours, midnight_utc

SPRING, AUTUMN = date(2013, 3, 31), date(2013, 10, 27)


@pytest.mark.parametrize(("day", "half_hours"), [(SPRING, 46), (AUTUMN, 50), (date(2013, 7, 1), 48)])
def test_a_local_day_has_46_48_or_50_half_hours_ahead(day: date, half_hours: int) -> None:
    rows = intervals_ahead(day, time_zone="Europe/London", interval_minutes=30)
    first = rows.filter(pl.col("day") == 0)
    assert first.height == half_hours
    assert rows.filter(pl.col("day") == 1).height == 48
    assert rows["lead_hours"].to_list() == [half / 2 for half in range(half_hours + 48)]
    assert rows["interval_start_utc"][0] == midnight_utc(day)


def test_no_slot_of_the_hour_that_spring_skips_is_ahead_and_autumns_comes_twice() -> None:
    spring = intervals_ahead(SPRING, time_zone="Europe/London", interval_minutes=30).filter(pl.col("day") == 0)
    assert set(range(48)) - set(spring["slot"]) == {2, 3}
    autumn = intervals_ahead(AUTUMN, time_zone="Europe/London", interval_minutes=30).filter(pl.col("day") == 0)
    assert [slot for slot in autumn["slot"] if slot in (2, 3)] == [2, 3, 2, 3]


@pytest.mark.parametrize("clock_change", [SPRING, AUTUMN])
def test_the_evening_peak_stays_at_its_wall_clock_time_over_a_clock_change(clock_change: date) -> None:
    half_hours = make_half_hours(first_day=clock_change - timedelta(days=10), days=20, noise=0.0)
    days = known(half_hours, clock_change + timedelta(days=10), interval_minutes=30)
    assert set(days.kwh_per_meter.argmax(axis=1)) == {36}
    assert days.is_known.all()


def test_the_hour_that_comes_twice_is_the_mean_of_both_and_the_skipped_one_is_last_weeks() -> None:
    half_hours = make_half_hours(first_day=AUTUMN - timedelta(days=8), days=9, noise=0.0)
    second = datetime(2013, 10, 27, 1, 0)
    doubled = half_hours.with_columns(
        energy_kwh=pl.when(pl.col("interval_start_utc") == second).then(3.0).otherwise("energy_kwh")
    )
    once = half_hours.filter(pl.col("interval_start_utc") == datetime(2013, 10, 27, 0, 0))["energy_kwh"][0]
    days = known(doubled, AUTUMN + timedelta(days=1), interval_minutes=30)
    assert days.kwh_per_meter[-1, 2] == pytest.approx((once + 3.0) / 20)
    spring = known(
        make_half_hours(first_day=SPRING - timedelta(days=8), days=9, noise=0.02),
        SPRING + timedelta(days=1),
        interval_minutes=30,
    )
    assert (spring.kwh_per_meter[-1, 2:4] == spring.kwh_per_meter[-8, 2:4]).all()


def test_hours_are_the_sum_of_their_half_hours() -> None:
    half_hours = make_half_hours(days=3)
    by_half = known(half_hours, date(2013, 1, 10), interval_minutes=30).kwh_per_meter
    by_hour = known(half_hours, date(2013, 1, 10), interval_minutes=60).kwh_per_meter
    np.testing.assert_allclose(by_hour, by_half.reshape(3, 24, 2).sum(axis=2))


def test_hours_of_a_zone_half_an_hour_off_are_those_of_its_wall_clock() -> None:
    half_hours = make_half_hours(days=3, time_zone="Asia/Kolkata", noise=0.0)
    days = known(half_hours, date(2013, 1, 10), time_zone="Asia/Kolkata")
    assert days.days == 3
    assert days.is_known.all()
    ahead = intervals_ahead(date(2013, 1, 10), time_zone="Asia/Kolkata", interval_minutes=60)
    assert ahead["slot"].to_list() == list(range(24)) * 2


@given(joining=st.integers(1, 50), at=st.integers(20, 100))
@settings(max_examples=25, deadline=None)
def test_meters_that_join_change_what_is_expected_and_not_the_mean(joining: int, at: int) -> None:
    half_hours = make_half_hours(days=6, noise=0.0)
    factor = pl.when(pl.int_range(pl.len()) >= at).then(1 + joining / 10).otherwise(1.0)
    grown = half_hours.with_columns(
        energy_kwh=pl.col("energy_kwh") * factor, meters=(pl.col("meters") * factor).round().cast(pl.Int64)
    )
    before, after = (known(rows, date(2013, 1, 13), interval_minutes=30) for rows in (half_hours, grown))
    np.testing.assert_allclose(after.kwh_per_meter, before.kwh_per_meter)
    assert (before.expected_meters(), after.expected_meters()) == (10, 10 + joining)


def test_a_day_on_which_few_meters_report_is_unknown_and_takes_last_weeks_values() -> None:
    half_hours = make_half_hours(days=9)
    last = pl.col("interval_start_utc") >= datetime(2013, 1, 15)
    late = half_hours.with_columns(
        energy_kwh=pl.when(last).then(9.0).otherwise("energy_kwh"), meters=pl.when(last).then(3).otherwise("meters")
    )
    days = known(late, date(2013, 1, 16))
    assert days.is_known.tolist() == [True] * 8 + [False]
    assert (days.kwh_per_meter[-1] == days.kwh_per_meter[-8]).all()
    assert days.expected_meters() == 10


def test_gaps_are_filled_from_the_past_and_a_day_with_many_is_not_known() -> None:
    half_hours = make_half_hours(days=16, noise=0.1)
    here = pl.col("interval_start_utc").is_between(datetime(2013, 1, 21, 6), datetime(2013, 1, 21, 12), closed="left")
    days = known(half_hours.filter(~here), date(2013, 1, 23))
    assert (days.kwh_per_meter[14, 6:12] == days.kwh_per_meter[7, 6:12]).all()
    assert not days.is_known[14]
    assert days.is_known.sum() == 15


def test_nothing_from_the_cutoff_on_is_looked_at() -> None:
    half_hours = make_half_hours(days=20)
    later = pl.col("interval_start_utc") >= midnight_utc(date(2013, 1, 20))
    other = half_hours.with_columns(
        energy_kwh=pl.when(later).then(1e9).otherwise("energy_kwh"), meters=pl.when(later).then(1).otherwise("meters")
    )
    one, two = known(half_hours, date(2013, 1, 20)), known(other, date(2013, 1, 20))
    assert one.kwh_per_meter.tobytes() == two.kwh_per_meter.tobytes()
    assert one.before(date(2013, 1, 20)).days == one.days == 13


def test_a_days_temperature_is_the_mean_of_its_local_hours_and_unknown_with_less_than_18() -> None:
    hours = pl.datetime_range(datetime(2013, 7, 1), datetime(2013, 7, 4), "1h", closed="left", eager=True)
    weather = pl.DataFrame({"observed_at_utc": hours}).with_columns(
        temperature_c=pl.when(pl.col("observed_at_utc") < datetime(2013, 7, 1, 23)).then(10.0).otherwise(20.0)
    )
    half_hours = make_half_hours(first_day=date(2013, 6, 30), days=4)
    missing = weather.filter(~pl.col("observed_at_utc").is_between(datetime(2013, 7, 3), datetime(2013, 7, 3, 8)))
    days = known(half_hours, date(2013, 7, 4), weather=missing)
    np.testing.assert_allclose(days.temperature_c, [np.nan, 10.0, 20.0, np.nan])


def test_a_fleet_without_readings_before_the_cutoff_has_no_days() -> None:
    assert known(make_half_hours(days=3), date(2013, 1, 1)).days == 0


def test_people_live_on_holidays_like_on_sundays_and_on_the_last_working_days_of_a_year_like_on_saturdays() -> None:
    # From Saturday 21 December 2013: 25, 26 December and 1 January are holidays.
    kind = Calendar.of("GB-ENG", date(2013, 12, 21), 13).kind
    assert kind.tolist() == [5, 6, 0, 5, 6, 6, 5, 5, 6, 5, 5, 6, 3]
