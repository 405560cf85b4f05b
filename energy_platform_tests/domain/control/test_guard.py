from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from energy_platform.domain.control.commands import Command
from energy_platform.domain.control.devices import Action, Device, ShutOff, SiteDevices
from energy_platform.domain.control.dialects import payload
from energy_platform.domain.control.guard import Circumstances, Latch, Rule, refusal
from energy_platform.domain.control.spikes import SpikeWatch

NOW = datetime(2024, 6, 1, 12)


def device(name: str, channel: str, **said) -> Device:
    return Device(device_id=name, site_id="home", meter_id="esp32", channel=channel, topic="esp32/sub", **said)


MAIN, FRIDGE, HEATER = device("main", "main"), device("fridge", "dev1", protected=True), device("heater", "dev2")
UNFED = [MAIN, HEATER]


def asked(of: Device, action: Action = Action.OFF, *, lives: float = 60, is_shut_off: bool = False) -> Command:
    expires = NOW + timedelta(seconds=lives)
    return Command("c1", of.device_id, "home", action, "key:1", "a test", NOW, expires, is_shut_off)


def rule(command: Command, of: Device, devices=UNFED, killed=None, **found) -> Rule | None:
    why = refusal(command, of, Circumstances(devices, killed or {}, **found), now_utc=NOW)
    return None if why is None else why.rule


def test_what_breaks_no_rule_is_allowed():
    assert rule(asked(HEATER), HEATER) is None
    assert rule(asked(FRIDGE, Action.ON), FRIDGE) is None


def test_an_expired_request_and_one_that_lives_for_hours_are_refused():
    assert rule(asked(HEATER, lives=0), HEATER) is Rule.EXPIRED
    assert rule(asked(HEATER, lives=3_601), HEATER) is Rule.LIVES_TOO_LONG


def test_a_protected_device_is_not_switched_off_nor_is_what_feeds_it():
    assert rule(asked(FRIDGE), FRIDGE) is Rule.PROTECTED
    assert rule(asked(MAIN), MAIN, [MAIN, FRIDGE, HEATER]) is Rule.PROTECTED
    assert rule(asked(MAIN), MAIN, UNFED) is None


def test_the_automatic_shut_off_may_take_what_is_protected_along_but_not_pass_the_kill_switch():
    trip = asked(MAIN, is_shut_off=True)
    latch = Latch("esp32", "spike", NOW)
    assert rule(trip, MAIN, [MAIN, FRIDGE], latch=latch, switched_at_utc=[NOW] * 99) is None
    assert rule(trip, MAIN, [MAIN], killed={"home": "works"}) is Rule.KILL_SWITCH


@pytest.mark.parametrize(("scope", "expected"), [("*", Rule.KILL_SWITCH), ("home", Rule.KILL_SWITCH), ("other", None)])
def test_the_kill_switch_stops_everything_in_its_scope(scope, expected):
    assert rule(asked(HEATER), HEATER, killed={scope: "works"}) is expected


def test_a_latched_meter_is_not_switched_on_by_anybody():
    latch = Latch("esp32", "spike", NOW)
    assert rule(asked(HEATER, Action.ON), HEATER, latch=latch) is Rule.LATCHED
    assert rule(asked(HEATER, Action.OFF), HEATER, latch=latch) is None


def test_a_device_that_cannot_is_not_told_to():
    lamp = device("lamp", "dev2", capabilities=("off",))
    assert rule(asked(lamp, Action.ON), lamp) is Rule.NOT_CAPABLE


@given(st.lists(st.integers(0, 7_200), max_size=30), st.integers(1, 10))
def test_a_device_is_switched_no_more_often_an_hour_than_declared(ages, most):
    limited = device("heater", "dev2", switchings_per_hour=most)
    times = [NOW - timedelta(seconds=age) for age in ages]
    within = sum(age < 3_600 for age in ages)
    assert rule(asked(limited), limited, switched_at_utc=times) is (Rule.RATE_LIMIT if within >= most else None)


def test_a_single_high_sample_trips_nothing_and_enough_of_the_last_ones_do():
    def trips(volts):
        watch = SpikeWatch(ShutOff(samples=3, of=5))
        return [watch.add(NOW + timedelta(seconds=number), value) for number, value in enumerate(volts)]

    assert not any(trips([240, 310, 240, 240, 240, 240, 310, 240]))
    assert trips([310, 240, 310, 240, 310]) == [False] * 4 + [True]
    assert not any(trips([300.0] * 10)), "300 V is not above 300 V"


@given(st.lists(st.booleans(), max_size=60), st.integers(2, 6), st.integers(0, 4))
def test_a_spike_is_confirmed_exactly_when_counting_says_so(high, samples, more):
    rule = ShutOff(samples=samples, of=samples + more)
    watch = SpikeWatch(rule)
    for number, is_high in enumerate(high):
        found = watch.add(NOW + timedelta(milliseconds=number), 310.0 if is_high else 240.0)
        window = high[max(0, number + 1 - rule.of) : number + 1]
        assert found is (is_high and sum(window) >= samples)


def test_old_samples_do_not_count():
    watch = SpikeWatch(ShutOff(samples=2, of=5, within_seconds=10))
    assert [watch.add(NOW + timedelta(seconds=at), 310) for at in (0, 11, 20)] == [False, False, True]


def test_the_esp32_is_told_in_its_dialect_and_others_with_id_and_expiry():
    assert payload(MAIN, asked(MAIN)) == b'{"message": "mainoff"}'
    other = device("lamp", "dev2", protocol="structured")
    told = json.loads(payload(other, asked(other)))
    assert told["command_id"] == "c1"
    assert told["expires_at"] == "2024-06-01T12:01:00.000Z"
    assert (told["channel"], told["action"]) == ("dev2", "off")


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"channel": "kitchen"}, "main, dev1, dev2"),
        ({"channel": "main", "capabilities": ["on"], "shut_off": {}}, "needs the capability off"),
        ({"channel": "main", "shut_off": {"samples": 9}}, "can never be"),
        ({"channel": "main", "topic": "esp32/#"}, "topic"),
        ({"channel": "main", "colour": "red"}, "colour"),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused(said, match):
    with pytest.raises(ValidationError, match=match):
        Device(**{"device_id": "d", "site_id": "home", "meter_id": "esp32", "topic": "t"} | said)


def test_a_site_declares_each_relay_once():
    with pytest.raises(ValidationError, match="declared twice"):
        SiteDevices(site_id="home", devices=(MAIN, device("again", "main")))
