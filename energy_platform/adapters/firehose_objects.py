"""Firehose objects on disk: unzip, split, and write the CSV data set, whole or not at all.

What belongs here: bytes of files. What a record is, and what becomes of it, is in
domain/concatenated_json.py. An object with a fault gives its good records and one fault line;
what could not be used is written beside the data set, so nothing is lost.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from energy_platform.domain.concatenated_json import SplitRecords, data_set, split_records, to_csv
from energy_platform.domain.errors import FileUnreadable

GZIP_MAGIC = b"\x1f\x8b"
REJECTED_SUFFIX = ".rejected.ndjson"
OWN_SUFFIXES = (".csv", REJECTED_SUFFIX, ".tmp")


@dataclass(frozen=True, slots=True)
class Converted:
    """What one conversion came to; ``records = rows + rejected``."""

    path: Path
    objects: int
    records: int
    rows: int
    rejected: int
    faults: tuple[str, ...]


def read_object(path: Path) -> SplitRecords:
    """The records of one object, gzip (also several members) or not.

    Raises:
        FileUnreadable: it cannot be opened or unzipped at all.
    """
    try:
        content = path.read_bytes()
        return split_records(gzip.decompress(content) if content.startswith(GZIP_MAGIC) else content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileUnreadable(
            str(path), problem=f"the gzip is cut off or damaged ({error})", remedy="Fetch it again."
        ) from None
    except OSError as error:
        raise FileUnreadable(
            str(path), problem=str(error.strerror or error), remedy="Give a file that can be read."
        ) from None


def objects_below(source: Path) -> list[Path]:
    """The file itself, or all files below a folder in order of name; our own outputs are left out.

    Raises:
        FileUnreadable: there is nothing there.
    """
    if source.is_file():
        return [source]
    found = sorted(path for path in source.rglob("*") if path.is_file() and not path.name.endswith(OWN_SUFFIXES))
    if not found:
        problem = "holds no files" if source.is_dir() else "is not there"
        raise FileUnreadable(str(source), problem=problem, remedy="Give a Firehose object or a folder of them.")
    return found


def convert(source: Path, target: Path) -> Iterator[Converted]:
    """Convert objects to CSV: one data set when ``target`` ends in .csv, else one a file in that folder.

    A folder's structure is kept. Files that cannot be unzipped are faults of the outcome; the
    others are converted all the same.

    Raises:
        FileUnreadable: there is nothing to convert, or the target cannot be written.
    """
    paths = objects_below(source)
    if target.suffix.lower() == ".csv":
        yield _convert_into(paths, target)
        return
    root = source if source.is_dir() else source.parent
    for path in paths:
        inside = path.relative_to(root)
        yield _convert_into([path], target / inside.with_name(inside.name + ".csv"))


def _convert_into(paths: Sequence[Path], target: Path) -> Converted:
    """Several objects as one data set; rejected records and unread tails stand beside it."""
    records: list[dict[str, Any]] = []
    places: list[tuple[str, int]] = []
    faults: list[str] = []
    unused: list[dict[str, Any]] = []
    for path in paths:
        try:
            found = read_object(path)
        except FileUnreadable as error:
            faults.append(str(error))
            continue
        records += found.records
        places += [(str(path), offset) for offset in found.offsets]
        if found.malformed is not None:
            at, why = found.malformed.byte_offset, found.malformed.reason
            faults.append(f"{path}, byte {at}: {why}; {len(found.malformed.tail)} bytes from there on are not used")
            tail = found.malformed.tail.decode("utf-8", "backslashreplace")
            unused.append({"file": str(path), "byte_offset": at, "reason": why, "raw_text": tail})
    rows = data_set(records)
    for item in rows.rejected:
        file, offset = places[item.position]
        unused.append({"file": file, "byte_offset": offset, "reason": item.reason, "raw_text": json.dumps(item.record)})
    try:
        _write(target, to_csv(rows.header, rows.rows))
        beside = target.with_name(target.name + REJECTED_SUFFIX)
        if unused:
            _write(beside, "".join(json.dumps(item) + "\n" for item in unused))
        else:
            beside.unlink(missing_ok=True)
    except OSError as error:
        problem, remedy = str(error.strerror or error), "Give a place that can be written to."
        raise FileUnreadable(str(target), problem=problem, remedy=remedy) from None
    return Converted(target, len(paths), len(records), len(rows.rows), len(rows.rejected), tuple(faults))


def _write(path: Path, text: str) -> None:
    """Replace a file by a whole one; a lone surrogate of the JSON is written as its escape."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(text.encode("utf-8", "backslashreplace"))
    os.replace(temporary, path)  # noqa: PTH105  replaces on every system
