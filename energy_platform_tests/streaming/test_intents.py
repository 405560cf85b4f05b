from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pytest

from energy_platform.adapters.operations import Operations
from energy_platform.adapters.operations.commands import advance, list_commands, open_commands
from energy_platform.adapters.operations.devices import register_devices, throw_kill_switch
from energy_platform.adapters.operations.intents import KnownReplay, keep_replay, list_days
from energy_platform.adapters.operations.live import write_live
from energy_platform.domain.control.commands import read_back, sent
from energy_platform.domain.control.devices import Action, Device, SiteDevices
from energy_platform.domain.errors import DeclarationInvalid, IntentNotReplayed
from energy_platform.domain.intents.expected import Expected, expected_ahead
from energy_platform.domain.live import Series
from energy_platform.domain.live import advance as advance_live
from energy_platform.streaming.intents import IntentRunner, expect_may_act
from energy_platform_tests.domain.intents.builders import MONDAY, days, intent

FIVE = datetime(2024, 6, 3, 16, 0)  # 17:00 in London
GOAL = intent(devices=[{"channel": "heater", "device_id": "heater", "kind": "shift", "most_minutes_off": 120}])
EXPECTED = Expected(np.full(96, 0.5), {"heater": 0.25}, 5)


def device(**said) -> Device:
    return Device(
        **{"device_id": "heater", "site_id": "home", "meter_id": "esp32", "channel": "dev1", "topic": "t"} | said
    )


def replayed(operations, goal=GOAL):
    keep_replay(operations, KnownReplay(goal.digest, goal.name, date(2024, 5, 1), date(2024, 5, 31), "g", {}, FIVE))


class Evening:
    """A house of 1 kW and a heater of 1 kW; commands are carried out at once."""

    def __init__(self, operations, goal=GOAL):
        self.operations, self.goal, self.now, self.is_on, self.expected = operations, goal, FIVE, True, EXPECTED
        self.restart()

    def restart(self):
        devices = expect_may_act(self.operations, self.goal, path="goal.yml")
        self.runner = IntentRunner(self.operations, self.goal, devices, "Europe/London", lambda _: self.expected)

    def tell(self):
        """The meter sends."""
        for channel, va in (("main", 2_000.0 if self.is_on else 1_000.0), ("dev1", 1_000.0 if self.is_on else 0.0)):
            stamp = int((self.now - datetime(1970, 1, 1)).total_seconds() * 1_000_000)
            series = Series("esp32", channel, "apparent_power_va", "VA", "electricity", [stamp], [va])
            value = advance_live(None, series, received_at_utc=self.now).value
            with self.operations.engine.begin() as connection:
                write_live(connection, [value], [], {})

    def pass_time(self, minutes=15, *, tells=True):
        if tells:
            self.tell()
        self.runner.turn(self.now)
        for command in open_commands(self.operations):
            under_way = sent(command, now_utc=self.now)
            done = read_back(under_way, is_on=command.action is Action.ON, measured_at_utc=self.now, now_utc=self.now)
            advance(self.operations, command, under_way, now_utc=self.now, actor="test")
            advance(self.operations, under_way, done, now_utc=self.now, actor="test")
            self.is_on = command.action is Action.ON
        self.now += timedelta(minutes=minutes)

    def asked(self):
        return [
            (command.action.value, command.requested_at_utc) for command in reversed(list_commands(self.operations))
        ]


@pytest.fixture
def operations(tmp_path):
    with Operations.open(f"sqlite:///{tmp_path}/operations.db") as store:
        supply = device(device_id="supply", channel="main")
        register_devices(store, SiteDevices(site_id="home", devices=(supply, device())), actor="test", now_utc=FIVE)
        yield store


def test_an_intent_that_was_not_replayed_as_it_stands_may_not_act(operations):
    with pytest.raises(IntentNotReplayed, match=r"energy intents replay goal\.yml"):
        expect_may_act(operations, GOAL, path="goal.yml")
    replayed(operations, intent(reduce_percent=11))
    with pytest.raises(IntentNotReplayed):
        expect_may_act(operations, GOAL, path="goal.yml")
    replayed(operations)
    assert expect_may_act(operations, GOAL, path="goal.yml")["heater"].device_id == "heater"


@pytest.mark.parametrize(
    ("said", "match"), [({"protected": True}, "is protected"), ({"site_id": "other"}, "belongs to")]
)
def test_an_intent_does_not_act_on_what_is_protected_or_elsewhere(operations, said, match):
    site = said.get("site_id", "home")
    register_devices(
        operations, SiteDevices(site_id=site, devices=(device(device_id="it", **said),)), actor="test", now_utc=FIVE
    )
    goal = intent(devices=[{"channel": "heater", "device_id": "it"}])
    replayed(operations, goal)
    with pytest.raises(DeclarationInvalid, match=match):
        expect_may_act(operations, goal, path="goal.yml")


def test_an_evening_is_held_below_its_goal_and_everything_is_given_back(operations):
    replayed(operations)
    evening = Evening(operations)
    for _ in range(20):
        evening.pass_time()
    (outcome,) = list_days(operations)
    assert (outcome.expected_kwh, outcome.target_kwh) == pytest.approx((8.0, 7.2))
    assert outcome.is_over
    assert outcome.is_met
    assert 5.0 < outcome.used_kwh <= 7.2
    asked = evening.asked()
    assert [action for action, _ in asked] == ["off", "on"] * (len(asked) // 2)
    assert evening.is_on
    assert {command.requester for command in list_commands(operations)} == {"intent:evenings"}


def test_a_process_that_starts_again_goes_on_and_asks_for_nothing_twice(operations):
    replayed(operations)
    evening = Evening(operations)
    for _ in range(20):
        evening.restart()
        evening.pass_time(minutes=7)
        evening.restart()
        evening.pass_time(minutes=8)
    (outcome,) = list_days(operations)
    assert outcome.is_over
    assert outcome.is_met
    assert [action for action, _ in evening.asked()][:2] == ["off", "on"]
    assert evening.is_on


def test_what_was_left_off_on_an_earlier_day_is_given_back(operations):
    replayed(operations)
    evening = Evening(operations)
    evening.pass_time()
    assert not evening.is_on
    evening.now = FIVE + timedelta(hours=20)
    evening.restart()
    evening.pass_time(tells=False)
    assert evening.is_on
    assert list_days(operations)[0].is_over


def test_without_a_present_or_an_expectation_nothing_is_planned(operations):
    replayed(operations)
    evening = Evening(operations)
    evening.tell()
    evening.now += timedelta(minutes=6)
    evening.pass_time(tells=False)
    assert "not known now" in evening.runner.problem
    evening.expected = None
    evening.restart()
    evening.pass_time()
    assert "too few whole days" in evening.runner.problem
    assert evening.asked() == []


def test_the_kill_switch_stops_an_intent_too(operations):
    replayed(operations)
    throw_kill_switch(operations, "home", reason="works", actor="test", now_utc=FIVE)
    evening = Evening(operations)
    for _ in range(4):
        evening.pass_time()
    assert evening.is_on
    assert {command.state.value for command in list_commands(operations)} == {"refused"}


def test_days_on_which_it_acted_do_not_tell_what_to_expect():
    load, goal = days(10), intent()
    ahead = MONDAY + timedelta(days=11)
    before = expected_ahead(load, ahead, goal)
    load.total_kwh[8] = 0.0
    assert (expected_ahead(load, ahead, goal, acted={MONDAY + timedelta(days=8)}).total_kwh == before.total_kwh).all()
    assert (expected_ahead(load, ahead, goal).total_kwh < before.total_kwh).all()
