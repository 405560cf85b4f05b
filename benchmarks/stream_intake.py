"""What the intake of a stream costs: parse, validate, quarantine and durable landing, batch by batch.

    .venv/bin/python benchmarks/stream_intake.py [--batches 200] [--poison 0.001]

No broker: the figure is what this platform adds. Memory is read after a tenth and at the end, to show that it is flat.
"""

import argparse
import gc
import os
import random
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import orjson
import psutil

from energy_platform.adapters.landing_batches import LandingBatches
from energy_platform.domain.events import Message
from energy_platform.streaming.process import BatchLimits, StreamProcess

BATCH = 10_000


def payloads(seed: int, poison: float) -> list[bytes]:
    generator = random.Random(seed)
    return [
        b'{"meter_id": "broken'
        if generator.random() < poison
        else orjson.dumps(
            {
                "meter_id": f"MAC{generator.randrange(5_566):06d}",
                "channel": "main",
                "interval_start": f"2024-{number % 12 + 1:02d}-{number % 28 + 1:02d}T{number % 24:02d}:30:00Z",
                "interval_minutes": 30,
                "energy_kwh": round(generator.expovariate(5), 3),
            }
        )
        for number in range(BATCH)
    ]


class Replay:
    """A stream that gives the same ten batches again and again, and then asks the process to stop."""

    window = None

    def __init__(self, batches: int, poison: float) -> None:
        arrived = datetime(2025, 1, 1)
        self._pool = [
            [
                Message(payload, "0", str(place), arrived, "readings")
                for place, payload in enumerate(payloads(seed, poison))
            ]
            for seed in range(10)
        ]
        self._batches, self.given, self.stop = batches, 0, lambda: None
        self.memory: list[int] = []

    def poll(self, limit: int, seconds: float) -> list[Message]:  # noqa: ARG002 - a StreamSource
        """The next batch."""
        if self.given == self._batches:
            self.stop()
            return []
        self.given += 1
        if self.given in {self._batches // 10, self._batches}:
            self.memory.append(psutil.Process().memory_info().rss)
        return self._pool[self.given % 10]

    def acknowledge(self, messages: list[Message]) -> None:
        """Nothing waits for it."""

    def on_revoked(self, flush: object) -> None:
        """Nothing is revoked."""

    def lag(self) -> dict[str, float]:
        """Nothing lags."""
        return {}

    def close(self) -> None:
        """Nothing is open."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--poison", type=float, default=0.001)
    options = parser.parse_args()
    source = Replay(options.batches, options.poison)
    with tempfile.TemporaryDirectory() as folder:
        process = StreamProcess(
            "bench",
            source,
            LandingBatches(Path(folder)),
            limits=BatchLimits(BATCH),
            now=lambda: datetime.now(tz=UTC).replace(tzinfo=None),
        )
        source.stop = process.stop
        gc.collect()
        gc.freeze()  # as `energy stream` does
        wall, cpu = time.perf_counter(), time.process_time()
        state = process.run()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        files = sum(1 for _ in Path(folder).rglob("*.ndjson"))
    print(f"{state.messages:,} messages, {state.accepted:,} accepted, {state.rejected:,} rejected, {files} files")
    print(f"{state.messages / wall:,.0f} messages/s wall, {state.messages / cpu:,.0f} messages/CPU-s (all threads)")
    print(f"{wall / state.batches * 1e3:.1f} ms a batch of {BATCH:,}, on {os.cpu_count()} cores")
    print(
        "resident memory after a tenth and at the end: "
        + ", ".join(f"{size / 2**20:.0f} MiB" for size in source.memory)
    )


if __name__ == "__main__":
    main()
