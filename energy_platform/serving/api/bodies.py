"""The body of ``POST /v1/readings`` in its three forms, as validated events with their lines.

Belongs here: what JSON, NDJSON and CSV have in common. Does not belong here: what a reading must
say (domain/events), HTTP (readings.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from energy_platform.domain.errors import FileUnreadable
from energy_platform.domain.events import EventBatch, csv_objects, parse_events, validate_objects

JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"
MEDIA_TYPES = {JSON: JSON, NDJSON: NDJSON, "application/ndjson": NDJSON, "application/jsonl": NDJSON, CSV: CSV}


@dataclass(frozen=True, slots=True)
class Body:
    """A body that was read.

    Args:
        batch: what validation gave.
        lines: line (NDJSON, CSV) or element (JSON, the first is 1) of each event.
        raw: the bytes of the event at an index.
    """

    batch: EventBatch
    lines: Sequence[int]
    raw: Callable[[int], bytes]


def read_body(content: bytes, media_type: str, *, received_at_utc: datetime) -> Body:
    """Parse and validate a body.

    Args:
        content: as it came.
        media_type: one of the values of ``MEDIA_TYPES``.
        received_at_utc: when it came (naive UTC).

    Raises:
        FileUnreadable: the body as a whole is not what its media type says, or holds no event.
    """
    read = {JSON: _json, NDJSON: _ndjson, CSV: _csv}[media_type]
    body = read(content, received_at_utc)
    if not body.lines:
        raise FileUnreadable("body", problem="it holds no reading", remedy="Send at least one.")
    return body


def _json(content: bytes, received_at_utc: datetime) -> Body:
    try:
        parsed: Any = orjson.loads(content)
    except orjson.JSONDecodeError as problem:
        remedy = "Send a JSON object or an array of objects."
        raise FileUnreadable("body", problem=str(problem), remedy=remedy, line=problem.lineno) from None
    entries = parsed if isinstance(parsed, list) else [parsed]
    batch = validate_objects(entries, received_at_utc=received_at_utc)
    return Body(batch, range(1, len(entries) + 1), lambda index: orjson.dumps(entries[index]))


def _ndjson(content: bytes, received_at_utc: datetime) -> Body:
    numbered = [(number, line) for number, line in enumerate(content.split(b"\n"), start=1) if line.strip()]
    payloads = [line for _, line in numbered]
    batch = parse_events(payloads, received_at_utc=received_at_utc)
    return Body(batch, [number for number, _ in numbered], payloads.__getitem__)


def _csv(content: bytes, received_at_utc: datetime) -> Body:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content[: problem.start].count(b"\n") + 1
        raise FileUnreadable("body", problem="it is not UTF-8", remedy="Send UTF-8.", line=line) from None
    entries, lines = csv_objects(text)
    batch = validate_objects(entries, received_at_utc=received_at_utc)
    stood = text.splitlines()
    return Body(batch, lines, lambda index: stood[lines[index] - 1].encode())
