"""What real brokers sustain end to end: a publisher, the broker, and `energy stream` landing what comes.

    .venv/bin/python benchmarks/broker_throughput.py [--messages 200000] [--paced 1000] [--seconds 15]

Three runs a broker, each with a fresh broker and landing folder. Backlog: everything is published before the
consumer starts, so that its own speed is seen. Flood: one publisher process sends as fast as it can while the consumer
runs. Paced: a steady rate, which shows the latency without a queue. Latency is from the call that publishes to the
landed file's rename, which follows its fsync (the file's ctime); an event counts from its first landing.

MQTT is mosquitto at QoS 1 in a persistent session, with its default window of 20 messages in flight and with 10,000.
Kafka is Tansu with its data in memory, so that no disk of the broker is in the figure.
Kinesis is not timed: moto, the server of the tests, is a stand-in in Python whose speed says nothing about AWS.
"""

import argparse
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import psutil
import pytest

from energy_platform_tests.streaming import brokers
from energy_platform_tests.streaming.consumer import Consumer, event, wait_until

IN_FLIGHT = 1_000
PATIENCE_SECONDS = 300
TOPIC = "meters"


class MqttPublisher:
    """QoS 1 over a plain socket: paho looks at all messages in flight for each acknowledgement, which would be measured."""

    def __init__(self, port: int) -> None:
        self._socket, self._number, self._acknowledged = socket.create_connection(("127.0.0.1", port)), 0, 0
        self._socket.sendall(_packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x3c" + _text(b"publisher")))
        if self._socket.recv(4)[3:] != b"\x00":
            raise SystemExit("mosquitto refuses the publisher")

    def send(self, body: bytes) -> None:
        """Send one event; waits when too many are not acknowledged."""
        self._number += 1
        identifier = (self._number % 65_535 + 1).to_bytes(2, "big")
        self._socket.sendall(_packet(0x32, _text(f"{TOPIC}/main".encode()) + identifier + body))
        self.wait(IN_FLIGHT)

    def wait(self, most: int = 0) -> None:
        """Wait until at most so many events are not acknowledged; an acknowledgement has four bytes."""
        while self._number - self._acknowledged // 4 > most:
            self._acknowledged += len(self._socket.recv(65_536))


def _text(content: bytes) -> bytes:
    return len(content).to_bytes(2, "big") + content


def _packet(kind: int, content: bytes) -> bytes:
    """Content of up to 16,383 bytes with the header of MQTT 3.1.1 (section 2.2)."""
    low, high = len(content) % 128, len(content) // 128
    return bytes([kind, low | 128, high] if high else [kind, low]) + content


class KafkaPublisher:
    """librdkafka as it is, with a bounded queue."""

    def __init__(self, port: int) -> None:
        from confluent_kafka import Producer

        self._producer = Producer({"bootstrap.servers": f"127.0.0.1:{port}", "linger.ms": 5, "log_level": 0})

    def send(self, body: bytes) -> None:
        """Hand over one event; waits when too many are not acknowledged."""
        self._producer.produce(TOPIC, body)
        self._producer.poll(0)
        if len(self._producer) > 10 * IN_FLIGHT:
            self._producer.flush()

    def wait(self) -> None:
        """Wait until all are acknowledged."""
        self._producer.flush()


def publish(publisher: MqttPublisher | KafkaPublisher, numbers: int, per_second: float) -> np.ndarray:
    """Send every event; the time at which each was handed over, in nanoseconds."""
    events, times = [event(number) for number in range(numbers)], np.zeros(numbers, dtype=np.int64)
    began = time.monotonic()
    for number, body in enumerate(events):
        if per_second and (ahead := began + number / per_second - time.monotonic()) > 0:
            time.sleep(ahead)
        times[number] = time.time_ns()
        publisher.send(body)
    publisher.wait()
    return times


PUBLISHERS = {"mqtt": MqttPublisher, "kafka": KafkaPublisher}


@dataclass(frozen=True)
class Side:
    """A broker as the runs want it: its name, its publisher, what the consumer is started with."""

    name: str
    kind: str
    port: int
    arguments: list[str]


@contextmanager
def mosquitto(window: int) -> Iterator[Side]:
    port = brokers.free_port()
    with tempfile.TemporaryDirectory() as folder:
        # 1,800 s is mosquitto's own default; the tests' one second would write the whole queue out every second.
        command = brokers.mosquitto_command(Path(folder), port, window=window, autosave_seconds=1_800)
        with brokers.running(command, port):
            arguments = ["mqtt", "--port", str(port), "--topic", f"{TOPIC}/#", "--window", str(window)]
            yield Side(f"mosquitto, QoS 1, window {window:,}", "mqtt", port, arguments)


@contextmanager
def kafka() -> Iterator[Side]:
    from confluent_kafka.admin import AdminClient, NewTopic

    with brokers.tansu() as port:
        address = f"127.0.0.1:{port}"
        admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
        admin.create_topics([NewTopic(TOPIC, 3, 1)])[TOPIC].result(timeout=20)
        arguments = ["kafka", "--brokers", address, "--topic", TOPIC]
        # Tansu lets a group wait for half of this before it gives out partitions.
        arguments += ["--option", "session.timeout.ms=2000", "--option", "heartbeat.interval.ms=300"]
        yield Side("Kafka (Tansu, memory), 3 partitions", "kafka", port, arguments)


def consume(home: Path, side: Side) -> Consumer:
    """A consumer that is subscribed or has its partitions."""
    consumer, ready = Consumer(home, side.arguments, brokers.free_port()), {"mqtt": "connected", "kafka": "partitions"}

    def is_ready() -> bool:
        try:
            return bool(consumer.health()["lag"].get(ready[side.kind]))
        except OSError:
            return False

    wait_until(is_ready, 60)
    time.sleep(0.5)  # the subscription follows the connection
    return consumer


def drain(consumer: Consumer, numbers: int) -> int:
    """Wait until as many messages are landed; the consumer's largest resident memory on the way, in bytes."""
    memory, process = 0, psutil.Process(consumer.process.pid)

    def is_done() -> bool:
        nonlocal memory
        memory = max(memory, process.memory_info().rss)
        try:
            return consumer.health()["messages"] >= numbers
        except OSError:
            return False

    wait_until(is_done, PATIENCE_SECONDS, every=0.1)
    return memory


def landed_at(landing: Path, numbers: int) -> np.ndarray:
    """When each event was first durable, in nanoseconds; all must be there."""
    first = np.full(numbers, np.iinfo(np.int64).max)
    for file in (landing / "stream_readings").glob("[0-9]*/*/*/*.ndjson"):
        rows = [round(orjson.loads(line)["energy_kwh"] * 1000) for line in file.read_bytes().splitlines()]
        first[rows] = np.minimum(first[rows], file.stat().st_ctime_ns)
    if missing := int((first == np.iinfo(np.int64).max).sum()):
        raise SystemExit(f"{missing} events were not landed")
    return first


def run(broker: AbstractContextManager[Side], kind_of_run: str, numbers: int, per_second: float) -> dict[str, object]:
    """One run; its row of the table."""
    with broker as side, tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        publisher = [sys.executable, __file__, "--publish", side.kind, "--port", str(side.port)]
        publisher += ["--messages", str(numbers), "--paced", str(per_second), "--times", str(home / "times.npy")]
        consumer = consume(home, side)
        if kind_of_run == "backlog":
            consumer.stop()
            subprocess.run(publisher, check=True)
            consumer = consume(home, side)
            memory = drain(consumer, numbers)
        else:
            with subprocess.Popen(publisher) as sender:
                memory = drain(consumer, numbers)
            if sender.returncode:
                raise SystemExit("the publisher failed")
        consumer.stop()
        times, landed = np.load(home / "times.npy"), landed_at(home / "landing", numbers)
    latency = np.percentile((landed - times) / 1e9, [50, 99])
    # A backlog is measured between its first and its last batch: starting a process is no throughput.
    steady = landed > landed.min() if kind_of_run == "backlog" else np.full(numbers, True)
    since = landed.min() if kind_of_run == "backlog" else times.min()
    return {
        "broker": side.name,
        "run": kind_of_run,
        "messages": f"{numbers:,}",
        "published/s": f"{numbers / ((times.max() - times.min()) / 1e9):,.0f}",
        "landed/s": f"{int(steady.sum()) / ((landed.max() - since) / 1e9):,.0f}",
        "median s": "" if kind_of_run == "backlog" else f"{latency[0]:.3f}",
        "p99 s": "" if kind_of_run == "backlog" else f"{latency[1]:.3f}",
        "peak MiB": f"{memory / 2**20:.0f}",
    }


def table(options: argparse.Namespace) -> None:
    makers = {
        "mosquitto-20": lambda: mosquitto(20),
        "mosquitto-10000": lambda: mosquitto(10_000),
        "kafka": kafka,
    }
    header_is_due = True
    for name in options.brokers.split(","):
        for kind_of_run in ("backlog", "flood", "paced"):
            paced = kind_of_run == "paced"
            numbers = round(options.paced * options.seconds) if paced else options.messages
            try:
                row = run(makers[name](), kind_of_run, numbers, options.paced if paced else 0)
            except pytest.skip.Exception as missing:
                print(f"{name} is left out: {missing}")
                break
            if header_is_due:
                print("| " + " | ".join(row) + " |\n|" + "---|" * len(row))
                header_is_due = False
            print("| " + " | ".join(map(str, row.values())) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=200_000, help="of the backlog and of the flood")
    parser.add_argument("--paced", type=float, default=1_000, help="messages a second of the paced run")
    parser.add_argument("--seconds", type=float, default=15, help="length of the paced run")
    parser.add_argument("--brokers", default="mosquitto-20,mosquitto-10000,kafka", help="which, with commas")
    parser.add_argument("--publish", choices=PUBLISHERS, help=argparse.SUPPRESS)  # the publisher's process
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--times", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.publish:
        np.save(options.times, publish(PUBLISHERS[options.publish](options.port), options.messages, options.paced))
    else:
        table(options)


if __name__ == "__main__":
    main()
