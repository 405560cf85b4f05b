from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from energy_platform.adapters.control_files import load_devices
from energy_platform.adapters.operations import Operations
from energy_platform.adapters.operations.commands import (
    advance,
    find_command,
    list_commands,
    open_commands,
    request_command,
)
from energy_platform.adapters.operations.control_log import keep_for_good, log_entries
from energy_platform.adapters.operations.devices import (
    clear_latch,
    get_device,
    latches,
    list_devices,
    open_latch,
    register_devices,
    release_kill_switch,
    throw_kill_switch,
)
from energy_platform.domain.control.commands import Command, CommandState, sent
from energy_platform.domain.control.devices import Action
from energy_platform.domain.errors import CommandConflict, DeclarationInvalid, DeviceNotFound

NOW = datetime(2024, 6, 1, 12)
HOME = """
site_id: home
devices:
  - {device_id: home-main, meter_id: esp32, channel: main, topic: esp32/sub, shut_off: {above_v: 300}}
  - {device_id: lamp, meter_id: esp32, channel: dev1, topic: esp32/sub, capabilities: [on, off], switchings_per_hour: 2}
  - {device_id: fridge, meter_id: kitchen, channel: dev2, topic: k/sub, protected: true}
"""


@pytest.fixture
def operations(tmp_path):
    with Operations.open(f"sqlite:///{tmp_path}/operations.db") as store:
        keep_for_good(store)
        (tmp_path / "home.yml").write_text(HOME)
        register_devices(store, load_devices(tmp_path / "home.yml"), actor="test", now_utc=NOW)
        yield store


def ask(operations, command_id="c1", device_id="lamp", action=Action.OFF, requester="key:1", now=NOW):
    expires = now + timedelta(seconds=60)
    asked = Command(command_id, device_id, "home", action, requester, "a test", now, expires)
    return request_command(operations, asked, now_utc=now)


def states(operations, command_id):
    return [entry.became for entry in log_entries(operations, subject=command_id)]


def test_a_declared_site_is_what_is_registered_and_what_is_left_out_is_gone(operations, tmp_path):
    assert [device.device_id for device in list_devices(operations)] == ["fridge", "home-main", "lamp"]
    lines = [line for line in HOME.splitlines() if "lamp" not in line]
    (tmp_path / "home.yml").write_text("\n".join(lines))
    assert register_devices(operations, load_devices(tmp_path / "home.yml"), actor="test", now_utc=NOW) == ["lamp"]
    with pytest.raises(DeviceNotFound):
        get_device(operations, "lamp")
    with pytest.raises(DeviceNotFound):
        ask(operations)


def test_a_device_of_another_site_is_not_taken_over(operations, tmp_path):
    (tmp_path / "other.yml").write_text(HOME.replace("site_id: home", "site_id: other"))
    with pytest.raises(DeclarationInvalid, match="belongs to the site 'home'"):
        register_devices(operations, load_devices(tmp_path / "other.yml"), actor="test", now_utc=NOW)


def test_a_wrong_file_is_an_error_that_names_file_and_field(tmp_path):
    (tmp_path / "bad.yml").write_text(HOME.replace("dev1", "kitchen"))
    with pytest.raises(
        DeclarationInvalid, match=r"bad.yml, line \d+: field 'devices.1': an esp32 meter has the channels"
    ):
        load_devices(tmp_path / "bad.yml")


def test_a_request_is_kept_and_every_step_is_in_the_trail(operations):
    command, was_known = ask(operations)
    assert (command.state, was_known) == (CommandState.REQUESTED, False)
    after = sent(command, now_utc=NOW)
    assert advance(operations, command, after, now_utc=NOW, actor="test")
    assert find_command(operations, "c1") == after
    assert states(operations, "c1") == ["requested", "sent"]


def test_of_two_that_move_a_command_on_one_does(operations):
    command, _ = ask(operations)
    after = sent(command, now_utc=NOW)
    assert [advance(operations, command, after, now_utc=NOW, actor="test") for _ in range(2)] == [True, False]
    assert states(operations, "c1") == ["requested", "sent"]


