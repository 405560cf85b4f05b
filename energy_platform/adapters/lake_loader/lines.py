"""Takes files apart into numbered texts: lines of a table, lines of NDJSON, records of a Firehose object.

Belongs here: where a row begins and ends, and what is wrong with it as text. Does not belong here: what
stands in it (cells.py, judge.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from energy_platform.adapters.lake_loader.content import open_bytes
from energy_platform.adapters.lake_loader.plan import FilePlan
from energy_platform.domain.concatenated_json import split_records
from energy_platform.domain.readings import Reason
from energy_platform.domain.sources import ConcatenatedJson, Csv

_MAX_LINE = 2_000_000
Numbered = tuple[int, str, Reason | None]
"""Number from 1 of the line (of the record, where records are not lines), its text, what is wrong with it as text."""


def numbered_texts(plan: FilePlan) -> Iterator[Numbered]:
    """Every data row of a text file; empty lines are none. Parquet has no texts."""
    form = plan.declaration.format
    if isinstance(form, Csv):
        return _lines(plan, form)
    return _records(plan) if isinstance(form, ConcatenatedJson) else _lines(plan, Csv(), has_header=False)


def _lines(plan: FilePlan, form: Csv, *, has_header: bool = True) -> Iterator[Numbered]:
    """The lines behind the header. A quoted cell may hold line breaks."""
    with open_bytes(plan.file.path) as stream:
        pending: tuple[int, str] | None = None
        for number, content in enumerate(stream, start=1):
            line = content.rstrip(b"\r\n")
            if (number == 1 and has_header) or (not line and pending is None):
                continue
            if len(line) > _MAX_LINE:
                yield number, line[:_MAX_LINE].decode(form.encoding, errors="replace"), Reason.LINE_TOO_LONG
                continue
            try:
                text = line.decode(form.encoding)
            except UnicodeDecodeError:
                yield number, line.decode(form.encoding, errors="replace"), Reason.INVALID_ENCODING
                continue
            if form.quote:
                first, text = (number, text) if pending is None else (pending[0], f"{pending[1]}\n{text}")
                pending = (first, text) if text.count(form.quote) % 2 else None
                if pending is None:
                    yield first, text, None
            else:
                yield number, text, None
        if pending is not None:
            yield pending[0], pending[1], Reason.BAD_QUOTES


def _records(plan: FilePlan) -> Iterator[Numbered]:
    """The records of a Firehose object, and what stands behind the last whole one as a row of its own."""
    with open_bytes(plan.file.path) as stream:
        content = stream.read()
    split = split_records(content)
    end = len(content) if split.malformed is None else split.malformed.byte_offset
    ends = [*split.offsets[1:], end]
    for number, (first, behind) in enumerate(zip(split.offsets, ends, strict=True), start=1):
        yield number, content[first:behind].decode().rstrip(), None
    if split.malformed is not None:
        tail = split.malformed.tail[:_MAX_LINE].decode(errors="replace")
        yield len(split.offsets) + 1, tail, Reason.NOT_JSON
