"""Looks at a landed file before it is loaded: is it whole, is its header right, how are its stamps written.

Belongs here: everything that makes a file fail as a whole. Does not belong here: single rows that
cannot be used (lines.py).
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import duckdb

from energy_platform.domain.errors import FileUnreadable
from energy_platform.domain.intervals import is_fixed
from energy_platform.domain.readings import LandedFile
from energy_platform.domain.sources import Csv, Key, ReadingsSource, SourceDeclaration

_SAMPLE_BYTES = 65_536
_SAMPLE_STAMPS = 50
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a name of each row is: a position in the row, or the same text for the whole file."""

    position: int | None
    text: str | None


@dataclass(frozen=True, slots=True)
class FilePlan:
    """How one landed file is read.

    Args:
        file: what landed.
        declaration: what its source says.
        header: names of the columns, trimmed.
        stamp: position of the stamp.
        value: position of the number.
        pattern: strptime pattern that the stamps of this file fit.
        meter: the meter, or the weather station.
        channel: the channel.
        quality: position of the quality word, if there is one.
        site: the site; None when each meter is its own.
        attributes: positions of the site attributes that this file has, by name.
    """

    file: LandedFile
    declaration: SourceDeclaration
    header: tuple[str, ...]
    stamp: int
    value: int
    pattern: str
    meter: Cell
    channel: Cell
    quality: int | None
    site: Cell | None
    attributes: tuple[tuple[str, int], ...]

    @property
    def is_fast(self) -> bool:
        """Whether DuckDB's reader alone can give its rows: each stamp is one UTC moment by itself."""
        declaration = self.declaration
        one_moment = "%z" in self.pattern or is_fixed(declaration.timestamp.zone)
        return isinstance(declaration, ReadingsSource) and one_moment and declaration.format.encoding == "utf-8"

    @property
    def shape(self) -> tuple[str, tuple[str, ...], str]:
        """Files of one shape can be read by one statement."""
        return self.declaration.name, self.header, self.pattern


def inspect_file(file: LandedFile, declaration: SourceDeclaration, connection: duckdb.DuckDBPyConnection) -> FilePlan:
    """How to read the file.

    Raises:
        FileUnreadable: it is no file, empty, cut off, not text, lacks a column, or its stamps fit no format.
    """
    lines = _first_lines(file, declaration.format)
    header = _header(file, lines[0], declaration.format)
    names = _Names(file, declaration, header)
    stamp = names.required(declaration.timestamp.column)
    pattern = _pattern(file, declaration, _cells(lines[1:], stamp, declaration.format), connection)
    if isinstance(declaration, ReadingsSource):
        quality = declaration.quality
        return FilePlan(
            file=file,
            declaration=declaration,
            header=header,
            stamp=stamp,
            value=names.required(declaration.value.column),
            pattern=pattern,
            meter=names.key(declaration.meter),
            channel=names.key(declaration.channel),
            quality=None if isinstance(quality, str) else names.required(quality.column),
            site=None if declaration.site is None else names.key(declaration.site),
            attributes=tuple((name, header.index(name)) for name in declaration.site_attributes if name in header),
        )
    return FilePlan(
        file=file,
        declaration=declaration,
        header=header,
        stamp=stamp,
        value=names.required(declaration.value.column),
        pattern=pattern,
        meter=names.key(declaration.station),
        channel=Cell(None, "temperature"),
        quality=None,
        site=None,
        attributes=(),
    )


