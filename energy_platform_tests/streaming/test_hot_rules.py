"""The hot path against a real store and real receivers: one episode, one message a channel, one recovery."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import orjson
import pytest
import sqlalchemy as sa

from energy_platform.adapters.operations.averages import page_of_averages
from energy_platform.adapters.operations.episodes import list_episodes, list_steps
from energy_platform.adapters.operations.live import LIVE_AVERAGES, forget_averages, list_live
from energy_platform.adapters.operations.outbox import lease_due, list_messages
from energy_platform.domain.alerts import EpisodeState, Severity, Signal, Subject
from energy_platform.domain.alerts.delivery import LEASE, LONGEST_WAIT
from energy_platform.domain.events import parse_events
from energy_platform.streaming.alerting import Deliverer
from energy_platform.streaming.hot_rules import HotRules
from energy_platform_tests.streaming.alert_parts import (
    NOW,
    Clock,
    alerting,
    esp32_event,
    mail_server,
    sensor_event,
    voltages,
    webhook,
)

QUIET_240 = [240.0] * 5


def test_a_spike_of_n_samples_is_one_mail_and_one_slack_message_and_a_single_sample_is_nothing(tmp_path):
    with (
        mail_server() as (mail, mails),
        webhook() as slack,
        alerting(tmp_path, {"mail": mail, "slack": slack.address}) as alerts,
    ):
        hot = HotRules(alerts, now=Clock())
        hot(voltages([240, 310, 240, 240, 240, 240, 240]))
        alerts.deliver(now_utc=NOW)
        assert (mails, slack.bodies, list_episodes(alerts.operations)) == ([], [], [])
        hot(voltages([310.0] * 7, start=NOW + timedelta(minutes=1)))
        alerts.deliver(now_utc=NOW)
        alerts.deliver(now_utc=NOW)
    assert len(mails) == len(slack.bodies) == 1
    assert "Voltage spike at esp32-1/main" in mails[0]["subject"]
    text = mails[0].get_content()
    assert "310.0 V, above the limit of 300 V on 3 of the last 5 samples" in text
    assert "http://127.0.0.1:3000/assets/lake/telemetry" in text
    assert mails[0]["Idempotency-Key"] == slack.headers[0]["Idempotency-Key"].replace("slack", "mail")
    assert set(slack.bodies[0]) == {"text"}
    assert "*[critical] Voltage spike at esp32-1/main*" in slack.bodies[0]["text"]


def test_ten_thousand_samples_above_a_threshold_are_one_episode_one_message_a_channel_and_one_recovery(tmp_path):
    addresses = {"first": "json://127.0.0.1:9/a", "second": "json://127.0.0.1:9/b"}
    with alerting(tmp_path, addresses) as alerts:
        hot = HotRules(alerts, now=Clock())
        for start in range(0, 10_000, 1_000):
            hot(voltages([310.0] * 1_000, start=NOW + timedelta(seconds=start)))
        hot(voltages(QUIET_240, start=NOW + timedelta(seconds=10_000)))
        [episode] = list_episodes(alerts.operations)
        steps = [step.kind.value for step in list_steps(alerts.operations, episode.episode_id)]
        messages = [(each.channel, each.kind) for each in list_messages(alerts.operations)]
    assert (episode.state, episode.breaches) == (EpisodeState.RECOVERED, 10_000)
    assert steps == ["opened", "recovered"]
    assert sorted(messages) == [(name, kind) for name in ("first", "second") for kind in ("opened", "recovered")]


def test_a_process_that_ends_in_the_middle_leaves_averages_windows_and_the_episode_to_the_next_one(tmp_path):
    # Seven samples, two of them spikes, then a new process that is given the last four again, as a stream would.
    values = [240.0, 240.0, 240.0, 240.0, 240.0, 310.0, 310.0, 310.0, 310.0, 240.0]
    for first, last in ((0, 7), (3, 10)):
        with alerting(tmp_path, {"mail": "json://127.0.0.1:9"}) as alerts:
            hot = HotRules(alerts, now=Clock())
            hot(voltages(values[first:last], start=NOW + timedelta(seconds=first)))
    with alerting(tmp_path) as alerts:
        [episode] = list_episodes(alerts.operations)
        averages = [each.average for each in page_of_averages(alerts.operations, "esp32-1", channel="main")]
        main = next(each for each in list_live(alerts.operations) if each.channel == "main")
        assert len(list_messages(alerts.operations)) == 1
    assert (episode.state, episode.breaches) == (EpisodeState.OPEN, 4)
    assert sorted(averages)[-2:] == [240.0, pytest.approx((4 * 310 + 240) / 5)]
    assert (main.values["voltage_v"].late, main.values["voltage_v"].samples, main.is_on) == (4, 10, True)


def test_averages_of_gas_and_electricity_have_limits_and_units_of_their_own(tmp_path):
    events = [
        sensor_event(value, NOW + timedelta(seconds=5 * place), sensor)
        for place in range(15)
        for sensor, value in (("gas-sensor", 9.8), ("electricity-sensor", 60.0), ("electricity-sensor-2", 97.0))
    ]
    with alerting(tmp_path) as alerts:
        HotRules(alerts, now=Clock())(parse_events(events, received_at_utc=NOW + timedelta(hours=1)))
        found = {episode.subject.name: episode.text for episode in list_episodes(alerts.operations)}
    assert found == {
        "gas-sensor/main": "The average of five power samples is 9.80 kW, above the limit of 9.5 kW on 2 of the last 3 averages.",
        "electricity-sensor-2/main": "The average of five power samples is 97.00 kW, above the limit of 95 kW on 2 of the last 3 averages.",
    }


def test_a_server_that_fails_half_of_the_time_is_given_every_step_once_in_the_end(tmp_path):
    clock = Clock()
    with (
        webhook(failing_share=0.5) as server,
        alerting(tmp_path, {"hook": server.address.replace("http", "json", 1)}) as alerts,
    ):
        hot = HotRules(alerts, now=clock)
        for round_ in range(20):
            hot(voltages([310.0] * 5 + QUIET_240, start=NOW + timedelta(minutes=round_)))
        expected = {message.delivery_key for message in list_messages(alerts.operations)}
        for _ in range(60):
            alerts.deliver(now_utc=clock())
            clock.move(seconds=LONGEST_WAIT.total_seconds())
        assert list_messages(alerts.operations, is_delivered=False) == []
    taken = [
        (each["Idempotency-Key"], orjson.loads(body["message"])["kind"])
        for each, body in zip(server.headers, server.bodies, strict=True)
    ]
    assert server.refused > 10
    assert len(taken) == len(set(taken)) == len(expected) == 40
    assert {key for key, _ in taken} == expected
    by_thread = {}
    for key, kind in taken:
        by_thread.setdefault(key.split("-")[0], []).append(kind)
    assert set(map(tuple, by_thread.values())) == {("opened", "recovered")}


def test_what_two_deliverers_see_at_once_is_sent_by_one_and_a_dead_one_is_taken_over(tmp_path):
    with webhook() as server, alerting(tmp_path, {"hook": server.address}) as alerts:
        HotRules(alerts, now=Clock())(voltages([310.0] * 5))
        assert len(lease_due(alerts.operations, now_utc=NOW, channels=["hook"])) == 1  # and then it dies
        assert alerts.deliver(now_utc=NOW).delivered == 0
        assert alerts.deliver(now_utc=NOW + LEASE + timedelta(seconds=1)).delivered == 1
        assert alerts.deliver(now_utc=NOW + LEASE * 3).delivered == 0
    assert len(server.bodies) == 1


def test_a_confirmed_spike_is_acted_upon_once_and_again_only_if_that_failed(tmp_path):
    acted, failures = [], [ValueError("no broker")]

    def shut_off(spike):
        acted.append(spike)
        if failures:
            raise failures.pop()

    with alerting(tmp_path) as alerts:
        hot = HotRules(alerts, now=Clock())
        hot.on_confirmed_spike(shut_off)
        hot(voltages([310.0, 240.0, 240.0, 240.0, 240.0, 240.0]))
        assert acted == []
        hot(voltages([310.0] * 50, start=NOW + timedelta(minutes=1)))
        hot(voltages([310.0] * 50, start=NOW + timedelta(minutes=2)))
        hot(voltages([310.0] * 50, start=NOW + timedelta(minutes=3)))
    assert len(acted) == 2
    assert acted[0] == acted[1]
    assert (acted[0].meter_id, acted[0].channel, acted[0].voltage_v, acted[0].samples) == ("esp32-1", "main", 310.0, 3)


def test_processes_that_see_the_same_spike_at_once_open_one_episode_with_one_message(tmp_path):
    with (
        alerting(tmp_path, {"mail": "json://127.0.0.1:9"}) as one,
        alerting(tmp_path, {"mail": "json://127.0.0.1:9"}) as two,
    ):
        batches = [voltages([310.0] * 5, start=NOW + timedelta(seconds=place)) for place in range(0, 100, 5)]
        hots = [HotRules(each, now=Clock()) for each in (one, two)]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda hot: [hot(batch) for batch in batches], hots))
        assert len(list_episodes(one.operations)) == len(list_messages(one.operations)) == 1


def test_what_another_process_did_meanwhile_is_read_again_after_forgetting(tmp_path):
    with alerting(tmp_path) as alerts:
        mine, other = HotRules(alerts, now=Clock()), HotRules(alerts, now=Clock())
        mine(voltages([240.0] * 3))
        other(voltages([240.0] * 4, start=NOW + timedelta(seconds=3)))
        mine.forget()
        mine(voltages([240.0] * 3, start=NOW + timedelta(seconds=7)))
        assert len(page_of_averages(alerts.operations, "esp32-1", channel="main", quantity="voltage_v")) == 2
        assert {channel.values["voltage_v"].samples for channel in list_live(alerts.operations)} == {10}


def test_more_meters_than_fit_in_memory_lose_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("energy_platform.streaming.hot_rules.MOST_IN_MEMORY", 10)
    with alerting(tmp_path) as alerts:
        hot = HotRules(alerts, now=Clock())
        for second in range(10):
            for device in ("one", "two"):
                hot(voltages([310.0], start=NOW + timedelta(seconds=second), device=device))
        samples = {channel.values["voltage_v"].samples for channel in list_live(alerts.operations)}
        assert {episode.breaches for episode in list_episodes(alerts.operations)} == {10}
    assert samples == {10}


def test_a_store_that_is_away_for_a_while_misses_nothing(tmp_path, monkeypatch):
    with alerting(tmp_path, {"mail": "json://127.0.0.1:9"}) as alerts:
        hot = HotRules(alerts, now=Clock())
        hot(voltages([240.0] * 3))
        with monkeypatch.context() as patch:
            patch.setattr("energy_platform.streaming.hot_rules.write_live", lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                hot(voltages([310.0] * 5, start=NOW + timedelta(seconds=10)))
            assert "not written" in hot.snapshot()["problem"]
        hot(voltages([310.0] * 2, start=NOW + timedelta(seconds=20)))
        [episode] = list_episodes(alerts.operations)
        with alerts.operations.engine.connect() as connection:
            mine = sa.select(sa.func.count()).where(
                LIVE_AVERAGES.c.channel == "main", LIVE_AVERAGES.c.quantity == "voltage_v"
            )
            assert connection.execute(mine).scalar() == 2
    assert (episode.breaches, hot.snapshot()["problem"]) == (7, None)


def test_a_name_that_the_store_cannot_keep_is_counted_and_takes_no_other_meter_along(tmp_path):
    events = [esp32_event(240.0, NOW, device) for device in ("x" * 201, "nul\x00", "good")]
    with alerting(tmp_path) as alerts:
        hot = HotRules(alerts, now=Clock())
        hot(parse_events(events, received_at_utc=NOW))
        assert {channel.meter_id for channel in list_live(alerts.operations)} == {"good"}
    assert hot.snapshot()["ignored"] == 18  # two meters, three channels, three quantities


def test_averages_are_forgotten_a_day_after_they_came_however_old_their_samples_are(tmp_path):
    clock = Clock(NOW + timedelta(days=2_000))
    with alerting(tmp_path) as alerts:
        HotRules(alerts, now=clock)(voltages([240.0] * 5))
        assert forget_averages(alerts.operations, now_utc=clock() + timedelta(hours=23)) == 0
        assert forget_averages(alerts.operations, now_utc=clock() + timedelta(hours=25)) == 9


def test_deliveries_go_on_when_the_published_sites_cannot_be_read(tmp_path):
    with webhook() as slack, alerting(tmp_path, {"slack": slack.address}) as alerts:
        alerts.read_sites = lambda: 1 / 0
        with Deliverer(alerts, now=Clock()) as deliverer:
            hot = HotRules(alerts, now=Clock())
            hot.on_changes(lambda _: deliverer.wake())
            hot(voltages([310.0] * 5))
    assert len(slack.bodies) == 1


def failed_command(severity):
    return Signal(
        "command_failed", severity, Subject("device heater"), True, NOW, "Command failed", "never seen to work"
    )


def test_a_rule_that_is_turned_off_opens_nothing_and_a_commands_rule_may_raise_its_severity(tmp_path):
    text = (
        "rules:\n  - {name: command_failed, kind: command_failure, title: Failed, severity: critical, enabled: true}\n"
    )
    with alerting(tmp_path, rules=text) as alerts:
        [change] = alerts.take([failed_command(Severity.WARNING)], now_utc=NOW)
    assert change.episode.severity is Severity.CRITICAL
    (tmp_path / "operations.db").unlink()
    with alerting(tmp_path, rules=text.replace("true", "false")) as alerts:
        assert alerts.take([failed_command(Severity.CRITICAL)], now_utc=NOW) == []


def test_rules_are_read_again_when_their_file_changes_and_a_wrong_one_is_not_used(tmp_path):
    text = "rules:\n  - {name: mine, kind: threshold, title: Mine, of: samples, quantity: voltage_v, above: 230, clears_at: 230}\n"
    with alerting(tmp_path, rules=text.replace("230", "900")) as alerts:
        ticks = iter(range(0, 100, 2))
        alerts.book.clock = lambda: next(ticks)
        hot = HotRules(alerts, now=Clock())
        hot(voltages([240.0]))
        assert list_episodes(alerts.operations) == []
        (tmp_path / "rules" / "own.yml").write_text(text + "   wrong")
        hot(voltages([240.0], start=NOW + timedelta(seconds=5)))
        assert "own.yml, line 3" in hot.snapshot()["problem"]
        (tmp_path / "rules" / "own.yml").write_text(text)
        hot(voltages([240.0], start=NOW + timedelta(seconds=9)))
        assert {episode.rule for episode in list_episodes(alerts.operations)} == {"mine"}
        assert hot.snapshot()["problem"] is None
