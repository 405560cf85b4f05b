"""``POST /v1/readings``: readings by HTTP, landed as one file before the answer is given."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import anyio
import orjson
from fastapi import APIRouter, Request, Response

from energy_platform.adapters.landing_batches import BatchName, LandingBatches
from energy_platform.adapters.operations import Answer, ApiKey, Operations
from energy_platform.domain.access import Role
from energy_platform.domain.errors import FileUnreadable, IdempotencyConflict
from energy_platform.serving.api.auth import require_role
from energy_platform.serving.api.bodies import MEDIA_TYPES, Body, read_body
from energy_platform.serving.api.problems import Problem

DEFAULT_MAX_BODY_BYTES = 16 * 1024 * 1024
# Errors that an answer lists; all of them are kept in the landing zone's rejected/.
ERRORS_LISTED = 100
_IDEMPOTENCY_KEY_LENGTH = 200


@dataclass(frozen=True, slots=True)
class ReadingsIntake:
    """What the endpoint works with.

    Args:
        operations: keys and idempotency keys.
        landing: where bodies go.
        now: the clock (naive UTC).
        max_body_bytes: larger bodies are refused before they are read.
        limiter: how many bodies are parsed at once; bounds the memory.
    """

    operations: Operations
    landing: LandingBatches
    now: Callable[[], datetime]
    max_body_bytes: int
    limiter: anyio.CapacityLimiter

    def take(self, content: bytes, media_type: str, key: ApiKey, idempotency_key: str | None) -> Answer:
        """Validate and land a body, once for an idempotency key; gives the answer as JSON."""
        digest = hashlib.sha256(media_type.encode() + b"\n" + content).hexdigest()
        if idempotency_key is None:
            return self._land(content, media_type, key, digest)
        try:
            known = self.operations.claim(key.key_id, idempotency_key, digest, now_utc=self.now())
        except IdempotencyConflict as conflict:
            headers = {"Retry-After": "5"} if conflict.in_progress else None
            raise Problem(409 if conflict.in_progress else 422, str(conflict), headers=headers) from None
        if known is not None:
            return known
        try:
            answer = self._land(content, media_type, key, digest)
        except BaseException:
            self.operations.release(key.key_id, idempotency_key)
            raise
        self.operations.settle(key.key_id, idempotency_key, answer)
        return answer

    def _land(self, content: bytes, media_type: str, key: ApiKey, digest: str) -> Answer:
        received_at_utc = self.now()
        try:
            body = read_body(content, media_type, received_at_utc=received_at_utc)
        except FileUnreadable as problem:
            raise Problem(422, str(problem)) from None
        # The name follows from the content, so that the same body sent again is the same file.
        name = BatchName("http", key.key_id, digest[:12], str(len(body.lines)))
        self.landing.land(
            body.batch,
            name,
            received_at_utc=received_at_utc,
            raw=body.raw,
            where=lambda index: {"stream": "http", "key_id": key.key_id, "line": body.lines[index]},
        )
        return _answer(body)


def _answer(body: Body) -> Answer:
    """Counts and the first errors: 202 when anything was accepted, 422 when nothing was."""
    rejections = body.batch.rejections
    errors = [
        {
            "line": body.lines[rejection.index],
            "reason": rejection.reason.value,
            "column": rejection.column,
            "detail": rejection.detail.encode("utf-8", "replace").decode(),
        }
        for rejection in rejections[:ERRORS_LISTED]
    ]
    members: dict[str, Any] = {
        "accepted": body.batch.accepted,
        "rejected": len(rejections),
        "errors": errors,
        "errors_omitted": max(0, len(rejections) - ERRORS_LISTED),
    }
    if body.batch.accepted:
        return Answer(202, orjson.dumps(members).decode())
    problem = Problem(422, "no reading could be used; see errors", **members)
    return Answer(422, orjson.dumps(problem.content()).decode())


def readings_router(intake: ReadingsIntake) -> APIRouter:
    """The endpoint."""
    router = APIRouter()

    @router.post("/v1/readings", status_code=202, summary="Send readings: JSON, NDJSON or CSV.")
    async def post_readings(request: Request) -> Response:
        key = await anyio.to_thread.run_sync(require_role, intake.operations, request.headers, Role.INGEST)
        given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        media_type = MEDIA_TYPES.get(given)
        if media_type is None or request.headers.get("content-encoding", "identity") != "identity":
            known = ", ".join(sorted(MEDIA_TYPES))
            raise Problem(415, f"send one of {known}, not compressed", headers={"Accept": known})
        idempotency_key = request.headers.get("idempotency-key")
        if idempotency_key is not None and not 0 < len(idempotency_key) <= _IDEMPOTENCY_KEY_LENGTH:
            raise Problem(422, f"Idempotency-Key must have 1 to {_IDEMPOTENCY_KEY_LENGTH} characters")
        content = await _limited_body(request, intake.max_body_bytes)
        answer = await anyio.to_thread.run_sync(
            intake.take, content, media_type, key, idempotency_key, limiter=intake.limiter
        )
        media = "application/json" if answer.status < 400 else "application/problem+json"
        return Response(answer.body, answer.status, media_type=media)

    return router


async def _limited_body(request: Request, most: int) -> bytes:
    """The body, given up as soon as it is known to be too large, whatever Content-Length says."""
    too_large = Problem(413, f"a body has at most {most} bytes; send several")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise too_large
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise too_large
    return bytes(content)
