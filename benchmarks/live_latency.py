"""From a voltage spike to what follows of it, over a real MQTT broker: the command that switches off, and the alert.

    .venv/bin/python benchmarks/live_latency.py [--spikes 200] [--background 100]

mosquitto, `energy devices control` and `energy stream mqtt` run as their users run them, as processes of their own on one
operations store (SQLite). Each spike is three samples of 310 V of a meter of its own, between ordinary samples of other
meters at a steady rate. The clock starts when the third sample, which confirms the spike, is handed to the client that
publishes it, and stops when `{"message": "mainoff"}` is there on the meter's topic, and when a Slack-shaped webhook has
the alert. All processes share this machine's cores. What is asked for: median under 100 ms, p99 under 500 ms to the command.
"""

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from energy_platform_tests.streaming import brokers
from energy_platform_tests.streaming.alert_parts import esp32_event, webhook
from energy_platform_tests.streaming.consumer import wait_until

WAIT_SECONDS = 10.0
TOPIC = "esp32/pub"
ENERGY = [sys.executable, "-c", "from energy_platform.cli import main; main()"]


class Home:
    """The client that publishes for all meters and hears their commands."""

    def __init__(self, port: int) -> None:
        self.heard: dict[str, float] = {}
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="home")
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("esp32/+/sub", qos=1)
        self._client.loop_start()

    def send(self, meter: str, voltage_v: float, at_utc: datetime) -> float:
        """Publish one sample; when it was handed over."""
        handed = time.perf_counter()
        self._client.publish(TOPIC, esp32_event(voltage_v, at_utc, meter), qos=1)
        return handed

    def _hear(self, _client: Any, _data: Any, message: Any) -> None:
        if orjson.loads(message.payload).get("message") == "mainoff":
            self.heard.setdefault(message.topic.split("/")[1], time.perf_counter())


def utc_now() -> datetime:
    return datetime.now(tz=UTC).replace(tzinfo=None)


def declare(folder: Path, meters: list[str], environment: dict[str, str]) -> None:
    lines = ["site_id: home", "devices:"]
    for meter in meters:
        lines += [
            f"  - device_id: {meter}",
            f"    meter_id: {meter}",
            f"    topic: esp32/{meter}/sub",
            "    shut_off: {}",
        ]
    (folder / "devices.yml").write_text("\n".join(lines) + "\n")
    subprocess.run([*ENERGY, "devices", "register", str(folder / "devices.yml")], env=environment, check=True)


def started(arguments: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """A process with a health endpoint, once it is connected to the broker."""
    import urllib.error
    import urllib.request

    port = brokers.free_port()
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*ENERGY, *arguments, "--health-port", str(port)], env=environment, stdout=file, stderr=file
        )

    def is_up() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                return True
        except urllib.error.HTTPError:
            return False
        except OSError:
            return False

    wait_until(is_up, 60)
    time.sleep(1.0)  # the subscription follows the connection
    return process


def disturb(home: Home, per_second: float, stop: threading.Event) -> None:
    """Ordinary samples of other meters, at a steady rate."""
    number, began = 0, time.monotonic()
    while per_second and not stop.is_set():
        home.send(f"other-{number % 50}", 240.0, utc_now())
        number += 1
        time.sleep(max(0.0, began + number / per_second - time.monotonic()))


def spike(home: Home, meter: str, chance: random.Random) -> float:
    """Three samples above the limit; when the last one was handed over."""
    now = utc_now()
    for back in (2, 1):
        home.send(meter, 310.0, now - timedelta(seconds=back))
        time.sleep(chance.uniform(0.005, 0.05))
    handed = home.send(meter, 310.0, now)
    deadline = time.monotonic() + WAIT_SECONDS
    while meter not in home.heard and time.monotonic() < deadline:
        time.sleep(0.001)
    home.send(meter, 0.0, utc_now())  # the read-back
    return handed


def percentiles(name: str, milliseconds: list[float], sent: int) -> None:
    values = np.array(milliseconds)
    lost = sent - len(values)
    median, high = (np.percentile(values, share) for share in (50, 99)) if len(values) else (np.nan, np.nan)
    worst = values.max() if len(values) else np.nan
    print(f"{name:32} median {median:7.1f} ms   p99 {high:7.1f} ms   max {worst:7.1f} ms   missing {lost} of {sent}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--spikes", type=int, default=200)
    parser.add_argument("--background", type=float, default=100.0, help="ordinary samples a second beside the spikes")
    options = parser.parse_args()
    chance, meters = random.Random(6), [f"meter-{number:04d}" for number in range(options.spikes)]
    with tempfile.TemporaryDirectory() as name, ExitStack() as parts:
        folder, port = Path(name), brokers.free_port()
        parts.enter_context(brokers.running(brokers.mosquitto_command(folder, port), port))
        slack = parts.enter_context(webhook())
        environment = os.environ | {"ENERGY_HOME": name, "ENERGY_CHANNELS": f'{{"slack": "{slack.address}"}}'}
        declare(folder, meters, environment)
        broker = ["--topic", TOPIC, "--port", str(port)]
        for arguments in (["devices", "control", *broker], ["stream", "mqtt", *broker]):
            process = started(arguments, environment, folder / f"{arguments[1]}.log")
            parts.callback(process.wait)
            parts.callback(process.terminate)
        home, stop = Home(port), threading.Event()
        other = threading.Thread(target=disturb, args=(home, options.background, stop), daemon=True)
        other.start()
        time.sleep(2.0)
        handed = {meter: spike(home, meter, chance) for meter in meters}
        deadline = time.monotonic() + WAIT_SECONDS
        while len(slack.bodies) < len(meters) and time.monotonic() < deadline:
            time.sleep(0.05)
        stop.set()
        other.join()
        alerted: dict[str, float] = {}
        for body, at in zip(slack.bodies, slack.times, strict=True):
            if found := re.search(r"Voltage spike at (meter-\d+)/main", body["text"]):
                alerted.setdefault(found[1], at)
    print(f"{options.spikes} spikes, {options.background:g} other samples a second, {os.cpu_count()} cores")
    percentiles(
        "sample to command at the device",
        [1000 * (home.heard[m] - handed[m]) for m in meters if m in home.heard],
        len(meters),
    )
    percentiles(
        "sample to alert at the webhook", [1000 * (alerted[m] - handed[m]) for m in meters if m in alerted], len(meters)
    )
    repeated = len(slack.bodies) - len(alerted)
    print(f"messages beyond one an alert: {repeated}")


if __name__ == "__main__":
    main()
