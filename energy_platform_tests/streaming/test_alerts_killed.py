"""``kill -9`` of `energy stream mqtt` in the middle of a spike, at a real broker: still one alert and one recovery."""

from datetime import UTC, datetime, timedelta

import paho.mqtt.publish
import pytest

from energy_platform.adapters.operations import Operations
from energy_platform.adapters.operations.averages import page_of_averages
from energy_platform.adapters.operations.episodes import list_episodes
from energy_platform.adapters.operations.outbox import list_messages
from energy_platform_tests.streaming import brokers
from energy_platform_tests.streaming.alert_parts import esp32_event, webhook
from energy_platform_tests.streaming.consumer import Consumer, wait_until

SPIKES, CALM = 200, 20


def send(port, values, start):
    events = [esp32_event(value, start + timedelta(seconds=place)) for place, value in enumerate(values)]
    paho.mqtt.publish.multiple([("esp32/pub", event, 1, False) for event in events], hostname="127.0.0.1", port=port)


@pytest.mark.slow
def test_a_kill_in_the_middle_of_a_spike_leaves_one_alert_one_message_and_one_recovery(tmp_path, monkeypatch):
    began = datetime.now(tz=UTC).replace(tzinfo=None, microsecond=0) - timedelta(hours=1)
    port, health = brokers.free_port(), brokers.free_port()
    arguments = ["mqtt", "--port", str(port), "--topic", "esp32/pub", "--batch-seconds", "0.2", "--batch-size", "50"]
    store = f"sqlite:///{tmp_path / 'operations.db'}"

    def breaches():
        with Operations.open(store) as operations:
            found = list_episodes(operations)
        assert len(found) <= 1
        return found[0].breaches if found else 0

    def delivered():
        with Operations.open(store) as operations:
            return len(list_messages(operations, is_delivered=True))

    with brokers.running(brokers.mosquitto_command(tmp_path, port), port), webhook() as slack:
        monkeypatch.setenv("ENERGY_CHANNELS", f'{{"slack": "{slack.address}"}}')
        consumer = Consumer(tmp_path, arguments, health)
        try:
            wait_until(lambda: is_connected(consumer))
            send(port, [310.0] * (SPIKES // 2), began)
            # What a kill finds on its way to a channel is sent again once its lease is over; that is tested without waiting.
            wait_until(lambda: breaches() >= SPIKES // 8 and delivered() == 1)
        finally:
            consumer.kill()
        send(port, [310.0] * (SPIKES // 2), began + timedelta(seconds=SPIKES // 2))
        consumer = Consumer(tmp_path, arguments, health)
        try:
            wait_until(lambda: breaches() == SPIKES)
            send(port, [240.0] * CALM, began + timedelta(seconds=SPIKES))
            wait_until(lambda: len(slack.bodies) >= 2)
        finally:
            assert consumer.stop() == 0
    assert ["over:" in body["text"] for body in slack.bodies] == [False, True]
    with Operations.open(store) as operations:
        averages = page_of_averages(operations, "esp32-1", channel="main", quantity="voltage_v", limit=SPIKES)
    assert [each.average for each in reversed(averages)] == [310.0] * (SPIKES // 5) + [240.0] * (CALM // 5)


def is_connected(consumer):
    try:
        return consumer.health()["lag"].get("connected") == 1.0
    except OSError:
        return False