def open_bytes(path: Path) -> BinaryIO:
    """The file's bytes, unpacked when its name ends in .gz."""
    return cast("BinaryIO", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


class _Names:
    """Finds columns and keys by the names that the declaration gives them."""

    def __init__(self, file: LandedFile, declaration: SourceDeclaration, header: tuple[str, ...]) -> None:
        self.file, self.declaration, self.header = file, declaration, header

    def required(self, name: str) -> int:
        """Position of a column that must be there."""
        try:
            return self.header.index(name.strip())
        except ValueError:
            raise FileUnreadable(
                str(self.file.path),
                line=1,
                column=name,
                problem=f"the header has no such column; it has {', '.join(self.header)}",
                remedy=f"Choose the source that fits the file, or mend the declaration '{self.declaration.name}'.",
            ) from None

    def key(self, key: Key) -> Cell:
        """Where a name comes from in this file."""
        if key.column is not None and (key.column in self.header or key.constant is None):
            return Cell(self.required(key.column), None)
        if key.file_name is not None:
            found = re.search(key.file_name, self.file.path.name)
            if found is not None:
                return Cell(None, found.group(1))
            if key.constant is None:
                raise FileUnreadable(
                    str(self.file.path),
                    problem=f"its name does not fit '{key.file_name}', which says whose readings they are",
                    remedy=f"Rename the file, or mend the declaration '{self.declaration.name}'.",
                )
        return Cell(None, key.constant)


def _first_lines(file: LandedFile, form: Csv) -> list[str]:
    """The first lines as text; a packed file is unpacked to its end, because DuckDB takes half a gzip for a whole one."""
    path = file.path
    if path.is_dir():
        raise FileUnreadable(str(path), problem="is a folder, not a file", remedy="Land the files in it.")
    if not path.exists():
        raise FileUnreadable(str(path), problem="is gone from the landing zone", remedy="Land it again.")
    sample = bytearray()
    unpacked = 0
    try:
        with open_bytes(path) as stream:
            while chunk := stream.read(_CHUNK):
                unpacked += len(chunk)
                if len(sample) < _SAMPLE_BYTES:
                    sample += chunk[:_SAMPLE_BYTES]
                if path.suffix != ".gz" and len(sample) >= _SAMPLE_BYTES:
                    break
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileUnreadable(
            str(path),
            line=sample.count(b"\n") + 1 if unpacked <= _SAMPLE_BYTES else None,
            problem=f"the gzip is damaged or cut off: after {unpacked} unpacked bytes: {error}",
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


def literal(text: str) -> str:
    """Text as an SQL literal.

    Example:
        >>> literal("it's")
        "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def csv_reader_options(form: Csv) -> dict[str, object]:
    """What Python's csv module must be told to split lines as the declaration says."""
    if not form.quote:
        return {"delimiter": form.delimiter, "quoting": csv.QUOTE_NONE}
    return {"delimiter": form.delimiter, "quotechar": form.quote, "strict": True}


def _header(file: LandedFile, line: str, form: Csv) -> tuple[str, ...]:
    names = next(csv.reader(io.StringIO(line), **csv_reader_options(form)), [])  # type: ignore[arg-type]
    if not any(name.strip() for name in names):
        raise FileUnreadable(str(file.path), line=1, problem="the header is empty", remedy="Add the header line.")
    return tuple(name.strip() for name in names)


def _cells(lines: list[str], position: int, form: Csv) -> list[str]:
    """The cells of one column in the sample; rows that are too short are left to the row checks."""
    try:
        rows = list(csv.reader(io.StringIO("\n".join(lines)), **csv_reader_options(form)))  # type: ignore[arg-type]
    except csv.Error:
        rows = [line.split(form.delimiter) for line in lines]
    return [row[position].strip() for row in rows if len(row) > position and row[position].strip()]


def _pattern(
    file: LandedFile, declaration: SourceDeclaration, stamps: list[str], connection: duckdb.DuckDBPyConnection
) -> str:
    """The declared pattern that most stamps of the sample fit; of several that fit alike, the first declared."""
    patterns = declaration.timestamp.patterns
    if not stamps:
        return patterns[0]
    tries = ", ".join(f"count(try_strptime(stamp, {literal(pattern)}))" for pattern in patterns)
    sample = ", ".join(literal(stamp) for stamp in stamps[:_SAMPLE_STAMPS])
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
