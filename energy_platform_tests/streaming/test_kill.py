"""``kill -9`` of a real consumer, several times, at a real broker: every event is landed, none is made up.

The sizes suit CI. The full proof (100,000 events, ten kills, minutes) is the same code:
``STREAM_TEST_EVENTS=100000 STREAM_TEST_KILLS=10 pytest energy_platform_tests/streaming/test_kill.py``
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from energy_platform_tests.streaming import brokers
from energy_platform_tests.streaming.consumer import (
    Consumer,
    distinct_energies,
    event,
    landed,
    rejected,
    wait_until,
)

EVENTS = int(os.environ.get("STREAM_TEST_EVENTS", "3000"))
KILLS = int(os.environ.get("STREAM_TEST_KILLS", "3"))
POISON = b"this is not JSON"
BATCHES = ["--batch-size", str(max(100, EVENTS // 60)), "--batch-seconds", "0.2"]
PATIENCE = 60 + EVENTS / 200


def kill_repeatedly(home: Path, arguments: list[str], publish) -> None:
    """Publish while a consumer is killed again and again; the last one is stopped as its users stop it."""
    landing, sender = home / "landing", threading.Thread(target=publish, daemon=True)
    sender.start()
    port = brokers.free_port()
    for kill in range(KILLS):
        consumer = Consumer(home, [*arguments, *BATCHES], port)
        goal = EVENTS * (kill + 1) // (KILLS + 2)
        try:
            wait_until(lambda goal=goal: len(distinct_energies(landing)) >= goal, PATIENCE)
        finally:
            consumer.kill()
    consumer = Consumer(home, [*arguments, *BATCHES], port)
    try:
        wait_until(lambda: len(distinct_energies(landing)) >= EVENTS and rejected(landing), PATIENCE)
        sender.join(timeout=PATIENCE)
    finally:
        code = consumer.stop()
    assert code == 0
    assert distinct_energies(landing) == set(range(EVENTS))
    rows = {tuple(row.items()) for row in landed(landing)}
    assert len(rows) == EVENTS, "a repeat must be the same row again"
    assert {entry["raw"] for entry in rejected(landing)} == {POISON.decode()}


@pytest.mark.slow
def test_kinesis_loses_nothing_over_kills(tmp_path):
    with brokers.kinesis_server() as endpoint:
        client = brokers.kinesis_client(endpoint)
        client.create_stream(StreamName="readings", ShardCount=2)

        def put(numbers, extra=()):
            records = [{"Data": event(number), "PartitionKey": str(number)} for number in numbers]
            client.put_records(StreamName="readings", Records=records + list(extra))

        def publish() -> None:
            poison = [{"Data": POISON, "PartitionKey": "poison"}]
            for start in range(0, EVENTS, 100):
                put(range(start, min(start + 100, EVENTS)), poison if start == EVENTS // 200 * 100 else ())
                time.sleep(0.02)

        kill_repeatedly(tmp_path, ["kinesis", "--stream", "readings", "--endpoint-url", endpoint], publish)


@pytest.mark.slow
def test_kafka_loses_nothing_over_kills(tmp_path):
    with brokers.tansu() as port:
        from confluent_kafka import Producer
        from confluent_kafka.admin import AdminClient, NewTopic

        address = f"127.0.0.1:{port}"
        # log_level 0: both clients outlive the broker for a moment and would say so after the results.
        admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
        admin.create_topics([NewTopic("readings", 3, 1)])["readings"].result(timeout=10)
        producer = Producer({"bootstrap.servers": address, "linger.ms": 5, "log_level": 0})

        def publish() -> None:
            for number in range(EVENTS):
                producer.produce("readings", event(number), key=str(number))
                if number == EVENTS // 2:
                    producer.produce("readings", POISON)
                if number % 100 == 0:
                    producer.flush()
                    time.sleep(0.02)
            producer.flush()

        arguments = ["kafka", "--brokers", address, "--topic", "readings", "--group", "test"]
        arguments += ["--option", "session.timeout.ms=6000", "--option", "heartbeat.interval.ms=500"]
        kill_repeatedly(tmp_path, arguments, publish)


def is_published(message) -> bool:
    """Whether the broker has acknowledged a message; one sent while it was away says so by an error."""
    try:
        return message.is_published()
    except RuntimeError:
        return message._published


def mqtt_publisher(port: int, topic: str = "meters/main"):
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    def publish() -> None:
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id="publisher", clean_session=False)
        client.max_inflight_messages_set(200)
        client.reconnect_delay_set(1, 2)
        client.connect("127.0.0.1", port)
        client.loop_start()
        messages = []
        for number in range(EVENTS):
            messages.append(client.publish(topic, event(number), qos=1))
            if number == EVENTS // 2:
                messages.append(client.publish(topic, POISON, qos=1))
            if number % 100 == 99:
                # Not wait_for_publish: it raises for a message that waits for the broker to come back.
                wait_until(lambda: is_published(messages[-1]), PATIENCE, every=0.01)
                time.sleep(0.02)
        wait_until(lambda: all(is_published(message) for message in messages), PATIENCE)
        client.disconnect()
        client.loop_stop()

    return publish


def subscribe_first(home: Path, arguments: list[str]) -> None:
    """MQTT keeps messages for a session only from its first subscription on."""
    consumer = Consumer(home, [*arguments, *BATCHES], port := brokers.free_port())
    assert consumer.port == port

    def is_connected() -> bool:
        try:
            return consumer.health()["lag"].get("connected") == 1.0
        except OSError:
            return False

    wait_until(is_connected)
    time.sleep(0.5)
    assert consumer.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_mqtt_at_mosquitto_loses_nothing_over_kills_and_a_restart_of_the_broker(tmp_path, version):
    port = brokers.free_port()
    command = brokers.mosquitto_command(tmp_path, port)
    arguments = ["mqtt", "--port", str(port), "--topic", "meters/#", "--client-id", "test", "--version", version]
    with brokers.running(command, port) as first:
        subscribe_first(tmp_path, arguments)
        send = mqtt_publisher(port)
        second: list[subprocess.Popen[bytes]] = []

        def restart() -> None:
            wait_until(lambda: len(distinct_energies(tmp_path / "landing")) >= EVENTS // 3, PATIENCE)
            first.terminate()  # mosquitto saves its sessions when it is asked to end
            first.wait()
            second.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

        restarter = threading.Thread(target=restart, daemon=True)
        restarter.start()
        try:
            kill_repeatedly(tmp_path, arguments, send)
            restarter.join(timeout=PATIENCE)
        finally:
            for process in second:
                process.kill()
                process.wait()
    assert second, "the broker was not restarted"
