"""Two hundred concurrent readers of the API while generations are published: errors, latency, and whole generations.

    .venv/bin/python benchmarks/api_readers.py [--readers 200] [--seconds 20] [--pause 0] [--meters 200] [--publish-every 2]

A server process (`energy serve`), a process that publishes, and this one, which is all readers; each reader has a key and a
connection of its own and asks for days, months, forecasts, anomalies and meters of meters chosen at random. With
`--pause 0` every reader asks again at once (saturation: latency is readers over throughput); with `--pause 1` it waits about
a second, as a dashboard does. Every row of a generation carries the generation's number, so an answer that mixes two is seen.
Prints one JSON object. Public readings are not needed: days are made up, their number and shape are not.
"""

import argparse
import asyncio
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import psutil

from energy_platform.adapters.operations import Operations
from energy_platform.adapters.published import Published
from energy_platform.adapters.warehouse import Warehouse, create_table_sql
from energy_platform.domain.access import Role
from energy_platform.domain.columns import TABLES
from energy_platform.settings import Settings

DAYS = 400
PATHS = (
    "/v1/usage/daily?meter={meter}&limit=400",
    "/v1/usage/daily?meter={meter}&limit=31",
    "/v1/usage/monthly?meter={meter}",
    "/v1/forecasts?meter={meter}",
    "/v1/anomalies?meter={meter}&limit=50",
    "/v1/meters?meter={meter}",
)


def build(warehouse: Warehouse, meters: int) -> None:
    """A warehouse of made-up days: the tables that the paths read."""
    with warehouse.transaction() as connection:
        for table in TABLES:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.schema}")
            connection.execute(create_table_sql(table))
        fill = {
            "lake.meters": f"""SELECT 'meter-' || m AS meter_id, 'main' AS channel, m + 1 AS meter_no, 'site-' || m AS site_id,
                'made_up' AS source, 'electricity' AS commodity, 30 AS interval_minutes, 'Europe/London' AS time_zone,
                'GB-ENG' AS country, 'history' AS availability FROM range({meters}) AS t(m)""",
            "marts.meter_days": f"""SELECT meter_id, channel, site_id, source, commodity, DATE '2024-01-01' + d::INTEGER AS local_date,
                0.0 AS energy_kwh, 48 AS readings, 48 AS expected_readings, 1.0 AS completeness, 0.0 AS estimated_share,
                0.1 AS peak_kwh, TIMESTAMP '2024-01-01' AS peak_interval_start_utc, 0 AS versions, 1 AS file_id,
                TIMESTAMP '2024-01-01' AS available_at_utc FROM lake.meters, range({DAYS}) AS t(d)""",
            "forecasts.meter_days": """SELECT 'lightgbm' AS model, DATE '2025-02-04' AS cutoff_date, meter_id, channel, source,
                commodity, DATE '2025-02-04' + l::INTEGER AS local_date, l + 1 AS lead_days, 0.0 AS p10_kwh, 0.0 AS p50_kwh,
                0.0 AS p90_kwh, true AS is_issued, false AS is_fallback, TIMESTAMP '2025-02-04' AS issued_at_utc
                FROM lake.meters, range(7) AS t(l)""",
            "anomalies.channel_limits": """SELECT meter_no, meter_id, channel, source, commodity, 0.0 AS mean_kwh, 1.0 AS std_kwh,
                2.0 AS threshold_kwh, 'made up' AS reason FROM lake.meters""",
            "anomalies.readings_above_limit": """SELECT meter_no, local_date, local_date::TIMESTAMP AS interval_start_utc,
                1440 AS interval_minutes, energy_kwh FROM marts.meter_days JOIN lake.meters USING (meter_id, channel)
                WHERE hash(local_date, meter_id) % 40 = 0""",
        }
        for name, select in fill.items():
            connection.execute(f"INSERT INTO {name} BY NAME {select}")


def publish(home: Path, every: float) -> None:
    """Publish for ever: each generation has its number in every energy."""
    warehouse, published = Warehouse(home / "warehouse.duckdb"), Published(Settings(home=home).published_path)
    number = 0
    while True:
        number += 1
        with warehouse.transaction() as connection:
            for name, column in (
                ("marts.meter_days", "energy_kwh"),
                ("forecasts.meter_days", "p50_kwh"),
                ("anomalies.readings_above_limit", "energy_kwh"),
            ):
                connection.execute(f"UPDATE {name} SET {column} = {number}")
            published.publish(connection, TABLES, facts={"number": number}, now=datetime.now(UTC).replace(tzinfo=None))
        print(number, flush=True)
        time.sleep(every)


