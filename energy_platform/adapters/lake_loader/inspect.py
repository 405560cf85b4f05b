"""Looks at a landed file before it is loaded: is it whole, is its header right, how are its stamps written.

Belongs here: everything that makes a file fail as a whole. Does not belong here: single rows that
cannot be used (lines.py).
"""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import duckdb

from energy_platform.adapters.lake_loader.content import (
    csv_reader_options,
    is_packed,
    literal,
    open_bytes,
    stamp_sql,
)
from energy_platform.adapters.lake_loader.plan import ZERO_FRACTION, FilePlan, named_columns, plan_file
from energy_platform.domain.errors import FileUnreadable
from energy_platform.domain.readings import LandedFile
from energy_platform.domain.sources import Csv, Parquet, SourceDeclaration

_SAMPLE_BYTES = 65_536
_SAMPLE_STAMPS = 50
_CHUNK = 1 << 20


def inspect_file(file: LandedFile, declaration: SourceDeclaration, connection: duckdb.DuckDBPyConnection) -> FilePlan:
    """How to read the file.

    Raises:
        FileUnreadable: it is no file, empty, cut off, not text, lacks a column, or its stamps fit no format.
    """
    form = declaration.format
    lines: list[str] = []
    if isinstance(form, Csv):
        lines = _first_lines(file, form)
        header = _header(file, lines[0], form)
    elif isinstance(form, Parquet):
        header = _parquet_header(file, connection)
    else:
        _first_lines(file, Csv())
        header = named_columns(declaration)
    plan = plan_file(file, declaration, header)
    if isinstance(form, Csv):
        stamps = _stamps(lines[1:], plan, form)
        plain = not is_packed(file.path) or file.path.suffix == ".gz"
        plan = replace(
            plan,
            pattern=_pattern(file, declaration, stamps, connection),
            is_plain=plain,
            has_zero_fraction=bool(stamps) and all(stamp.endswith(ZERO_FRACTION) for stamp in stamps),
        )
    return plan


def _parquet_header(file: LandedFile, connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    _must_be_a_file(file)
    try:
        rows = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(str(file.path))})").fetchall()
    except (duckdb.InvalidInputException, duckdb.IOException) as error:
        raise FileUnreadable(
            str(file.path),
            problem=f"is no whole Parquet file: {' '.join(str(error).split())[:200]}",
            remedy="Fetch the file again and land it.",
        ) from None
    return tuple(row[0] for row in rows)


def _must_be_a_file(file: LandedFile) -> None:
    path = file.path
    if path.is_dir():
        raise FileUnreadable(str(path), problem="is a folder, not a file", remedy="Land the files in it.")
    if not path.exists():
        raise FileUnreadable(str(path), problem="is gone from the landing zone", remedy="Land it again.")


def _first_lines(file: LandedFile, form: Csv) -> list[str]:
    """The first lines as text; a packed file is unpacked to its end, because DuckDB takes half a gzip for a whole one."""
    _must_be_a_file(file)
    path = file.path
    sample = bytearray()
    unpacked = 0
    packed = is_packed(path)
    try:
        with open_bytes(path) as stream:
            while chunk := stream.read(_CHUNK if packed else _SAMPLE_BYTES):
                unpacked += len(chunk)
                if len(sample) < _SAMPLE_BYTES:
                    sample += chunk[:_SAMPLE_BYTES]
                if not packed and len(sample) >= _SAMPLE_BYTES:
                    break
    except (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error) as error:
        raise FileUnreadable(
            str(path),
            line=sample.count(b"\n") + 1 if unpacked <= _SAMPLE_BYTES else None,
            problem=f"the {'zip' if path.suffix == '.zip' else 'gzip'} is damaged or cut off: after {unpacked} unpacked bytes: {error}",
            remedy="Fetch the file again and land it.",
        ) from None
    if not sample.strip():
        raise FileUnreadable(str(path), line=1, problem="is empty", remedy="Fetch the file again and land it.")
    return _decoded(path, bytes(sample), form)


def _decoded(path: Path, sample: bytes, form: Csv) -> list[str]:
    """The sample as lines of text. Later lines that are no text are refused one by one; the header must be text."""
    first, *rest = sample.removeprefix(b"\xef\xbb\xbf").splitlines()
    try:
        header = first.decode(form.encoding)
    except UnicodeDecodeError as error:
        raise FileUnreadable(
            str(path), line=1, problem=f"is not text in {form.encoding}: {error.reason}", remedy="Save it as UTF-8."
        ) from None
    if "\0" in header:
        raise FileUnreadable(
            str(path), line=1, problem="has zero bytes, as UTF-16 and binary files do", remedy="Save it as UTF-8 text."
        )
    if len(sample) >= _SAMPLE_BYTES and len(rest) > 1:
        rest.pop()
    return [header, *(line.decode(form.encoding, errors="replace") for line in rest)]


def _header(file: LandedFile, line: str, form: Csv) -> tuple[str, ...]:
    names = next(csv.reader(io.StringIO(line), **csv_reader_options(form)), [])  # type: ignore[arg-type]
    if not any(name.strip() for name in names):
        raise FileUnreadable(str(file.path), line=1, problem="the header is empty", remedy="Add the header line.")
    return tuple(name.strip() for name in names)


def _stamps(lines: list[str], plan: FilePlan, form: Csv) -> list[str]:
    """The first stamps of the sample; rows that are too short are left to the row checks."""
    positions = [plan.stamp] if plan.time is None else [plan.stamp, plan.time]

    def stamps_of(rows: Iterable[list[str]]) -> list[str]:
        parts = ([row[at].strip() for at in positions] for row in rows if len(row) > max(positions))
        return list(islice((" ".join(cells) for cells in parts if all(cells)), _SAMPLE_STAMPS))

    try:
        return stamps_of(csv.reader((f"{line}\n" for line in lines), **csv_reader_options(form)))  # type: ignore[arg-type]
    except csv.Error:
        return stamps_of(line.split(form.delimiter) for line in lines)


def _pattern(
    file: LandedFile, declaration: SourceDeclaration, stamps: list[str], connection: duckdb.DuckDBPyConnection
) -> str:
    """The declared pattern that most stamps of the sample fit; of several that fit alike, the first declared."""
    patterns = declaration.timestamp.patterns
    if not stamps:
        return patterns[0]
    tries = ", ".join(f"count({stamp_sql('stamp', pattern)})" for pattern in patterns)
    sample = ", ".join(literal(stamp) for stamp in stamps)
    counts = list(connection.execute(f"SELECT {tries} FROM (SELECT unnest([{sample}]) AS stamp)").fetchall()[0])
    if max(counts) == 0:
        raise FileUnreadable(
            str(file.path),
            line=2,
            column=declaration.timestamp.column,
            problem=f"'{stamps[0]}' is in none of the declared formats {', '.join(declaration.timestamp.formats)}",
            remedy=f"Add its format to 'timestamp.formats' of the declaration '{declaration.name}'.",
        )
    return patterns[counts.index(max(counts))]
