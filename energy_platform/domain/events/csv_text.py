"""Readings that are sent as CSV: a header that names the fields of a reading, one reading a line."""

from __future__ import annotations

import csv
import io
from typing import Any

from energy_platform.domain.errors import FileUnreadable
from energy_platform.domain.events.fields import decimal_or_none

REQUIRED = ("meter_id", "interval_start", "interval_minutes", "energy_kwh")
OPTIONAL = ("channel", "quality", "commodity")


def csv_objects(text: str) -> tuple[list[dict[str, Any]], list[int]]:
    r"""The lines of a CSV as reading objects, and the line that each one stands on (the header is line 1).

    Numbers become numbers where they are; what is not one stays text, for the validation to refuse.
    Empty cells count as not sent. A line with more or fewer cells than the header is refused as a whole.

    Raises:
        FileUnreadable: there is no header, or it lacks a field that a reading must have.

    Example:
        >>> csv_objects("meter_id,interval_start,interval_minutes,energy_kwh\nm1,2024-01-01T00:00Z,30,0.5\n")[1]
        [2]
    """
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(rows)]
    except StopIteration:
        raise FileUnreadable("body", problem="it is empty", remedy="Send a header and readings.") from None
    missing = [name for name in REQUIRED if name not in header]
    unknown = [name for name in header if name not in (*REQUIRED, *OPTIONAL)]
    if missing or unknown or len(set(header)) != len(header):
        problem = f"the header is {', '.join(header)}"
        remedy = f"It must have {', '.join(REQUIRED)} and may have {', '.join(OPTIONAL)}, each once."
        raise FileUnreadable("body", problem=problem, remedy=remedy, line=1)
    objects: list[dict[str, Any]] = []
    lines: list[int] = []
    try:
        for cells in rows:
            if cells:
                objects.append(_reading(header, cells))
                lines.append(rows.line_num)
    except csv.Error as problem:
        remedy = "Quote cells that hold commas or quotes."
        raise FileUnreadable("body", problem=str(problem), remedy=remedy, line=rows.line_num) from None
    return objects, lines


def _reading(header: list[str], cells: list[str]) -> dict[str, Any]:
    if len(cells) != len(header):
        # No field of a shifted line can be trusted: as one list it is refused with all its cells shown.
        return {"meter_id": cells}
    entry: dict[str, Any] = {name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()}
    energy = entry.get("energy_kwh")
    number = decimal_or_none(energy)
    if number is not None:
        entry["energy_kwh"] = number
    if (minutes := entry.get("interval_minutes", "")).isdecimal():
        entry["interval_minutes"] = int(minutes)
    return entry
