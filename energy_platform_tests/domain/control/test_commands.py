from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_platform.domain.control.commands import (
    OPEN,
    Command,
    CommandState,
    Patience,
    give_up,
    may_be_sent,
    overtake,
    read_back,
    refuse,
    sent,
)
from energy_platform.domain.control.devices import Action

NOW = datetime(2024, 6, 1, 12)
PATIENCE = Patience(seconds=10, attempts=3)


def asked(**changes) -> Command:
    command = Command(
        command_id="c1",
        device_id="heater",
        site_id="home",
        action=Action.OFF,
        requester="key:1",
        reason="a test",
        requested_at_utc=NOW,
        expires_at_utc=NOW + timedelta(seconds=60),
    )
    return replace(command, **changes)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def confirmed_at(command: Command, seconds: float, *, is_on: bool = False) -> Command:
    return read_back(command, is_on=is_on, measured_at_utc=after(seconds), now_utc=after(seconds))


def test_telemetry_after_the_sending_confirms_a_command():
    command = sent(asked(), now_utc=after(1))
    assert confirmed_at(command, 0.5) is command, "a sample from before the sending says where the relay was"
    assert confirmed_at(command, 2, is_on=True) is command
    assert confirmed_at(command, 2).state is CommandState.CONFIRMED


def test_a_command_that_was_not_sent_is_confirmed_by_nothing():
    assert confirmed_at(asked(), 2).state is CommandState.REQUESTED


def test_an_unconfirmed_command_is_sent_again_and_fails_when_it_was_sent_as_often_as_allowed():
    command = asked()
    for attempt in range(3):
        assert may_be_sent(command, now_utc=after(10 * attempt), patience=PATIENCE)
        command = sent(command, now_utc=after(10 * attempt))
        assert not may_be_sent(command, now_utc=after(10 * attempt + 9.9), patience=PATIENCE)
        assert give_up(command, now_utc=after(10 * attempt + 9.9), patience=PATIENCE) is command
    failed = give_up(command, now_utc=after(30), patience=PATIENCE)
    assert (failed.state, failed.attempts) == (CommandState.FAILED, 3)
    assert "no telemetry shows it off" in failed.detail


def test_a_command_that_could_not_be_sent_expires_and_says_why():
    expired = give_up(asked(), now_utc=after(60), patience=PATIENCE, problem="the broker is away")
    assert expired.state is CommandState.EXPIRED
    assert "the broker is away" in expired.detail
    assert give_up(asked(), now_utc=after(59), patience=PATIENCE).state is CommandState.REQUESTED


def test_nothing_is_sent_after_the_expiry():
    assert not may_be_sent(asked(), now_utc=after(60), patience=PATIENCE)
    with pytest.raises(ValueError, match="nothing is sent after that"):
        sent(asked(), now_utc=after(60))


def test_a_newer_command_ends_an_older_one():
    by = asked(command_id="c2")
    assert overtake(asked(), by, now_utc=NOW).state is CommandState.REFUSED
    assert overtake(sent(asked(), now_utc=NOW), by, now_utc=NOW).state is CommandState.FAILED


EVENTS = st.lists(
    st.tuples(st.floats(0, 30), st.sampled_from(["send", "on", "off", "late off", "time", "refuse", "overtake"])),
    max_size=30,
)


@given(EVENTS, st.integers(1, 4))
def test_whatever_happens_a_command_ends_once_and_is_sent_only_while_it_lives(events, attempts):
    patience, command, seconds = Patience(10, attempts), asked(), 0.0
    sendings: list[float] = []
    saw_it_off_after_sending = False
    for gap, event in events:
        seconds += gap
        now, before = after(seconds), command
        if event == "send" and may_be_sent(command, now_utc=now, patience=patience):
            command = sent(command, now_utc=now)
            sendings.append(seconds)
        elif event in {"on", "off"}:
            command = read_back(command, is_on=event == "on", measured_at_utc=now, now_utc=now)
            saw_it_off_after_sending |= event == "off" and bool(sendings)
        elif event == "late off":
            command = read_back(command, is_on=False, measured_at_utc=NOW - timedelta(seconds=1), now_utc=now)
        elif event == "time":
            command = give_up(command, now_utc=now, patience=patience)
        elif event == "refuse" and command.state is CommandState.REQUESTED:
            command = refuse(command, why="stopped", now_utc=now)
        elif event == "overtake" and command.is_open:
            command = overtake(command, asked(command_id="c2"), now_utc=now)
        if before.state not in OPEN:
            assert command is before
    assert command.attempts == len(sendings) <= attempts
    assert all(at < 60 for at in sendings)
    assert all(later - earlier > 9.9999 for earlier, later in pairwise(sendings))
    assert (command.ended_at_utc is None) is command.is_open
    if command.state is CommandState.CONFIRMED:
        assert saw_it_off_after_sending
    if command.state in {CommandState.EXPIRED, CommandState.REFUSED}:
        assert sendings == []
