from __future__ import annotations

from dataclasses import replace as changed
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_platform.domain.control.devices import Action
from energy_platform.domain.errors import ReplayImpossible
from energy_platform.domain.intents.expected import expected_of
from energy_platform.domain.intents.outcome import judge, replay
from energy_platform.domain.intents.replay import run_day
from energy_platform_tests.domain.intents.builders import MONDAY, days, intent, most_in_an_hour

WEEK = MONDAY + timedelta(days=7)


def one_day(load, goal, at=7):
    expected = expected_of(load, at, goal)
    return run_day(load, at, expected, goal)


def test_an_even_load_with_a_device_that_is_large_enough_meets_its_goal_and_shifts_what_it_took():
    load, goal = days(heater=1.0), intent()
    outcome = replay(load, goal, first=WEEK, last=WEEK)
    (day,) = outcome.days
    assert (day.expected_kwh, day.target_kwh, day.without_kwh) == pytest.approx((8.0, 7.2, 8.0))
    assert day.is_met
    assert not day.is_met_without
    assert day.with_kwh <= 7.2
    # It can draw no more than it ever did, and it draws that all day: nothing can come back before midnight.
    assert day.day_saved_kwh == pytest.approx(0.0)
    assert day.day_saved_pence == pytest.approx(day.removed_kwh * (30 - 20))


def test_a_shed_load_does_not_come_back():
    goal = intent(devices=[{"channel": "heater", "kind": "shed", "most_minutes_off": 120}])
    (day,) = replay(days(heater=1.0), goal, first=WEEK, last=WEEK).days
    assert day.day_saved_kwh == pytest.approx(day.removed_kwh)
    assert day.day_saved_pence == pytest.approx(day.removed_kwh * 30)


def test_a_day_that_fails_says_why():
    too_small = replay(days(heater=0.1), intent(), first=WEEK, last=WEEK)
    assert "with every device off all the time" in too_small.failed[0].why_failed
    idle = days(heater=1.0)
    idle.device_kwh["heater"][7] = 0.0
    assert replay(idle, intent(), first=WEEK, last=WEEK).failed[0].switchings == 0


def test_days_that_cannot_be_replayed_are_named_with_the_reason():
    load = days(heater=1.0)
    load.total_kwh[8, 70] = np.nan
    outcome = replay(load, intent(), first=MONDAY, last=MONDAY + timedelta(days=9))
    assert dict(outcome.left_out) == {
        MONDAY: "fewer than 3 whole days of its kind before it",
        MONDAY + timedelta(days=1): "fewer than 3 whole days of its kind before it",
        MONDAY + timedelta(days=2): "fewer than 3 whole days of its kind before it",
        MONDAY + timedelta(days=8): "1 of its slots are not fully measured",
    }
    assert {day.day.weekday() for day in outcome.days} <= {0, 1, 2, 3, 4}
    with pytest.raises(ReplayImpossible, match="fewer than 3 whole days"):
        replay(load, intent(), first=MONDAY, last=MONDAY)


@st.composite
def houses(draw):
    """A house of ragged loads, and a goal for it."""
    seed, slot_minutes = draw(st.integers(0, 2**32 - 1)), 15
    random = np.random.default_rng(seed)
    load = days(12, heater=1.0, lamp=0.5)
    shape = load.total_kwh.shape
    for name in load.device_kwh:
        load.device_kwh[name][:] = random.gamma(0.5, 0.5, shape) * (random.random(shape) < 0.7)
    load.total_kwh[:] = random.gamma(2, 0.1, shape) + sum(load.device_kwh.values())
    goal = intent(
        reduce_percent=draw(st.sampled_from([5, 20, 60])),
        switchings_per_hour=draw(st.integers(1, 6)),
        slot_minutes=slot_minutes,
        devices=[
            {"channel": "heater", "kind": "shift", "most_minutes_off": draw(st.sampled_from([15, 60, 120]))},
            {"channel": "lamp", "kind": "shed", "most_minutes_off": draw(st.sampled_from([15, 60, 120]))},
        ],
    )
    return load, goal


@settings(max_examples=40)
@given(houses())
def test_whatever_the_load_limits_hold_and_energy_is_neither_made_nor_lost(house):
    load, goal = house
    run = one_day(load, goal)
    assert most_in_an_hour(run, goal) <= goal.switchings_per_hour
    assert (run.with_kwh >= -1e-9).all()
    before = goal.window_slots.start
    assert (run.with_kwh[:before] == run.without_kwh[:before]).all()
    outcome = judge(run, goal, load, 7)
    # What is gone at midnight is what the lamp was denied; the heater's is back, or owed and counted as used.
    assert outcome.day_saved_kwh >= -1e-6
    if not any(done.switching.channel == "lamp" for done in run.switched):
        assert outcome.day_saved_kwh == pytest.approx(0, abs=1e-6)
    assert outcome.removed_kwh == pytest.approx(outcome.without_kwh - outcome.with_kwh)
    off: dict[str, int] = {}
    for done in run.switched:
        channel = done.switching.channel
        assert (done.switching.action is Action.OFF) is (channel not in off), "on and off take turns"
        if done.switching.action is Action.OFF:
            assert done.slot in goal.window_slots
            off[channel] = done.slot
        else:
            most = next(one.most_minutes_off for one in goal.devices if one.channel == channel)
            assert (done.slot - off.pop(channel)) * goal.slot_minutes <= most + 60
    assert off == {}, "everything is given back"


@settings(max_examples=25)
@given(houses(), st.integers(68, 83))
def test_the_plan_knows_nothing_of_what_comes_after_it(house, slot):
    load, goal = house
    first = one_day(load, goal)
    for array in (load.total_kwh, *load.device_kwh.values()):
        array[7, slot:] *= 3.7
        array[8:] = 99.0
    again = one_day(load, goal)
    assert [done for done in again.switched if done.slot <= slot] == [
        done for done in first.switched if done.slot <= slot
    ]


def test_what_is_expected_of_a_day_is_the_mean_of_days_of_its_kind_before_it():
    load = days(14)
    load.total_kwh[:] = np.arange(14)[:, None]
    expected = expected_of(load, 10, intent())
    # Day 10 is a Thursday: Monday to Friday of the week before, and Monday to Wednesday of its own.
    assert expected.total_kwh[0] == np.mean([0, 1, 2, 3, 4, 7, 8, 9])
    assert expected_of(load, 2, intent()) is None
    later = changed(load, total_kwh=np.where(np.arange(14)[:, None] >= 10, 1e9, load.total_kwh))
    assert (expected_of(later, 10, intent()).total_kwh == expected.total_kwh).all()
