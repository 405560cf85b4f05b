"""Alerts from published tables and from runs: evidence and link in each, one message, one recovery."""

import json
from datetime import date, datetime, timedelta

import dagster as dg
import duckdb
import polars as pl
import pytest

from energy_platform.adapters.alert_rules import RuleSet, load_rules
from energy_platform.adapters.operations import Operations
from energy_platform.adapters.operations.episodes import list_episodes
from energy_platform.adapters.operations.live import write_live
from energy_platform.adapters.operations.outbox import list_messages
from energy_platform.adapters.published import Published
from energy_platform.defs.alerts import sensors
from energy_platform.defs.alerts.published_rules import judge_published
from energy_platform.defs.alerts.run_rules import judge_freshness, late_assets
from energy_platform.defs.alerts.sensors import alert_digest, alert_rules, alert_runs, utc_now
from energy_platform.domain.alerts.rules import RULE
from energy_platform.domain.columns import FILES, FORECASTS, METER_DAYS, METERS
from energy_platform.domain.columns.anomalies import SEVERITIES
from energy_platform.domain.events import parse_events
from energy_platform.domain.live import advance, series_of
from energy_platform_tests.conftest import using_home
from energy_platform_tests.day_builders import as_meter_days
from energy_platform_tests.published_builders import as_contract
from energy_platform_tests.streaming.alert_parts import esp32_event, webhook

TODAY = date(2024, 6, 20)
NOW = datetime(2024, 6, 20, 6)
BUDGET = {"name": "budget", "kind": "energy_budget", "title": "Budget", "kwh": 460, "period_months": 1}


def generation(tmp_path):
    """Thirty days of 10 kWh for one meter, the last three of them 30 kWh; one anomalous day; a file half refused."""
    days = [TODAY - timedelta(days=back) for back in range(30, 0, -1)]
    energy = [10.0] * 27 + [30.0] * 3
    ahead = [TODAY + timedelta(days=day) for day in range(7)]
    forecasts = pl.DataFrame(
        [
            {"cutoff_date": day, "local_date": day, "lead_days": 1, "p10_kwh": 8.0, "p50_kwh": 10.0, "p90_kwh": 12.0}
            for day in days
        ]
        + [
            {
                "cutoff_date": TODAY,
                "local_date": day,
                "lead_days": lead,
                "p10_kwh": 8.0,
                "p50_kwh": 20.0,
                "p90_kwh": 30.0,
            }
            for lead, day in enumerate(ahead, 1)
        ]
    ).with_columns(
        meter_id=pl.lit("m"), channel=pl.lit("main"), is_issued=pl.lit(True), commodity=pl.lit("electricity")
    )
    tables = {
        METER_DAYS: as_meter_days(pl.DataFrame({"meter_id": ["m"] * 30, "local_date": days, "energy_kwh": energy})),
        FORECASTS: as_contract(forecasts, FORECASTS),
        METERS: as_contract(
            pl.DataFrame({"meter_id": ["m"], "channel": ["main"], "site_id": ["m"], "time_zone": ["Europe/London"]}),
            METERS,
        ),
        SEVERITIES: as_contract(
            pl.DataFrame(
                {
                    "meter_id": ["m", "m"],
                    "channel": ["main", "main"],
                    "local_date": [days[-1], days[-2]],
                    "false_alarm_share": [0.001, 0.001],
                    "is_anomalous": [True, True],
                    "may_page": [True, False],
                    "reason": ["30 kWh instead of 10 kWh.", "not measured"],
                }
            ),
            SEVERITIES,
        ),
        FILES: as_contract(
            pl.DataFrame(
                {
                    "source": ["homes"],
                    "loaded_at_utc": [NOW],
                    "rows_read": [100],
                    "rows_rejected": [50],
                    "uri": ["half.csv"],
                }
            ),
            FILES,
        ),
    }
    with duckdb.connect() as connection:
        for table, rows in tables.items():
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.schema}")
            connection.register("rows_of_it", rows)
            connection.execute(f"CREATE TABLE {table.full_name} AS SELECT * FROM rows_of_it")
        Published(tmp_path).publish(connection, list(tables), facts={}, now=NOW)
    return Published(tmp_path).current()


def test_rules_on_published_tables_find_what_was_planted_and_point_to_it(tmp_path):
    shipped = load_rules()
    rules = RuleSet({**shipped.rules, "budget": RULE.validate_python(BUDGET)}, shipped.routing)
    found = judge_published(rules, generation(tmp_path), lambda _: [], now_utc=NOW)
    told = {signal.rule: signal for signal in found}
    assert set(told) == {"usage_outside_forecast", "anomaly", "budget", "data_quality"}
    assert len(found) == 4
    assert "30.00 kWh on 2024-06-19, above the forecast of 8.00 kWh to 12.00 kWh; so on 3 of the last 3 days" in (
        told["usage_outside_forecast"].text
    )
    assert told["anomaly"].text == "30 kWh instead of 10 kWh."
    assert told["anomaly"].link == "/assets/anomalies/severities"
    # 16 days of 10 kWh and three of 30; eleven days of 20 kWh are to come.
    assert told["budget"].evidence["used (kWh)"] == 250.0
    assert told["budget"].evidence["heading for (kWh)"] == pytest.approx(250 + 11 * 20)
    assert "50.0% of 100 rows of homes were refused; most in half.csv (50)." in told["data_quality"].text
    assert all(signal.link.startswith("/assets/") for signal in found)


