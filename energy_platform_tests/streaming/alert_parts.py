"""Parts of alerting for the tests: events of an ESP32 meter, receivers of messages that are real servers, an alerting."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson

from energy_platform.adapters.alert_rules import RuleBook
from energy_platform.adapters.notify import open_channels
from energy_platform.adapters.operations import Operations
from energy_platform.domain.events import EventBatch, parse_events
from energy_platform.streaming.alerting import Alerting

NOW = datetime(2024, 6, 1, 12)
EPOCH = datetime(1970, 1, 1)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


def esp32_event(voltage_v: float, at_utc: datetime, device: str = "esp32-1") -> bytes:
    """A message of an ESP32 meter, all three channels on."""
    fields = dict.fromkeys("bcefhi", "1.00") | dict.fromkeys("dg", "240.00") | {"a": f"{voltage_v:.2f}"}
    return orjson.dumps(fields | {"device_id": device, "timestamp": (at_utc - EPOCH).total_seconds()})


def sensor_event(value: float, at_utc: datetime, sensor: str) -> bytes:
    stamp = int((at_utc - EPOCH).total_seconds())
    return orjson.dumps({"sensor_id": sensor, "timestamp": stamp, "data": {"value": value}})


def voltages(values: list[float], *, start: datetime = NOW, device: str = "esp32-1") -> EventBatch:
    """A batch with one message a second."""
    events = [esp32_event(value, start + timedelta(seconds=place), device) for place, value in enumerate(values)]
    return parse_events(events, received_at_utc=start + timedelta(seconds=len(values)))


@dataclass
class Received:
    """What a webhook was sent and took: bodies, headers and when (``time.perf_counter``); ``refused`` is what it did not."""

    bodies: list[dict] = field(default_factory=list)
    headers: list[dict] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    refused: int = 0
    address: str = ""


@contextmanager
def webhook(*, failing_share: float = 0.0, seed: int = 1) -> Iterator[Received]:
    """An HTTP server that takes JSON, or answers 503 to a share of the requests, seeded."""
    received, chance, lock = Received(), random.Random(seed), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                is_taken = chance.random() >= failing_share
                if is_taken:
                    received.bodies.append(body)
                    received.headers.append(dict(self.headers))
                    received.times.append(time.perf_counter())
                else:
                    received.refused += 1
            self.send_response(200 if is_taken else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    received.address = f"http://127.0.0.1:{server.server_address[1]}/hook"
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def mail_server() -> Iterator[tuple[str, list]]:
    """A real SMTP server; gives the address for ENERGY_CHANNELS and the messages that it took."""
    from aiosmtpd.controller import Controller

    taken: list = []

    class Handler:
        async def handle_DATA(self, _server, _session, envelope) -> str:
            taken.append(message_from_bytes(envelope.content, policy=policy.default))
            return "250 OK"

    from energy_platform_tests.streaming.brokers import free_port

    controller = Controller(Handler(), hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield f"mailto://127.0.0.1:{controller.port}?from=alerts@example.org&to=home@example.org", taken
    finally:
        controller.stop()


@contextmanager
def alerting(tmp_path: Path, addresses: dict[str, str] | None = None, rules: str | None = None) -> Iterator[Alerting]:
    """Alerting over a store in ``tmp_path``; ``rules`` is the text of a file of one's own."""
    own = None
    if rules is not None:
        own = tmp_path / "rules"
        own.mkdir(exist_ok=True)
        (own / "own.yml").write_text(rules)
    channels = open_channels(addresses or {}, sns_client=lambda: None)
    with Operations.open(f"sqlite:///{tmp_path / 'operations.db'}") as operations:
        yield Alerting(operations, RuleBook(own), channels, "http://127.0.0.1:3000")
