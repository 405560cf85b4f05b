"""Firehose objects: JSON objects one after another with nothing between them.

What belongs here: bytes (already unzipped) to records, and records to the flat data set of
sensor_id, timestamp and value. Not here: files and gzip (adapters/firehose_objects.py), and what
makes a record a reading (the source declaration).

Splitting at ``}{`` loses the first and the last record of every object as soon as payloads nest,
and cuts strings in two. A JSON decoder knows where an object ends.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

BYTE_ORDER_MARK = "\ufeff"
BETWEEN_RECORDS = " \t\r\n"
REQUIRED_FIELDS = ("sensor_id", "timestamp")


@dataclass(frozen=True, slots=True)
class Malformed:
    """Where an object stops being JSON records: the byte offset, why, and the bytes from there on."""

    byte_offset: int
    reason: str
    tail: bytes


@dataclass(frozen=True, slots=True)
class SplitRecords:
    """The records before any fault, in order, with the byte at which each begins; and the fault."""

    records: list[dict[str, Any]]
    offsets: list[int]
    malformed: Malformed | None


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A record that has no place in the flat data set, and why."""

    position: int
    reason: str
    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DataSet:
    """Rows of equal length under ``header``; records = rows + rejected."""

    header: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    rejected: list[RejectedRecord]


def split_records(content: bytes) -> SplitRecords:
    r"""Split concatenated JSON objects; white space between them may or may not be there.

    A fault ends the reading: what stands behind it cannot be told from it. The records before it
    are returned all the same, and the fault carries its byte offset and the bytes left unread.

    Args:
        content: the unzipped bytes of one object, UTF-8.

    Example:
        >>> split_records(b'{"a":{"b":"}{"}}{"a":2}').records
        [{'a': {'b': '}{'}}, {'a': 2}]
        >>> split_records(b'{"a":1}{"a":').malformed.byte_offset
        7
    """
    try:
        text, undecodable = content.decode("utf-8"), None
    except UnicodeDecodeError as error:
        text, undecodable = content[: error.start].decode("utf-8"), error
    records: list[dict[str, Any]] = []
    starts: list[int] = []
    at, fault = (1 if text.startswith(BYTE_ORDER_MARK) else 0), ""
    decode, end = _DECODER.raw_decode, len(text)
    while True:
        while at < end and text[at] in BETWEEN_RECORDS:
            at += 1
        if at >= end:
            break
        try:
            record, after = decode(text, at)
        except (ValueError, RecursionError) as error:
            fault = _why(error)
            break
        if not isinstance(record, dict):
            fault = f"a record must be a JSON object, found {type(record).__name__}"
            break
        records.append(record)
        starts.append(at)
        at = after
    offsets = _byte_offsets(text, starts, len(content) if undecodable is None else len(text.encode()))
    if undecodable is not None:
        not_utf8 = f"byte {undecodable.start} is not UTF-8 ({undecodable.reason})"
        fault = f"{fault}; {not_utf8}" if fault else not_utf8
    if not fault:
        return SplitRecords(records, offsets, None)
    byte_offset = len(text[:at].encode())
    return SplitRecords(records, offsets, Malformed(byte_offset, fault, content[byte_offset:]))


def data_set(records: Iterable[dict[str, Any]]) -> DataSet:
    """The flat data set: ``sensor_id,timestamp,value`` and whatever else the records carry.

    ``data`` may be an object (``{"value": 3.2}``) or a bare number; both forms have been in use.
    Further keys of ``data`` and of the record become columns in the order of first appearance.
    A record without sensor_id, timestamp or a number as value is rejected with the reason.

    Example:
        >>> found = data_set([{"sensor_id": "gas-sensor", "timestamp": 1, "data": {"value": 2.5}}])
        >>> found.header, found.rows
        (('sensor_id', 'timestamp', 'value'), [('gas-sensor', 1, 2.5)])
    """
    extra: dict[str, None] = {}
    flat: list[dict[str, Any]] = []
    rejected: list[RejectedRecord] = []
    for position, record in enumerate(records):
        row, reason = _flatten(record)
        if reason:
            rejected.append(RejectedRecord(position, reason, record))
            continue
        flat.append(row)
        extra.update(dict.fromkeys(row))
    header = ("sensor_id", "timestamp", "value", *(name for name in extra if name not in _FIXED))
    return DataSet(header, [tuple(row.get(name) for name in header) for row in flat], rejected)


def to_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    r"""CSV text with a header line; null is an empty cell, what needs quotes has them.

    Example:
        >>> to_csv(("sensor_id", "value"), [("a,b", None)])
        'sensor_id,value\n"a,b",\n'
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


_FIXED = frozenset({"sensor_id", "timestamp", "value"})


def _flatten(record: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """One record as a flat row, or the reason why it cannot be one."""
    missing = [name for name in REQUIRED_FIELDS if not _is_key(record.get(name))]
    if missing:
        return {}, f"no usable {' and no usable '.join(missing)}"
    data = record.get("data", record.get("value"))
    inner = data if isinstance(data, dict) else {"value": data}
    value = inner.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return {}, f"value is {json.dumps(value)}, not a finite number"
    row = {"sensor_id": record["sensor_id"], "timestamp": record["timestamp"], "value": value}
    used = {"data", *REQUIRED_FIELDS} if "data" in record else {"value", *REQUIRED_FIELDS}
    for prefix, source, skip in (("data", inner, {"value"}), ("record", record, used)):
        for name, item in source.items():
            if name not in skip:
                free = f"{prefix}_{name}" if name in row else name
                row[free] = json.dumps(item) if isinstance(item, dict | list) else item
    return row, ""


def _is_key(item: object) -> bool:
    """Whether a value can name a sensor or a time: text or a number, not empty."""
    return not isinstance(item, bool) and isinstance(item, str | int | float) and item != ""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _why(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not a whole JSON object ({error.msg})"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _byte_offsets(text: str, starts: list[int], byte_length: int) -> list[int]:
    """Byte offsets of character positions; the same numbers when all is ASCII."""
    if byte_length == len(text):
        return starts
    offsets, bytes_so_far, last = [], 0, 0
    for start in starts:
        bytes_so_far += len(text[last:start].encode())
        offsets.append(bytes_so_far)
        last = start
    return offsets