def test_a_replayed_identifier_does_nothing_again_and_another_request_under_it_is_a_conflict(operations):
    first, _ = ask(operations)
    again, was_known = ask(operations, now=NOW + timedelta(minutes=5))
    assert (again, was_known) == (first, True)
    for other in ({"action": Action.ON}, {"device_id": "home-main"}, {"requester": "key:2"}):
        with pytest.raises(CommandConflict):
            ask(operations, **other)
    assert len(list_commands(operations)) == 1


def test_the_protected_list_the_rate_limit_and_the_kill_switch_refuse_and_the_trail_says_so(operations):
    assert "never switched off" in ask(operations, "c0", "fridge")[0].detail
    for number in (1, 2):
        command, _ = ask(operations, f"c{number}")
        assert advance(operations, command, sent(command, now_utc=NOW), now_utc=NOW, actor="test")
    assert "2 switchings of lamp within the hour" in ask(operations, "c3")[0].detail
    assert ask(operations, "c4", now=NOW + timedelta(minutes=61))[0].state is CommandState.REQUESTED
    throw_kill_switch(operations, "home", reason="works", actor="test", now_utc=NOW)
    assert "kill_switch" in ask(operations, "c5", "home-main")[0].detail
    assert release_kill_switch(operations, "home", reason="done", actor="test", now_utc=NOW)
    assert ask(operations, "c6", "home-main")[0].state is CommandState.REQUESTED
    assert states(operations, "c3") == ["refused"]
    assert states(operations, "home") == ["thrown", "released"]


def test_of_many_requests_at_once_one_stays_open_and_no_command_is_lost(operations):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: ask(operations, f"c{number}"), range(16)))
    (left,) = open_commands(operations)
    others = [command for command in list_commands(operations) if command != left]
    assert len(others) == 15
    assert all(command.detail.startswith("overtaken by c") for command in others)


def test_a_newer_command_takes_the_place_of_an_older_one_of_its_device(operations):
    ask(operations, "c1", action=Action.OFF)
    ask(operations, "c2", action=Action.ON)
    assert [command.command_id for command in open_commands(operations)] == ["c2"]
    assert find_command(operations, "c1").detail == "overtaken by c2"


def test_a_latch_is_opened_once_and_holds_until_it_is_cleared(operations):
    main = get_device(operations, "home-main")
    assert [open_latch(operations, main, cause="spike", now_utc=NOW) for _ in range(2)] == [True, False]
    assert "waits for a person" in ask(operations, "c1", action=Action.ON)[0].detail
    assert clear_latch(operations, main, reason="looked at", actor="cli:me", now_utc=NOW)
    assert latches(operations) == {}
    assert ask(operations, "c2", action=Action.ON)[0].is_open
    assert states(operations, "esp32") == ["latched", "cleared"]


def test_pages_of_commands_follow_each_other(operations):
    for number in range(5):
        ask(operations, f"c{number}", "home-main", now=NOW + timedelta(seconds=number // 2))
    page = list_commands(operations, limit=2)
    rest = list_commands(operations, before=(page[-1].requested_at_utc, page[-1].command_id))
    assert [command.command_id for command in page + rest] == ["c4", "c3", "c2", "c1", "c0"]
    assert list_commands(operations, sites=["elsewhere"]) == []


@pytest.mark.parametrize("statement", ["UPDATE control_log SET actor = 'nobody'", "DELETE FROM control_log"])
def test_the_database_refuses_to_change_the_trail(operations, statement):
    with pytest.raises(sa.exc.IntegrityError, match="append-only"), operations.engine.begin() as connection:
        connection.exec_driver_sql(statement)
    assert len(log_entries(operations)) == 3


def test_a_command_read_back_is_the_one_that_was_written(operations):
    command, _ = ask(operations)
    assert find_command(operations, "c1") == replace(command)
    assert find_command(operations, "c9") is None
