"""Who is told, and when the night is over."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_platform.domain.alerts import Severity, Signal, Subject
from energy_platform.domain.alerts.episodes import acknowledge, advance
from energy_platform.domain.alerts.routing import QuietHours, Route, Routing, after_quiet_hours, notices

NIGHT = datetime(2024, 7, 1, 22, 30)  # 23:30 in London
CHANNELS = ["mail", "oncall", "slack"]
QUIET = QuietHours(starts="22:00", ends="07:00")


def opened(severity=Severity.WARNING, site="home-7", rule="spike"):
    subject = Subject.of_channel("m", "main", site_id=site)
    return advance(None, Signal(rule, severity, subject, True, NIGHT, "title", "text"), now_utc=NIGHT)


def told(change, routing, zone="Europe/London"):
    found = notices(change.step, change.episode, routing, channels=CHANNELS, zone=zone, now_utc=NIGHT)
    return {notice.channel: notice.not_before_utc for notice in found}


def test_the_first_route_that_fits_a_site_a_rule_and_a_severity_counts():
    routing = Routing(
        routes=[
            Route(sites=["home-7"], severities=["critical"], channels=["oncall"]),
            Route(rules=["spike"], channels=["mail", "unknown"]),
            Route(channels="all"),
        ]
    )
    assert set(told(opened(Severity.CRITICAL), routing)) == {"oncall"}
    assert set(told(opened(), routing)) == {"mail"}
    assert set(told(opened(rule="other"), routing)) == set(CHANNELS)
    assert told(opened(), Routing(routes=[Route(sites=["elsewhere"])])) == {}


def test_at_night_only_what_is_critical_goes_out_and_the_rest_in_the_morning_of_the_site():
    routing = Routing(quiet_hours=QUIET)
    assert set(told(opened(Severity.CRITICAL), routing).values()) == {NIGHT}
    assert set(told(opened(), routing).values()) == {datetime(2024, 7, 2, 6)}
    assert set(told(opened(), routing, zone="Asia/Kolkata").values()) == {datetime(2024, 7, 2, 1, 30)}
    assert set(told(opened(), routing, zone=None).values()) == {datetime(2024, 7, 2, 7)}


def test_what_a_person_says_is_told_to_nobody():
    minded = acknowledge(opened().episode, by="me", at_utc=NIGHT)
    assert notices(minded.step, minded.episode, Routing(), channels=CHANNELS, zone=None, now_utc=NIGHT) == []
    assert notices(None, minded.episode, Routing(), channels=CHANNELS, zone=None, now_utc=NIGHT) == []


def test_a_step_has_one_delivery_key_a_channel():
    change = opened()
    keys = [
        notice.delivery_key
        for _ in range(2)
        for notice in notices(change.step, change.episode, Routing(), channels=CHANNELS, zone=None, now_utc=NIGHT)
    ]
    assert keys[:3] == keys[3:]
    assert len(set(keys)) == 3


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),
    st.times(),
    st.times(),
    st.sampled_from(["Europe/London", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_a_message_waits_less_than_a_day_and_an_hour_and_is_never_early(now, starts, ends, zone):
    quiet = QuietHours(starts=starts, ends=ends)
    due = after_quiet_hours(quiet, zone, now)
    assert now <= due < now + timedelta(hours=25)
    if due > now:
        local = due.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
        # In the hour that a clock change leaves out, the end of the night is an hour later on the clock.
        assert local.time() == ends or local.utcoffset() != (local - timedelta(hours=3)).utcoffset()


@pytest.mark.parametrize(("hour", "waits"), [(21, False), (22, True), (6, True), (7, False)])
def test_quiet_hours_begin_with_their_first_minute_and_end_with_their_last(hour, waits):
    now = datetime(2024, 1, 10, hour)
    assert (after_quiet_hours(QUIET, "UTC", now) > now) == waits


def test_in_the_hour_that_comes_twice_a_message_waits_for_the_end_of_the_night_that_is_still_to_come():
    quiet = QuietHours(starts="22:00", ends="01:30")
    second_time_0110 = datetime(2024, 10, 27, 1, 10)
    assert after_quiet_hours(quiet, "Europe/London", second_time_0110) == datetime(2024, 10, 27, 1, 30)
