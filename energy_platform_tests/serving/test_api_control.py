from __future__ import annotations

from datetime import timedelta

import pytest

from energy_platform.adapters.operations.commands import advance, find_command
from energy_platform.adapters.operations.control_log import log_entries
from energy_platform.adapters.operations.devices import get_device, kill_switches, latches, open_latch
from energy_platform.adapters.operations.live import write_live
from energy_platform.domain.access import Role
from energy_platform.domain.control.commands import sent
from energy_platform.domain.live import Series
from energy_platform.domain.live import advance as advance_live
from energy_platform.serving.api.models import AlertDetail, AlertItem, AverageItem, CommandItem, DeviceItem, LiveItem
from energy_platform_tests.serving.api_client import LAMP_OF_ONE_SITE, NOW, ONE_SITE, Api, alerting, is_problem

LAMP, FRIDGE, SUPPLY = LAMP_OF_ONE_SITE, f"{ONE_SITE}-fridge", f"{ONE_SITE}-supply"
OFF = {"action": "off", "reason": "a test"}


@pytest.fixture
def api(published_sample, tmp_path):
    return Api(tmp_path, published_sample.place)


def ask(api, device=LAMP, **said):
    role, sites = said.pop("role", Role.OPERATOR), said.pop("sites", ())
    return api.post(f"/v1/devices/{device}/commands", OFF | said, role=role, sites=sites)


def test_a_command_is_taken_and_can_be_asked_after(api):
    answer = ask(api, command_id="c1")
    assert answer.status_code == 202
    CommandItem.model_validate(answer.json())
    assert answer.json()["requested_at_utc"] == "2026-03-04T12:00:00Z"
    command = find_command(api.operations, "c1")
    assert advance(api.operations, command, sent(command, now_utc=NOW), now_utc=NOW, actor="test")
    assert api.get("/v1/commands/c1").json()["state"] == "sent"
    assert [one["command_id"] for one in api.get(f"/v1/devices/{LAMP}/commands").json()["items"]] == ["c1"]
    assert is_problem(api.get("/v1/commands/c2"), 404)


def test_a_replayed_identifier_is_answered_and_nothing_is_done_again(api):
    ask(api, command_id="c1")
    api.now = NOW + timedelta(hours=2)
    again = ask(api, command_id="c1")
    assert (again.status_code, again.json()["requested_at_utc"]) == (200, "2026-03-04T12:00:00Z")
    other = ask(api, command_id="c1", action="on")
    assert is_problem(other, 409)
    assert other.json()["rule"] == "replayed"
    assert len(log_entries(api.operations, subject="c1")) == 1


@pytest.mark.parametrize(
    ("device", "said", "status", "rule"),
    [
        (FRIDGE, {}, 409, "protected"),
        (LAMP, {"expires_at": "2026-03-04T11:59:59Z"}, 409, "expired"),
        (LAMP, {"expires_at": "2026-03-05T12:00:00Z"}, 409, "lives_too_long"),
    ],
)
def test_what_is_not_allowed_is_refused_with_its_rule_and_stands_in_the_trail(api, device, said, status, rule):
    answer = ask(api, device, command_id="c1", **said)
    assert is_problem(answer, status)
    assert answer.json()["rule"] == rule
    assert [entry.became for entry in log_entries(api.operations, subject="c1")] == ["refused"]


def test_the_wrong_role_no_key_another_site_and_an_unknown_device_ask_for_nothing(api):
    assert is_problem(ask(api, role=Role.VIEWER), 403)
    assert is_problem(ask(api, role=Role.INGEST), 403)
    assert is_problem(api.client.post(f"/v1/devices/{LAMP}/commands", json=OFF), 401)
    assert is_problem(ask(api, "uk-home-2-lamp", sites=(ONE_SITE,)), 404)
    assert is_problem(ask(api, "no-such-device"), 404)
    assert api.get(f"/v1/devices/{LAMP}/commands").json()["items"] == []


def test_a_device_is_switched_no_more_often_than_declared(api):
    for number in range(2):
        ask(api, command_id=f"c{number}")
        command = find_command(api.operations, f"c{number}")
        advance(api.operations, command, sent(command, now_utc=NOW), now_utc=NOW, actor="test")
    answer = ask(api)
    assert is_problem(answer, 429)
    assert (answer.json()["rule"], answer.headers["retry-after"]) == ("rate_limit", "60")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"action": "explode", "reason": "x"},
        OFF | {"reason": ""},
        OFF | {"expires_at": "2026-03-04T12:00:30"},
        OFF | {"colour": 1},
    ],
)
def test_a_body_that_says_something_else_is_a_problem(api, body):
    assert is_problem(api.post(f"/v1/devices/{LAMP}/commands", body), 422)


def test_a_large_body_and_one_of_unknown_length_are_not_read(api):
    path, headers = f"/v1/devices/{LAMP}/commands", api.headers(Role.OPERATOR)
    assert is_problem(api.client.post(path, content=b" " * 70_000, headers=headers), 413)
    assert is_problem(api.client.post(path, content=(b" " for _ in range(3)), headers=headers), 411)


def test_a_latch_is_shown_holds_and_is_cleared_by_an_operator(api):
    open_latch(api.operations, get_device(api.operations, SUPPLY), cause="310 V", now_utc=NOW)
    assert api.get(f"/v1/devices/{SUPPLY}").json()["latched"] == "310 V"
    refused = ask(api, SUPPLY, action="on")
    assert is_problem(refused, 409)
    assert refused.json()["rule"] == "latched"
    assert is_problem(api.post(f"/v1/devices/{SUPPLY}/clear", {"reason": "x"}, role=Role.VIEWER), 403)
    cleared = api.post(f"/v1/devices/{SUPPLY}/clear", {"reason": "looked at"})
    assert cleared.json() == {"meter_id": "esp32-1", "was_latched": True}
    assert latches(api.operations) == {}
    assert ask(api, SUPPLY, action="on").status_code == 202


