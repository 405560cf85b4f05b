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
from pydantic import BaseModel

from energy_platform.adapters.landing_batches import BatchName, LandingBatches
from energy_platform.adapters.operations import Answer, Operations
from energy_platform.domain.access import SENDERS
from energy_platform.domain.errors import FileUnreadable, IdempotencyConflict
from energy_platform.serving.api.auth import BEARER, Caller, Gate
from energy_platform.serving.api.bodies import CSV, JSON, MEDIA_TYPES, NDJSON, Body, read_body
from energy_platform.serving.api.problems import Problem, documented

READINGS_PATH = "/v1/readings"
DEFAULT_MAX_BODY_BYTES = 16 * 1024 * 1024
# Errors that an answer lists; all of them are kept in the landing zone's rejected/.
ERRORS_LISTED = 100
_IDEMPOTENCY_KEY_LENGTH = 200


_READING: dict[str, Any] = {
    "type": "object",
    "required": ["meter_id", "interval_start", "interval_minutes", "energy_kwh"],
    "properties": {
        "meter_id": {"type": "string"},
        "channel": {"type": "string", "default": "main"},
        "interval_start": {"type": "string", "format": "date-time", "description": "With its zone."},
        "interval_minutes": {"type": "integer", "minimum": 1},
        "energy_kwh": {"type": "number"},
    },
}
_BODY: dict[str, Any] = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "schema": {"type": "string", "minLength": 1, "maxLength": _IDEMPOTENCY_KEY_LENGTH},
            "description": "The same key and body again are answered as the first time, and landed once.",
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"oneOf": [_READING, {"type": "array", "items": _READING, "minItems": 1}]}},
            NDJSON: {"schema": {"type": "string"}},
            CSV: {"schema": {"type": "string"}},
        },
    },
}


class RowError(BaseModel):
    """A row that was not taken; it is kept in the landing zone's rejected/."""

    line: int
    reason: str
    column: str | None
    detail: str


class Taken(BaseModel):
    """What became of a body."""

    accepted: int
    rejected: int
    errors: list[RowError]
    errors_omitted: int


@dataclass(frozen=True, slots=True)
class ReadingsIntake:
    """What the endpoint works with.

    Args:
        gate: who may send, and how often.
        operations: keys and idempotency keys.
        site_of: the site of a meter; a meter that nothing names is its own.
        landing: where bodies go.
        now: the clock (naive UTC).
        max_body_bytes: larger bodies are refused before they are read.
        limiter: how many bodies are parsed at once; bounds the memory.
    """

    gate: Gate
    operations: Operations
    site_of: Callable[[], dict[str, str]]
    landing: LandingBatches
    now: Callable[[], datetime]
    max_body_bytes: int
    limiter: anyio.CapacityLimiter

    def take(self, content: bytes, media_type: str, caller: Caller, idempotency_key: str | None) -> Answer:
        """Validate and land a body, once for an idempotency key; gives the answer as JSON."""
        key = caller.key
        digest = hashlib.sha256(media_type.encode() + b"\n" + content).hexdigest()
        if idempotency_key is None:
            return self._land(content, media_type, caller, digest)
        try:
            known = self.operations.claim(key.key_id, idempotency_key, digest, now_utc=self.now())
        except IdempotencyConflict as conflict:
            headers = {"Retry-After": "5"} if conflict.in_progress else None
            raise Problem(409 if conflict.in_progress else 422, str(conflict), headers=headers) from None
        if known is not None:
            return known
        try:
            answer = self._land(content, media_type, caller, digest)
        except BaseException:
            self.operations.release(key.key_id, idempotency_key)
            raise
        self.operations.settle(key.key_id, idempotency_key, answer)
        return answer

    def _land(self, content: bytes, media_type: str, caller: Caller, digest: str) -> Answer:
        received_at_utc = self.now()
        try:
            body = read_body(content, media_type, received_at_utc=received_at_utc)
        except FileUnreadable as problem:
            raise Problem(422, str(problem)) from None
        self._expect_own_meters(body, caller)
        key = caller.key
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

    def _expect_own_meters(self, body: Body, caller: Caller) -> None:
        """A key for some sites sends readings of their meters only; nothing of a body with another one is landed."""
        if caller.sites.only is None:
            return
        sites = self.site_of()
        meters = {str(meter) for _, frame in body.batch.frames() for meter in frame["meter_id"].unique()}
        if strange := sorted(meter for meter in meters if not caller.sites.include(sites.get(meter, meter))):
            raise Problem(403, f"this key is for other sites than that of the meter '{strange[0]}'; nothing was taken")


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
    router = APIRouter(tags=["readings"], dependencies=[BEARER])

    @router.post(
        READINGS_PATH,
        status_code=202,
        summary="Send readings: JSON, NDJSON or CSV.",
        response_model=Taken,
        responses=documented(400, 401, 403, 409, 413, 415, 422, 429),
        openapi_extra=_BODY,
    )
    async def post_readings(request: Request) -> Response:
        caller = await anyio.to_thread.run_sync(intake.gate.admit, request.headers, SENDERS)
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
            intake.take, content, media_type, caller, idempotency_key, limiter=intake.limiter
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
