"""Opens landed files and writes their names and stamps as SQL: what every step of the loader needs.

Belongs here: bytes, whatever they are packed in, and SQL text. Does not belong here: what is in a file.
"""

from __future__ import annotations

import csv
import gzip
import zipfile
from pathlib import Path
from typing import BinaryIO, cast

from energy_platform.domain.errors import FileUnreadable
from energy_platform.domain.sources import EPOCH_FORMATS, Csv, SourceDeclaration

# Empty cells must fail their cast, so that they are refused with line and text: no cell holds this.
_NO_NULL = "\x01"


def is_packed(path: Path) -> bool:
    """Whether the file's bytes must be unpacked to be read."""
    return path.suffix == ".zip" or is_gzip(path)


def open_bytes(path: Path) -> BinaryIO:
    """The file's bytes, unpacked when it is a gzip, whatever its name, or a zip of one file.

    Raises:
        FileUnreadable: the zip holds several files, or none.
    """
    if path.suffix == ".zip":
        archive = zipfile.ZipFile(path)
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) != 1:
            raise FileUnreadable(
                str(path), problem=f"holds {len(members)} files; a zip must hold one", remedy="Unpack and land them."
            )
        return cast("BinaryIO", archive.open(members[0]))
    return cast("BinaryIO", gzip.open(path, "rb")) if is_gzip(path) else path.open("rb")


def is_gzip(path: Path) -> bool:
    """Firehose names its gzip objects as it likes; a gzip begins with these two bytes, no text does."""
    if path.suffix == ".gz":
        return True
    with path.open("rb") as content:
        return content.read(2) == b"\x1f\x8b"


def literal(text: str) -> str:
    """Text as an SQL literal.

    Example:
        >>> literal("it's")
        "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def stamp_sql(text: str, pattern: str) -> str:
    """A column of text as a moment by one pattern; null where it does not fit.

    Example:
        >>> stamp_sql("t", "epoch_ms")
        'make_timestamp(CAST(round(TRY_CAST(t AS DOUBLE) * 1000) AS BIGINT))'
    """
    if pattern in EPOCH_FORMATS:
        return f"make_timestamp(CAST(round(TRY_CAST({text} AS DOUBLE) * {EPOCH_FORMATS[pattern]}) AS BIGINT))"
    return f"try_strptime({text}, {literal(pattern)})"


def csv_reader_options(form: Csv) -> dict[str, object]:
    """What Python's csv module must be told to split lines as the declaration says."""
    if not form.quote:
        return {"delimiter": form.delimiter, "quoting": csv.QUOTE_NONE}
    return {"delimiter": form.delimiter, "quotechar": form.quote, "strict": True}


def csv_options(declaration: SourceDeclaration) -> str:
    """What DuckDB's reader must be told to split lines as the declaration says."""
    form = declaration.format
    assert isinstance(form, Csv)  # noqa: S101  (FilePlan.is_fast)
    quote = literal(form.quote)
    return (
        f"header = true, auto_detect = false, delim = {literal(form.delimiter)}, quote = {quote}, escape = {quote}, "
        f"decimal_separator = {literal(form.decimal)}, nullstr = {literal(_NO_NULL)}"
    )
