"""`energy devices`, `energy keys` and `energy intents` as people use them, in one home."""

import json
from datetime import datetime, timedelta

import pytest
from typer.testing import CliRunner

from energy_platform.adapters.operations import Operations
from energy_platform.adapters.operations.commands import list_commands
from energy_platform.adapters.operations.devices import get_device, open_latch
from energy_platform.adapters.operations.intents import list_replays
from energy_platform.adapters.operations.key_sites import sites_of
from energy_platform.adapters.published import Published
from energy_platform.adapters.warehouse import Warehouse, create_table_sql
from energy_platform.cli import app
from energy_platform.domain.columns import TABLES
from energy_platform.domain.errors import DeviceNotFound, IntentNotReplayed, ReplayImpossible
from energy_platform_tests.conftest import using_home

HOME = """
site_id: home
devices:
  - {device_id: heater, meter_id: esp32, channel: dev1, topic: esp32/sub}
  - {device_id: fridge, meter_id: esp32, channel: dev2, topic: esp32/sub, protected: true}
"""
EVENINGS = """
description: 10 % less than expected on weekday evenings
site_id: home
reduce_percent: 10
when: {starts: "17:00", ends: "21:00"}
total_channel: main
devices: [{channel: dev1, device_id: heater, kind: shift}]
never: [dev2]
tariff: {pence_per_kwh: 20, bands: [{starts: "17:00", ends: "21:00", pence_per_kwh: 30}]}
slot_minutes: 30
"""


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home.yml").write_text(HOME)
    (tmp_path / "evenings.yml").write_text(EVENINGS)
    with using_home(tmp_path / "state") as settings, Operations.open(settings.operations_address) as operations:
        yield operations


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


def test_devices_are_registered_switched_stopped_and_every_step_is_in_the_log(home, tmp_path):
    assert "2 devices registered" in run("devices", "register", tmp_path / "home.yml")
    assert "c1: requested" in run("devices", "switch", "heater", "off", "--reason", "a test", "--command-id", "c1")
    assert "known already" in run("devices", "switch", "heater", "off", "--reason", "a test", "--command-id", "c1")
    assert "protected" in run("devices", "switch", "fridge", "off", "--reason", "a test", code=2)
    run("devices", "stop", "--reason", "works")
    assert "kill_switch" in run("devices", "switch", "heater", "on", "--reason", "a test", code=2)
    assert "STOPPED: every site: works" in run("devices", "list")
    assert "released" in run("devices", "release", "--reason", "done")
    open_latch(home, get_device(home, "heater"), cause="310 V", now_utc=datetime(2026, 1, 1))
    assert "310 V" in run("devices", "list")
    assert "may be switched on again" in run("devices", "clear", "heater", "--reason", "looked at")
    log = run("devices", "log")
    for word in ("registered", "requested", "refused", "thrown", "released", "latched", "cleared"):
        assert word in log
    assert len(list_commands(home)) == 3
    result = CliRunner().invoke(app, ["devices", "switch", "lamp", "off", "--reason", "x"])
    assert isinstance(result.exception, DeviceNotFound)


def test_a_key_can_be_for_some_sites_only(home):
    run("keys", "create", "a dashboard", "--role", "viewer", "--site", "home", "--site", "other")
    run("keys", "create", "everything", "--role", "operator")
    scoped, every = home.list_keys()
    assert sites_of(home, scoped.key_id).names == ["home", "other"]
    assert sites_of(home, every.key_id).names is None
    listed = run("keys", "list")
    assert "(home, other)" in listed
    assert "(every site)" in listed


def publish_home(settings):
    """Three weeks of half-hours: a base of 1 kW and a heater of 1 kW in the evening."""
    warehouse = Warehouse(settings.warehouse_path)
    with warehouse.transaction() as connection:
        for table in TABLES:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.schema}")
            connection.execute(create_table_sql(table))
        connection.execute("INSERT INTO lake.sites VALUES ('home', 'Europe/London', 'GB-ENG', '{}')")
        connection.execute(
            """INSERT INTO lake.files BY NAME SELECT 1 AS file_id, 'f' AS uri, 'f' AS content_sha256, 's' AS source, 1 AS bytes,
            TIMESTAMP '2024-06-01' AS landed_at_utc, TIMESTAMP '2024-06-01' AS loaded_at_utc, TIMESTAMP '2024-06-01'
            AS available_at_utc, 0 AS rows_read, 0 AS rows_accepted, 0 AS rows_rejected, 0 AS rows_duplicate,
            0 AS rows_superseding, 'loaded' AS status"""
        )
        for number, channel in enumerate(("main", "dev1", "dev2"), start=1):
            connection.execute(
                f"""INSERT INTO lake.meters VALUES ('esp32', '{channel}', {number}, 'home', 's', 'electricity', 30,
                'Europe/London', 'GB-ENG', NULL, 'live')"""
            )
        connection.execute(
            """INSERT INTO lake.reading_rows
            SELECT meter_no, began, 30, 60, CASE meter_no WHEN 1 THEN 0.5 + evening WHEN 2 THEN evening ELSE 0.1 END, false, 1
            FROM (SELECT began, CASE WHEN hour(began + INTERVAL 1 HOUR) BETWEEN 17 AND 20 THEN 0.5 ELSE 0 END AS evening
                  FROM range(TIMESTAMP '2024-06-02 23:00', TIMESTAMP '2024-06-23 23:00', INTERVAL 30 MINUTE) AS t(began)),
                 range(1, 4) AS meters(meter_no)"""
        )
        Published(settings.published_path).publish(connection, TABLES, facts={}, now=datetime(2024, 6, 24))


def test_an_intent_is_checked_replayed_and_only_then_may_act(tmp_path, home):
    path = tmp_path / "evenings.yml"
    assert "never dev2" in run("intents", "check", path)
    from energy_platform.settings import get_settings

    publish_home(get_settings())
    run("devices", "register", tmp_path / "home.yml")
    refused = CliRunner().invoke(app, ["intents", "run", str(path)])
    assert isinstance(refused.exception, IntentNotReplayed)
    said = json.loads(run("intents", "replay", path, "--from", "2024-06-17", "--to", "2024-06-21", "--json"))
    first = datetime.fromisoformat(said["days"][0]["day"])
    assert [day["day"] for day in said["days"]] == [f"{first + timedelta(days=n):%Y-%m-%d}" for n in range(5)]
    # 1 kW and a heater of 1 kW over four hours, as on the days before; a tenth of it may be gone.
    assert said["days"][0]["expected_kwh"] == pytest.approx(8.0)
    assert said["summary"]["days_met"] == 5
    assert said["summary"]["day_saved_kwh"] == pytest.approx(0.0)
    assert said["summary"]["day_saved_pence"] == pytest.approx(said["summary"]["removed_kwh"] * 10)
    (known,) = list_replays(home, said["digest"])
    assert known.summary["days"] == 5
    assert "Met on 5 of 5 days" in run("intents", "replay", path, "--from", "2024-06-17", "--to", "2024-06-21")
    assert "evenings" in run("intents", "list")
    assert "0 days" in run("intents", "outcomes")
    before = CliRunner().invoke(app, ["intents", "replay", str(path), "--to", "2020-01-01"])
    assert isinstance(before.exception, ReplayImpossible)
