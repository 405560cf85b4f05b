"""Times a 30-day file from its upload to S3 to the report in the bucket, against moto's server on this machine.

    .venv/bin/python benchmarks/upload_to_report.py [--repeat N]

Landing and published tables are on S3. Each repeat begins with an empty home and an empty bucket: the first upload
also makes the warehouse and has dbt parse its project; the second, of the next 30 days, is what a running
installation sees. Each is one `energy run`, which uploads, loads, computes, publishes, reports and copies the results
back: wall seconds of the whole process, start included. Python's compiled modules are there, as after any first
use. Not in it: the waits of the sensors when a daemon does the same (up to 30 s for the landing sensor, 15 s for
continue_flow).
"""

import argparse
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

BUCKET, DAYS = "energy-benchmark", 30
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


def write_month(path: Path, number: int = 0) -> None:
    """Half-hours of two appliances over 30 days, the ``number``-th of such files."""
    lines = ["timestamp,appliance,kwh"]
    for slot in range(48 * DAYS):
        start = datetime(2026, 1, 1) + timedelta(days=DAYS * number, minutes=30 * slot)
        lines += [
            f"{start.isoformat()},{name},{base + slot % 48 / 100}" for name, base in (("fridge", 0.05), ("oven", 0.4))
        ]
    path.write_text("\n".join(lines))


def upload(path: Path, home: Path, environment: dict[str, str]) -> float:
    """Seconds of one upload, from the start of the process to its end."""
    command = [str(Path(sys.executable).parent / "energy"), "run", "--source", "appliances", "--path", str(path), "-q"]
    started = time.perf_counter()
    subprocess.run(command, env={**environment, "ENERGY_HOME": str(home)}, check=True)
    return time.perf_counter() - started


def once(endpoint: str, environment: dict[str, str]) -> list[float]:
    """Seconds of the first and of the second upload."""
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")).read()
    s3 = boto3.client("s3", endpoint_url=endpoint)
    s3.create_bucket(Bucket=BUCKET)
    seconds, reports = [], set()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(2):
            month = Path(folder) / f"month-{number}.csv"
            write_month(month, number)
            seconds.append(upload(month, Path(folder) / "home", environment))
            reports.add(s3.head_object(Bucket=BUCKET, Key="reports/energy_report.html")["ETag"])
            assert s3.head_object(Bucket=BUCKET, Key="published/current.json")
    assert len(reports) == 2, "each upload has its own report"
    return seconds


def main() -> None:
    """Run the measurements and print their medians."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    os.environ.update(CREDENTIALS)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    places = {"ENERGY_LANDING": f"s3://{BUCKET}/landing", "ENERGY_PUBLISHED": f"s3://{BUCKET}/published"}
    try:
        with tempfile.TemporaryDirectory() as compiled:
            environment = {**os.environ, **places, "ENERGY_S3_ENDPOINT_URL": endpoint, "PYTHONPYCACHEPREFIX": compiled}
            environment.pop("PYTHONDONTWRITEBYTECODE", None)
            once(endpoint, environment)  # not measured: it compiles the modules
            runs = [once(endpoint, environment) for _ in range(options.repeat)]
    finally:
        server.stop()
    for name, seconds in zip(
        ("into an empty home", "into a running installation"), zip(*runs, strict=True), strict=True
    ):
        shown = ", ".join(f"{value:.1f}" for value in seconds)
        print(f"upload of {DAYS} days {name} to report: median {statistics.median(seconds):.1f} s of {shown}")


if __name__ == "__main__":
    main()
