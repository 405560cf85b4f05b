"""A consumer as its users run it: a process of its own, which can be killed and asked for its health."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from functools import cache
from pathlib import Path

import orjson

TEST_CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
PROGRAM = "from energy_platform.commands.stream import app; app()"


def reading(number: int) -> dict[str, object]:
    """Distinct events: each number is a meter and half-hour of its own, with its own value."""
    day, slot, meter = number // 48 % 28 + 1, number % 48, number // (48 * 28)
    return {
        "meter_id": f"meter-{meter:05d}",
        "interval_start": f"2024-01-{day:02d}T{slot // 2:02d}:{slot % 2 * 30:02d}:00Z",
        "interval_minutes": 30,
        "energy_kwh": number / 1000,
    }


def event(number: int) -> bytes:
    return orjson.dumps(reading(number))


def landed(landing: Path, source: str = "stream_readings") -> list[dict]:
    """Every accepted row in the landing zone, repeats included."""
    files = sorted((landing / source).glob("[0-9]*/*/*/*.ndjson"))
    return [orjson.loads(line) for path in files for line in path.read_bytes().splitlines()]


def rejected(landing: Path, source: str = "stream_readings") -> list[dict]:
    files = sorted((landing / source / "rejected").glob("*/*/*/*.ndjson"))
    return [orjson.loads(line) for path in files for line in path.read_bytes().splitlines()]


def distinct_energies(landing: Path, source: str = "stream_readings") -> set[int]:
    """The numbers of the events that are landed at least once."""
    return set().union(*map(_numbers, (landing / source).glob("[0-9]*/*/*/*.ndjson")))


@cache
def _numbers(file: Path) -> frozenset[int]:
    """The numbers in one file; read once, because a landed file never changes."""
    return frozenset(round(orjson.loads(line)["energy_kwh"] * 1000) for line in file.read_bytes().splitlines())


class Consumer:
    """``energy stream …`` in a process."""

    def __init__(self, home: Path, arguments: list[str], port: int) -> None:
        self.port = port
        credentials = {name.upper(): value for name, value in TEST_CREDENTIALS.items()}
        environment = os.environ | credentials | {"AWS_DEFAULT_REGION": "eu-west-1", "ENERGY_HOME": str(home)}
        self.log = (home / "consumer.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments, "--health-port", str(port)],
            env=environment,
            stdout=self.log,
            stderr=self.log,
        )

    def health(self) -> dict:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as answer:
            return orjson.loads(answer.read())

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        self.log.close()
        return code


def wait_until(condition, seconds: float = 60, every: float = 0.05) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not come about in time")
        time.sleep(every)
