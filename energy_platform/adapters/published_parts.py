"""How the readings, which are too many to write anew each day, are kept as parts of a generation.

A part holds the readings of a range of file numbers and never changes: corrections are new rows of
newer files. Belongs here: which parts stay and which ranges are written. Does not belong here:
moving files about (adapters/published.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import duckdb

from energy_platform.domain.columns import FILES, READING_ROWS

# How many times larger than what comes after it a part must be to stay. Small daily parts are folded
# into one another, so that n loads leave about log2(n) parts and a row is rewritten about log2(n) times.
FOLD_RATIO = 2


@dataclass(frozen=True, slots=True)
class Part:
    """The readings of the files numbered ``first`` to ``last``.

    Args:
        first: smallest file number of the range.
        last: largest one.
        rows: readings in it.
        ledger_mark: hash of what the ledger says of the files in the range.
    """

    first: int
    last: int
    rows: int
    ledger_mark: str

    @property
    def file(self) -> str:
        """Its path in a generation."""
        return f"{READING_ROWS.schema}/{READING_ROWS.name}/part-{self.first:08d}-{self.last:08d}.parquet"

    def as_json(self) -> dict[str, Any]:
        """As a manifest holds it."""
        return asdict(self)


def plan_parts(
    before: Sequence[Part], counts: Mapping[int, int], mark: Callable[[int, int], str]
) -> tuple[tuple[Part, ...], tuple[tuple[int, int], ...]]:
    """Which parts of the generation before stay, and which file-number ranges are to be written.

    Parts stay up to the first one that no longer agrees with the ledger: a file vanished, was loaded
    again, or the warehouse is a new one. What follows it is written anew.

    Args:
        before: parts of the previous generation, in order.
        counts: readings by file number, as the warehouse has them now.
        mark: hash of what the ledger says of a range of file numbers.

    Returns:
        The parts to link, and the (first, last) ranges to write; together they cover every file once.

    Example:
        >>> plan_parts([Part(1, 4, 100, "m")], {1: 60, 4: 40, 5: 10}, lambda first, last: "m")
        ((Part(first=1, last=4, rows=100, ledger_mark='m'),), ((5, 5),))
    """
    kept: list[Part] = []
    for part in before:
        rows = sum(counted for file_id, counted in counts.items() if part.first <= file_id <= part.last)
        begins_anew = any(file_id < part.first for file_id in counts) if not kept else False
        if begins_anew or rows != part.rows or mark(part.first, part.last) != part.ledger_mark:
            break
        kept.append(part)
    end = kept[-1].last if kept else None
    waiting = sorted(file_id for file_id in counts if end is None or file_id > end)
    if not waiting:
        return tuple(kept), ()
    # Ranges touch, so that a file without readings today belongs to a part whose mark will notice it later.
    first, rows = waiting[0] if end is None else end + 1, sum(counts[file_id] for file_id in waiting)
    while kept and kept[-1].rows < FOLD_RATIO * rows:
        folded = kept.pop()
        first, rows = folded.first, rows + folded.rows
    return tuple(kept), ((first, waiting[-1]),)


def ledger_mark(connection: duckdb.DuckDBPyConnection, first: int, last: int) -> str:
    """Hash of number, content and outcome of the files in a range of the ledger."""
    sql = f"""
        SELECT md5(coalesce(string_agg(concat_ws(':', file_id, content_sha256, status, rows_accepted), ',' ORDER BY file_id), ''))
        FROM {FILES.full_name} WHERE file_id BETWEEN ? AND ?
    """
    found = connection.execute(sql, [first, last]).fetchone()
    return str(found[0]) if found else ""


def part_sql(part: Part) -> str:
    """The readings of one part."""
    columns = ", ".join(READING_ROWS.column_names)
    return f"SELECT {columns} FROM {READING_ROWS.full_name} WHERE file_id BETWEEN {part.first} AND {part.last}"
