"""Times a 30-day file from its upload to S3 to the report in the bucket, against moto's server on this machine.

    .venv/bin/python benchmarks/upload_to_report.py [--repeat N]

Each run starts from an empty home and an empty bucket: `energy run` uploads, loads, computes, reports
and copies the results back; wall seconds of the whole process, start included. Not in it: the waits
of the sensors when a daemon does the same (up to 30 s for the landing sensor, 15 s for continue_flow).
"""

import argparse
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


def write_month(path: Path) -> None:
    """Half-hours of two appliances over 30 days."""
    lines = ["timestamp,appliance,kwh"]
    for slot in range(48 * DAYS):
        start = datetime(2026, 1, 1) + timedelta(minutes=30 * slot)
        lines += [
            f"{start.isoformat()},{name},{base + slot % 48 / 100}" for name, base in (("fridge", 0.05), ("oven", 0.4))
        ]
    path.write_text("\n".join(lines))


def once(endpoint: str) -> float:
    """Seconds of one upload, from the start of the process to the report in the bucket."""
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")).read()
    s3 = boto3.client("s3", endpoint_url=endpoint)
    s3.create_bucket(Bucket=BUCKET)
    with tempfile.TemporaryDirectory() as folder:
        month = Path(folder) / "month.csv"
        write_month(month)
        places = {"ENERGY_LANDING": f"s3://{BUCKET}/landing", "ENERGY_S3_ENDPOINT_URL": endpoint}
        environment = {**os.environ, **CREDENTIALS, **places, "ENERGY_HOME": f"{folder}/home"}
        command = [
            str(Path(sys.executable).parent / "energy"),
            "run",
            "--source",
            "appliances",
            "--path",
            str(month),
            "-q",
        ]
        started = time.perf_counter()
        subprocess.run(command, env=environment, check=True)
        seconds = time.perf_counter() - started
    s3.head_object(Bucket=BUCKET, Key="reports/energy_report.html")
    return seconds


def main() -> None:
    """Run the measurements and print their median."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    os.environ.update(CREDENTIALS)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        seconds = [once(f"http://{host}:{port}") for _ in range(options.repeat)]
    finally:
        server.stop()
    print(f"upload of {DAYS} days to report: median {statistics.median(seconds):.1f} s of {options.repeat} runs")


if __name__ == "__main__":
    main()
