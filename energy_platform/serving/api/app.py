"""The application: which routes there are and what they work with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
from fastapi import FastAPI, Response
from prometheus_client import CollectorRegistry

from energy_platform.adapters.landing_batches import LandingBatches
from energy_platform.adapters.operations import Operations
from energy_platform.adapters.operations.control_log import keep_for_good
from energy_platform.serving.api import metrics, problems
from energy_platform.serving.api.alerts import AlertDesk, alerts_router
from energy_platform.serving.api.auth import Gate
from energy_platform.serving.api.devices import DeviceDesk, commands_router, devices_router
from energy_platform.serving.api.feedback import FeedbackDesk, feedback_router
from energy_platform.serving.api.generations import GenerationReader
from energy_platform.serving.api.kill_switches import kill_switches_router
from energy_platform.serving.api.limits import RateLimiter
from energy_platform.serving.api.live import LiveReader, live_router
from energy_platform.serving.api.models import Health
from energy_platform.serving.api.readings import DEFAULT_MAX_BODY_BYTES, READINGS_PATH, ReadingsIntake, readings_router
from energy_platform.serving.api.tables import TableReader, tables_router
from energy_platform.serving.published import open_published
from energy_platform.settings import Settings

BODIES_AT_ONCE = 2
SMALL_BODY_BYTES = 64 * 1024
# More threads than connections of the operations store only wait for each other.
REQUESTS_AT_ONCE = 12


def create_app(
    settings: Settings,
    *,
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
    now: Callable[[], datetime] | None = None,
) -> FastAPI:
    """The API of an installation.

    Args:
        settings: which installation.
        max_body_bytes: larger bodies are answered with 413.
        now: the clock (naive UTC), replaced in tests.
    """
    operations = Operations.open(settings.operations_address)
    keep_for_good(operations)
    now = now or _utc_now

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = REQUESTS_AT_ONCE
        yield
        operations.close()

    # The pages that show the API load scripts from elsewhere; /openapi.json is enough.
    app = FastAPI(title="Energy platform", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    problems.install(app)
    gate = Gate(operations, RateLimiter(per_minute=settings.api_requests_per_minute))
    generations = GenerationReader(open_published(settings))
    live = LiveReader(gate, operations, generations)
    intake = ReadingsIntake(
        gate=gate,
        operations=operations,
        site_of=live.site_of_meters,
        landing=LandingBatches(settings.landing_path),
        now=now,
        max_body_bytes=max_body_bytes,
        limiter=anyio.CapacityLimiter(BODIES_AT_ONCE),
    )
    desk = DeviceDesk(gate, operations, now)
    app.include_router(readings_router(intake))
    app.include_router(tables_router(TableReader(gate, generations)))
    app.include_router(live_router(live))
    app.include_router(alerts_router(AlertDesk(gate, operations, now)))
    app.include_router(feedback_router(FeedbackDesk(gate, operations, generations, now)))
    for router in (devices_router, commands_router, kill_switches_router):
        app.include_router(router(desk))
    app.add_middleware(problems.SmallBodies, most_bytes=SMALL_BODY_BYTES, but=frozenset({READINGS_PATH}))
    _watch(app, operations, generations, now)
    return app


def _watch(app: FastAPI, operations: Operations, generations: GenerationReader, now: Callable[[], datetime]) -> None:
    """What needs no key: health and metrics, which name no meter, site or key."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics.StandingCollector(operations, generations, now))
    app.add_middleware(metrics.RequestMetrics, registry=registry)

    @app.get("/health", include_in_schema=False)
    @app.get("/v1/health", tags=["health"], response_model=Health, responses=problems.documented())
    def health() -> dict[str, str]:
        """Whether the API can do its work."""
        operations.list_keys()
        return {"status": "ok"}

    @app.get("/metrics", tags=["health"], response_class=Response, responses=problems.documented())
    def prometheus() -> Response:
        """Metrics for Prometheus."""
        return Response(metrics.exposition(registry), media_type="text/plain; version=0.0.4; charset=utf-8")


def _utc_now() -> datetime:
    return datetime.now(tz=UTC).replace(tzinfo=None)