def test_the_kill_switch_stops_a_site_or_all_and_a_key_for_one_site_stops_only_that(api):
    for scope in ("*", "uk-home-2"):
        assert is_problem(api.post("/v1/kill-switches", {"scope": scope, "reason": "x"}, sites=(ONE_SITE,)), 403)
    assert api.post("/v1/kill-switches", {"scope": ONE_SITE, "reason": "works"}, sites=(ONE_SITE,)).status_code == 200
    assert ask(api).json()["rule"] == "kill_switch"
    assert ask(api, "uk-home-2-lamp").status_code == 202
    assert api.get(f"/v1/devices/{LAMP}").json()["stopped"] == f"all control of {ONE_SITE} is stopped: works"
    headers = api.headers(Role.OPERATOR)
    assert api.client.delete(f"/v1/kill-switches/{ONE_SITE}?reason=done", headers=headers).status_code == 204
    assert is_problem(api.client.delete(f"/v1/kill-switches/{ONE_SITE}?reason=done", headers=headers), 404)
    assert api.post("/v1/kill-switches", {"scope": "*", "reason": "drill"}).status_code == 200
    assert api.get("/v1/kill-switches", sites=(ONE_SITE,)).json() == [{"scope": "*", "reason": "drill"}]
    assert list(kill_switches(api.operations)) == ["*"]


def test_devices_are_listed_by_site_with_what_they_do_now(api):
    batch = Series(
        "esp32-1", "dev1", "voltage_v", "V", "electricity", [1_000_000 * n for n in range(6)], [240.0] * 5 + [0.0]
    )
    now = advance_live(None, batch, received_at_utc=NOW)
    with api.operations.engine.begin() as connection:
        write_live(connection, [now.value], now.averages, {})
    listed = api.pages("/v1/devices", 2)
    assert [device["device_id"] for device in listed] == sorted(device["device_id"] for device in listed)
    assert len(listed) == 6
    for device in listed:
        DeviceItem.model_validate(device)
    assert {device["device_id"]: device["is_on"] for device in listed}[LAMP] is False
    mine = api.get("/v1/devices", sites=(ONE_SITE,)).json()["items"]
    assert {device["site_id"] for device in mine} == {ONE_SITE}
    live = api.get("/v1/live", sites=(ONE_SITE,)).json()["items"]
    assert [(one["meter_id"], one["site_id"], one["is_on"]) for one in live] == [("esp32-1", ONE_SITE, False)]
    LiveItem.model_validate(live[0])
    (average,) = api.get("/v1/averages", meter="esp32-1").json()["items"]
    AverageItem.model_validate(average)
    assert (average["average"], average["quantity"]) == (240.0, "voltage_v")
    assert is_problem(api.get("/v1/averages", meter="esp32-2", sites=(ONE_SITE,)), 404)


def test_averages_come_a_page_at_a_time_newest_first(api):
    stamps = [1_000_000 * number for number in range(50)]
    now = advance_live(
        None, Series("m", "main", "power_kw", "kW", "gas", stamps, [float(n) for n in range(50)]), received_at_utc=NOW
    )
    with api.operations.engine.begin() as connection:
        write_live(connection, [now.value], now.averages, {})
    found = [item["average"] for item in api.pages("/v1/averages", 3, meter="m")]
    assert found == [2.0 + 5 * number for number in reversed(range(10))]


def test_alerts_are_listed_and_acknowledged_once_by_an_operator(api):
    episode = alerting(api)
    (listed,) = api.get("/v1/alerts", state=["open"]).json()["items"]
    AlertItem.model_validate(listed)
    assert (listed["episode_id"], listed["site_id"], listed["value"]) == (episode, ONE_SITE, 310.0)
    path = f"/v1/alerts/{episode}/acknowledge"
    assert is_problem(api.post(path, role=Role.VIEWER), 403)
    taken = api.post(path)
    AlertDetail.model_validate(taken.json())
    assert taken.json()["state"] == "acknowledged"
    assert taken.json()["acknowledged_by"].startswith("key:")
    assert api.post(path).json()["steps"] == taken.json()["steps"]
    assert api.get("/v1/alerts", state=["open"]).json()["items"] == []
    assert is_problem(api.post("/v1/alerts/0123456789abcdef/acknowledge"), 404)


def test_a_key_for_one_site_sees_only_the_alerts_of_that_site(api):
    mine = alerting(api)
    others = [alerting(api, "other", site) for site in ("uk-home-2", None)]
    assert [alert["episode_id"] for alert in api.get("/v1/alerts", sites=(ONE_SITE,)).json()["items"]] == [mine]
    for other in others:
        assert is_problem(api.get(f"/v1/alerts/{other}", sites=(ONE_SITE,)), 404)
        assert is_problem(api.post(f"/v1/alerts/{other}/acknowledge", sites=(ONE_SITE,)), 404)
    assert len(api.pages("/v1/alerts", 1)) == 3


def test_an_ingest_key_for_one_site_sends_readings_of_its_meters_only(api):
    row = {"interval_start": "2026-03-04T11:00:00Z", "interval_minutes": 30, "energy_kwh": 0.1}

    def send(meter):
        return api.post("/v1/readings", [row | {"meter_id": meter}], role=Role.INGEST, sites=(ONE_SITE,))

    assert send("uk-home-1-gas").status_code == 202
    refused = send("uk-home-2-electricity")
    assert is_problem(refused, 403)
    assert "nothing was taken" in refused.text
