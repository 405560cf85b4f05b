"""The application: which routes there are and what they work with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
from fastapi import FastAPI

from energy_platform.adapters.landing_batches import LandingBatches
from energy_platform.adapters.operations import Operations
from energy_platform.serving.api import problems
from energy_platform.serving.api.readings import DEFAULT_MAX_BODY_BYTES, ReadingsIntake, readings_router
from energy_platform.settings import Settings

BODIES_AT_ONCE = 2


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

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        operations.close()

    # The pages that show the API load scripts from elsewhere; /openapi.json is enough.
    app = FastAPI(title="Energy platform", lifespan=lifespan, docs_url=None, redoc_url=None)
    problems.install(app)
    intake = ReadingsIntake(
        operations=operations,
        landing=LandingBatches(settings.landing_path),
        now=now or _utc_now,
        max_body_bytes=max_body_bytes,
        limiter=anyio.CapacityLimiter(BODIES_AT_ONCE),
    )
    app.include_router(readings_router(intake))

    @app.get("/health", summary="Whether the API can do its work.")
    def health() -> dict[str, str]:
        operations.list_keys()
        return {"status": "ok"}

    return app


def _utc_now() -> datetime:
    return datetime.now(tz=UTC).replace(tzinfo=None)
