"""``kill -9`` of a real consumer, several times, at a real broker: every event is landed, none is made up.

At the end everything that was landed is loaded: distinct events in = readings in the lake. The brokers
are killed or restarted in the middle, too, save moto's Kinesis, which keeps only memory.

The sizes suit CI. The full proof (100,000 events, ten kills, minutes) is the same code:
``STREAM_TEST_EVENTS=100000 STREAM_TEST_KILLS=10 pytest energy_platform_tests/streaming/test_kill.py``
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from energy_platform.adapters.declarations import load_declarations
from energy_platform.adapters.lake_loader import load_pending
from energy_platform.adapters.landing import Landing
from energy_platform.adapters.warehouse import Warehouse
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
            wait_for_events(landing, goal)
        finally:
            consumer.kill()
    consumer = Consumer(home, [*arguments, *BATCHES], port)
    try:
        wait_for_events(landing, EVENTS)
        wait_until(lambda: rejected(landing), PATIENCE)
        sender.join(timeout=PATIENCE)
    finally:
        code = consumer.stop()
    assert code == 0
    assert distinct_energies(landing) == set(range(EVENTS))
    rows = {tuple(row.items()) for row in landed(landing)}
    assert len(rows) == EVENTS, "a repeat must be the same row again"
    assert {entry["raw"] for entry in rejected(landing)} == {POISON.decode()}
    assert readings_in_lake(home) == EVENTS


def wait_for_events(landing: Path, goal: int) -> None:
    """Wait until so many distinct events are landed, for as long as some come: a busy machine is no failure.

    A pause of this process (a suspended machine) counts as one second, because the others were paused as well.
    """
    most, idle, looked = -1, 0.0, time.monotonic()
    while (count := len(distinct_energies(landing))) < goal:
        now = time.monotonic()
        idle = 0.0 if count > most else idle + min(now - looked, 1.0)
        most, looked = max(most, count), now
        assert idle < PATIENCE, f"stopped at {count} of {goal} events"
        time.sleep(0.05)


def readings_in_lake(home: Path) -> int:
    """Load what was landed; how many readings the lake has then."""
    warehouse = Warehouse(home / "warehouse.duckdb")
    now = datetime.now(UTC).replace(tzinfo=None)
    summary = load_pending(warehouse, Landing(home / "landing"), load_declarations(), now=now)
    assert [outcome.error for outcome in summary.failed] == []
    rows, distinct, energy_kwh = warehouse.read(
        "SELECT count(*), count(DISTINCT (meter_id, interval_start_utc)), sum(energy_kwh) FROM lake.readings"
    ).row(0)
    assert rows == distinct
    assert energy_kwh == pytest.approx(sum(range(EVENTS)) / 1000)
    return rows


@contextmanager
def restarted_in_the_middle(
    home: Path, first: subprocess.Popen[bytes], command: list[str], environment: dict[str, str] | None, end: Callable
) -> Iterator[None]:
    """End a broker (``end``) when a third of the events is landed, and start it again."""
    again: list[subprocess.Popen[bytes]] = []

    def restart() -> None:
        wait_for_events(home / "landing", EVENTS // 3)
        end(first)
        first.wait()
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        again.append(subprocess.Popen(command, env=os.environ | (environment or {}), **quiet))

    restarter = threading.Thread(target=restart, daemon=True)
    restarter.start()
    try:
        yield
        restarter.join(timeout=PATIENCE)
    finally:
        for process in again:
            process.kill()
            process.wait()
    assert again, "the broker was not restarted"


@pytest.mark.slow
def test_kinesis_loses_nothing_over_kills_and_records_that_are_put_twice(tmp_path):
    # moto copies all keys of a shard for every record put: many shards keep that short.
    group = min(500, EVENTS // 30)
    with brokers.moto_process() as endpoint:
        client = brokers.kinesis_client(endpoint)
        client.create_stream(StreamName="readings", ShardCount=8 if EVENTS > 10_000 else 2)

        def put(records) -> None:
            assert client.put_records(StreamName="readings", Records=records)["FailedRecordCount"] == 0

        def publish() -> None:
            for start in range(0, EVENTS, group):
                numbers = range(start, min(start + group, EVENTS))
                records = [{"Data": event(number), "PartitionKey": str(number)} for number in numbers]
                put(records)
                if start // group % 10 == 0:
                    put(records)
                time.sleep(0.02)
            put([{"Data": POISON, "PartitionKey": "poison"}])

        kill_repeatedly(tmp_path, ["kinesis", "--stream", "readings", "--endpoint-url", endpoint], publish)


@pytest.mark.slow
def test_kafka_loses_nothing_over_kills_of_the_consumer_and_of_the_broker(tmp_path):
    port = brokers.free_port()
    command = brokers.tansu_command(port, "s3://tansu/")
    with brokers.bucket_for_tansu() as environment, brokers.running(command, port, environment) as first:
        from confluent_kafka import Producer
        from confluent_kafka.admin import AdminClient, NewTopic

        address = f"127.0.0.1:{port}"
        # log_level 0: both clients outlive the broker for a moment and would say so after the results.
        admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
        admin.create_topics([NewTopic("readings", 3, 1)])["readings"].result(timeout=10)
        producer = Producer({"bootstrap.servers": address, "linger.ms": 50, "log_level": 0})

        # Tansu makes an object of every batch and lists them all for each fetch: few batches keep moto's answers short.
        group = max(100, EVENTS // 60)

        def publish() -> None:
            for number in range(EVENTS):
                producer.produce("readings", event(number), key=str(number))
                if number == EVENTS // 2:
                    producer.produce("readings", POISON)
                if number % group == 0:
                    producer.flush()
                    time.sleep(0.02)
            producer.flush()

        arguments = ["kafka", "--brokers", address, "--topic", "readings", "--group", "test"]
        arguments += ["--option", "session.timeout.ms=2000", "--option", "heartbeat.interval.ms=300"]
        with restarted_in_the_middle(tmp_path, first, command, environment, subprocess.Popen.kill):
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
    assert consumer.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_mqtt_at_mosquitto_loses_nothing_over_kills_and_a_restart_of_the_broker(tmp_path, version):
    port = brokers.free_port()
    command = brokers.mosquitto_command(tmp_path, port)
    arguments = ["mqtt", "--port", str(port), "--topic", "meters/#", "--client-id", "test", "--version", version]
    with brokers.running(command, port) as first:
        subscribe_first(tmp_path, arguments)
        # mosquitto saves its sessions when it is asked to end; a kill -9 takes what it wrote less than a second ago.
        with restarted_in_the_middle(tmp_path, first, command, None, subprocess.Popen.terminate):
            kill_repeatedly(tmp_path, arguments, mqtt_publisher(port))
