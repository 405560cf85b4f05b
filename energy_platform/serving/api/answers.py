"""Answers as bytes: JSON with UTC times that say so, pages, and the cursors between them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
from fastapi import Response

from energy_platform.serving.api.problems import Problem

_OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
JSON = "application/json"
BAD_CURSOR = "cursor is none that this listing gave; leave it out to begin at the start"


def as_json(content: Any) -> bytes:
    """What is answered, as JSON; naive times are UTC and are written with Z."""
    return orjson.dumps(content, default=_plain, option=_OPTIONS)


def answered(content: Any, status: int = 200) -> Response:
    """An answer with JSON in it."""
    return Response(as_json(content), status, media_type=JSON)


def as_page(rows: Sequence[Any], cursor: str | None, generation_id: str | None = None) -> bytes:
    """Rows as the JSON of a page."""
    return as_json({"generation": generation_id, "items": rows, "next_cursor": cursor})


def write_cursor(*values: Any) -> str:
    """The place of a row as a word to hand out.

    Example:
        >>> read_cursor(write_cursor("meter-1", 7), 2)
        ['meter-1', 7]
    """
    return base64.urlsafe_b64encode(orjson.dumps(values, default=str)).decode().rstrip("=")


def read_cursor(text: str, length: int) -> list[Any]:
    """The values that a cursor stands for.

    Raises:
        Problem: 422, it is no cursor of that many.
    """
    try:
        values = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError):
        values = None
    if not isinstance(values, list) or len(values) != length or any(isinstance(one, dict | list) for one in values):
        raise Problem(422, BAD_CURSOR)
    return values


def read_time_cursor(text: str, length: int) -> tuple[datetime, list[str]]:
    """The same for a cursor that begins with a time and goes on with words.

    Raises:
        Problem: 422, it is none.
    """
    first, *rest = read_cursor(text, length)
    try:
        return datetime.fromisoformat(first).replace(tzinfo=None), [str(one) for one in rest]
    except (TypeError, ValueError):
        raise Problem(422, BAD_CURSOR) from None


def _plain(value: object) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(type(value).__name__)