def test_what_is_history_by_the_clock_on_the_wall_is_told_to_nobody(tmp_path):
    assert judge_published(load_rules(), generation(tmp_path), lambda _: [], now_utc=NOW + timedelta(days=60)) == []


@dg.asset
def meter_days() -> None:
    """Made by the tests."""


@dg.asset_check(asset=meter_days)
def is_plausible(context) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=not FAILS["check"], description="300 kWh on a day")


@dg.op
def load() -> None:
    if FAILS["job"]:
        raise ValueError("usage.csv, line 7: 'abc' is no number")


@dg.job
def intake() -> None:
    load()


FAILS = {"check": False, "job": False}


def ticks(instance, cursor, times=1):
    for _ in range(times):
        result = alert_runs(dg.build_sensor_context(instance=instance, cursor=cursor))
        cursor = result.cursor
    return cursor


def test_failed_runs_and_checks_are_one_message_each_with_the_step_error_and_recover(tmp_path):
    with webhook() as slack, dg.DagsterInstance.ephemeral() as instance:
        (tmp_path / "whenever.yml").write_text("routing: {}  # no quiet hours: the test may run at night\n")
        with using_home(tmp_path, ENERGY_SLACK_WEBHOOK=slack.address, ENERGY_ALERTS=str(tmp_path)):
            cursor = ticks(instance, None)
            for fails in (True, True, False):
                FAILS.update(check=fails, job=fails)
                intake.execute_in_process(instance=instance, raise_on_error=False)
                dg.materialize([meter_days, is_plausible], instance=instance, raise_on_error=False)
                cursor = ticks(instance, cursor, times=2)
    said = [body["text"] for body in slack.bodies]
    assert ["over:" in text for text in said] == [False, False, True, True]
    check, run = sorted(said[:2])
    assert "Step load: ValueError: usage.csv, line 7: 'abc' is no number" in run
    assert "http://127.0.0.1:3000/runs/" in run
    assert "Asset check failed: meter_days:is_plausible" in check
    assert "300 kWh on a day" in check


def test_silent_meters_and_the_digest_go_out_from_dagster(tmp_path, monkeypatch):
    now = utc_now()
    event = esp32_event(240.0, now - timedelta(hours=2))
    series = series_of(parse_events([event], received_at_utc=now))
    values = [advance(None, each, received_at_utc=now - timedelta(hours=2)).value for each in series]
    with (
        webhook() as slack,
        using_home(tmp_path, ENERGY_CHANNELS=json.dumps({"slack": slack.address})) as settings,
        Operations.open(settings.operations_address) as operations,
    ):
        with operations.engine.begin() as connection:
            write_live(connection, values, [], {}, now_utc=now)
        cursor = alert_rules(dg.build_sensor_context()).cursor
        cursor = alert_rules(dg.build_sensor_context(cursor=cursor)).cursor
        [episode] = list_episodes(operations)
        assert episode.subject.name == "meter esp32-1"
        for _ in range(2):
            assert alert_digest.execute_in_process().success
        kinds = sorted(message.kind for message in list_messages(operations))
    assert kinds == ["digest", "opened"]
    # At night the warning waits for the morning; the digest goes out when it is made.
    assert any("Energy alerts" in body["text"] and "Meter silent: esp32-1" in body["text"] for body in slack.bodies)


def test_all_late_assets_together_are_one_alert(tmp_path):
    rules = load_rules()
    made = dg.AssetSpec("made", freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=50)))
    never = dg.AssetSpec("never", freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=50)))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("made"))
        assert late_assets(instance, [made, never], now_utc=utc_now()) == []
        late = late_assets(instance, [made, never], now_utc=utc_now() + timedelta(hours=60))
    assert [(name, round(hours), allowed) for name, hours, allowed in late] == [("made", 60, 50.0)]
    signals = judge_freshness(rules, [*late, ("other", 51.0, 50.0)], [], now_utc=NOW)
    assert [signal.text for signal in signals] == [
        "2 assets are later than they may be; made was last made 60 hours ago."
    ]
    assert judge_freshness(rules, [], [], now_utc=NOW) == []


def test_the_sensors_and_the_digest_run_by_themselves():
    assert alert_rules.default_status is dg.DefaultSensorStatus.RUNNING
    assert alert_runs.default_status is dg.DefaultSensorStatus.RUNNING
    assert sensors.daily_digest.default_status is dg.DefaultScheduleStatus.RUNNING