class Reader:
    """One reader with a connection of its own; plain HTTP/1.1, so that it costs the server's cores little."""

    def __init__(self, port: int, key: str, meters: int, seed: int) -> None:
        self.port, self.key, self.meters, self.random = port, key, meters, random.Random(seed)
        self.milliseconds: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.generations: set[str] = set()
        self.mixed = 0

    async def read(self, until: float, pause: float) -> None:
        """Ask until a time."""
        await asyncio.sleep(self.random.random() * max(pause, 0.1))
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        while time.perf_counter() < until:
            path = self.random.choice(PATHS).format(meter=f"meter-{self.random.randrange(self.meters)}")
            asked = time.perf_counter()
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.key}\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").lower()
            length = int(head.split("content-length: ")[1].split("\r\n")[0])
            content = await reader.readexactly(length)
            self.milliseconds.append(1000 * (time.perf_counter() - asked))
            self.statuses[int(head.split(" ")[1])] += 1
            self.look_at(path, content)
            if pause:
                await asyncio.sleep(pause * self.random.uniform(0.5, 1.5))
        writer.close()

    def look_at(self, path: str, content: bytes) -> None:
        """Note the generation, and whether all rows are of one."""
        answer = json.loads(content)
        self.generations.add(answer.get("generation", ""))
        days = "days" if path.startswith("/v1/usage/monthly") else None
        energies = {
            row["energy_kwh"] / (row[days] if days else 1) for row in answer.get("items", []) if "energy_kwh" in row
        }
        self.mixed += len(energies) > 1


def wait_for(port: int) -> None:
    """Until the server listens."""
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the server did not come up")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def read_all(readers: list[Reader], seconds: float, pause: float) -> None:
    """All readers at once."""
    until = time.perf_counter() + seconds
    await asyncio.gather(*(reader.read(until, pause) for reader in readers))


def measure(options: argparse.Namespace, home: Path) -> dict[str, object]:
    """Start the processes, read, and sum up."""
    settings = Settings(home=home)
    build(Warehouse(settings.warehouse_path), options.meters)
    with Operations.open(settings.operations_address) as operations:
        now = datetime.now(UTC).replace(tzinfo=None)
        keys = [operations.create_key("reader", Role.VIEWER, now_utc=now)[1] for _ in range(options.readers)]
    port, environment = free_port(), os.environ | {"ENERGY_HOME": str(home)}
    energy = str(Path(sys.executable).parent / "energy")
    publishing = [sys.executable, __file__, "--publish", str(home), "--publish-every", str(options.publish_every)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with (
        subprocess.Popen(publishing, stdout=subprocess.PIPE, text=True) as publisher,
        subprocess.Popen([energy, "serve", "--port", str(port)], env=environment, **quiet) as server,
    ):
        try:
            assert publisher.stdout is not None
            publisher.stdout.readline()
            wait_for(port)
            readers = [Reader(port, key, options.meters, seed) for seed, key in enumerate(keys)]
            used = psutil.Process(server.pid).cpu_times()
            asyncio.run(read_all(readers, options.seconds, options.pause))
            spent = psutil.Process(server.pid).cpu_times()
            memory = psutil.Process(server.pid).memory_info().rss
        finally:
            server.terminate()
            publisher.terminate()
    times = sorted(ms for reader in readers for ms in reader.milliseconds)
    statuses = sum((reader.statuses for reader in readers), Counter())
    return {
        "readers": options.readers,
        "pause_seconds": options.pause,
        "requests": len(times),
        "requests_per_second": round(len(times) / options.seconds, 1),
        "statuses": dict(statuses),
        "errors": sum(count for status, count in statuses.items() if status != 200),
        "answers_of_two_generations": sum(reader.mixed for reader in readers),
        "generations_read": len(set().union(*(reader.generations for reader in readers))),
        "p50_ms": round(statistics.median(times), 1),
        "p99_ms": round(times[int(0.99 * len(times))], 1),
        "max_ms": round(times[-1], 1),
        "server_cpu_ms_per_request": round(
            1000 * (spent.user + spent.system - used.user - used.system) / len(times), 2
        ),
        "server_rss_mib": round(memory / 2**20),
    }


def main() -> None:
    """Measure, or publish when started as the publisher."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--pause", type=float, default=0)
    parser.add_argument("--meters", type=int, default=200)
    parser.add_argument("--publish-every", type=float, default=2)
    parser.add_argument("--publish", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.publish is not None:
        publish(options.publish, options.publish_every)
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(options, Path(folder)), indent=2))


if __name__ == "__main__":
    main()
