"""``GET /metrics`` for Prometheus: requests by endpoint, and how things stand when it is asked.

Belongs here: names of metrics. No meter, site or key stands in a label: the page needs no key, and labels are few.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from energy_platform.adapters.operations import Operations
from energy_platform.adapters.operations.standing import standing
from energy_platform.domain.alerts.records import Severity
from energy_platform.domain.control.commands import CommandState
from energy_platform.serving.api.generations import GenerationReader
from energy_platform.serving.api.problems import Problem

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class StandingCollector(Collector):
    """How things stand, looked up when the page is asked for."""

    operations: Operations
    generations: GenerationReader
    now: Callable[[], datetime]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Ages and counts."""
        yield from self._published()
        now = standing(self.operations)
        alerts = GaugeMetricFamily("energy_alerts_open", "Alert episodes that are not over.", labels=["severity"])
        for severity in Severity:
            alerts.add_metric([severity.value], now.alerts.get(severity.value, 0))
        commands = GaugeMetricFamily("energy_commands", "Commands ever asked for, by state.", labels=["state"])
        for state in CommandState:
            commands.add_metric([state.value], now.commands.get(state.value, 0))
        yield from (alerts, commands)
        yield _gauge("energy_latches_open", "Meters that were shut off and wait to be cleared.", now.latches)
        yield _gauge("energy_kill_switches_thrown", "Kill switches that are thrown.", now.kill_switches)

    def _published(self) -> Iterator[GaugeMetricFamily]:
        try:
            generation = self.generations.current()
        except Problem:
            return
        age = (self.now() - generation.created_at_utc).total_seconds()
        yield _gauge("energy_generation_age_seconds", "Time since the newest generation was published.", age)


class RequestMetrics:
    """Counts and times requests around an application.

    Args:
        app: the application.
        registry: where the metrics are kept.
    """

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        labels = ("method", "path")
        self._count = Counter("energy_requests", "Requests answered.", (*labels, "status"), registry=registry)
        self._seconds = Histogram(
            "energy_request_seconds", "Time to the end of the answer.", labels, buckets=SECONDS, registry=registry
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note what became of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, started = 500, time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            # The path as it is declared: what stands in its place would be a label for every device.
            path = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if path != "none" else "any"
            self._count.labels(method, path, str(status)).inc()
            self._seconds.labels(method, path).observe(time.perf_counter() - started)


def exposition(registry: CollectorRegistry) -> bytes:
    """The page."""
    return generate_latest(registry)


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_text, value=value)
