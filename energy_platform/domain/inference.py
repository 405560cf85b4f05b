"""Drafts a source declaration from the first rows of a file.

Belongs here: what can be told from texts, and what cannot and is left to a person. Does not belong here:
opening the file (commands/sources.py), what a declaration may say (domain/sources).

A guess is written down only when the rows leave no other reading of it. What they do not tell (the zone,
the order of day and month when both fit) is left as a line marked EDIT, which no declaration accepts.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from energy_platform.domain.errors import FileUnreadable, QuantityInvalid
from energy_platform.domain.sources.formats import EPOCH_FORMATS, ISO_FORMATS, carries_moment
from energy_platform.domain.units import GAS_UNITS, Unit, parse_unit

EDIT = "EDIT"
_DELIMITERS = ",;\t|"
_CLOCKS = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f")
_DATES = ("%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%Y/%m/%d", "%d/%m/%y", "%m/%d/%y", "%Y%m%d")
# A stamp column may hold a few cells that are none; a column of names that look like stamps by chance has many.
_MOST = 0.9
_STAMP_NAMES = re.compile(r"time|stamp|date|epoch|\bts\b", re.IGNORECASE)
_METER_NAMES = re.compile(r"meter|lclid|mpan|mprn|household|sensor|device|house|site|^id$|_id$", re.IGNORECASE)
_CHANNEL_NAMES = re.compile(r"channel|appliance|circuit|load|phase", re.IGNORECASE)
_VALUE_NAMES = ("kwh", "energy", "active_power", "consumption", "usage", "value", "power", "load")
_UNIT_AT_END = re.compile(r"^(?P<name>.*?)(?P<suffix>[\s_\-/]*[\[(]?(?P<unit>[A-Za-z0-9³^]+)(?:/\w+)?[\])]?)$")
_UNIT_AT_START = re.compile(r"^(?P<unit>kWh|MWh|Wh|kW|MW)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sample:
    """The first rows of a file as text.

    Args:
        file_name: for messages and the file pattern.
        form: what the declaration says under ``format``; empty for plain CSV.
        header: names of the columns.
        rows: their cells, trimmed, as many as the header has.
    """

    file_name: str
    form: dict[str, str]
    header: tuple[str, ...]
    rows: list[list[str]]

    def cells(self, name: str) -> list[str]:
        """The cells of a column that hold something."""
        at = self.header.index(name)
        return [row[at] for row in self.rows if row[at]]


@dataclass(slots=True)
class Draft:
    """A declaration as text, and what to know of it.

    Args:
        yaml: the file's content.
        to_edit: lines that a person has to decide, each with what is asked.
    """

    yaml: str
    to_edit: list[str] = field(default_factory=list)


def csv_sample(file_name: str, lines: Sequence[str]) -> Sample:
    """Lines of a text table, taken apart by the delimiter that gives most rows the header's width.

    Raises:
        FileUnreadable: there is no header, or no delimiter fits.
    """
    usable = [line for line in lines if line.strip()]
    if len(usable) < 2:
        raise FileUnreadable(
            file_name, problem="has no rows to learn from", remedy="Give a file with a header and rows."
        )
    quote = '"' if sum(line.count('"') >= 2 for line in usable) > len(usable) / 2 else ""

    def cut(line: str, delimiter: str) -> list[str]:
        return [cell.strip().strip(quote or None) for cell in line.split(delimiter)]

    fit = {
        delimiter: sum(len(cut(line, delimiter)) == len(cut(usable[0], delimiter)) for line in usable)
        for delimiter in _DELIMITERS
        if delimiter in usable[0]
    }
    if not fit:
        raise FileUnreadable(
            file_name, line=1, problem="no comma, semicolon, tab or bar parts its header", remedy="Give it a header."
        )
    delimiter = max(fit, key=lambda one: (fit[one], usable[0].count(one)))
    header = tuple(cut(usable[0], delimiter))
    if any(_is_number(name, ".") for name in header if name):
        raise FileUnreadable(
            file_name,
            line=1,
            problem="its first line holds numbers, so it has no header",
            remedy="Add the header line.",
        )
    rows = [cells for line in usable[1:] if len(cells := cut(line, delimiter)) == len(header)]
    form = {} if delimiter == "," else {"delimiter": delimiter}
    cells = [cell for row in rows for cell in row]
    commas = sum(bool(re.fullmatch(r"-?\d+,\d+", cell)) for cell in cells)
    if delimiter != "," and commas > sum(bool(re.fullmatch(r"-?\d+\.\d+", cell)) for cell in cells):
        form["decimal"] = ","
    return Sample(file_name, form | ({"quote": quote} if quote else {}), header, rows)


def json_sample(file_name: str, records: Sequence[object], form: str) -> Sample:
    """JSON objects with nested fields named by their path, as declarations name them."""
    flat = [dict(_leaves(record)) for record in records if isinstance(record, dict)]
    header = tuple(dict.fromkeys(name for record in flat for name in record))
    return Sample(file_name, {"type": form}, header, [[record.get(name, "") for name in header] for record in flat])


def _leaves(record: dict[str, object], path: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in record.items():
        if isinstance(value, dict):
            found += _leaves(value, f"{path}{name}.")
        else:
            found.append(
                (f"{path}{name}", "" if value is None else value if isinstance(value, str) else json.dumps(value))
            )
    return found


@dataclass(frozen=True, slots=True)
class Stamps:
    """How the stamps of a sample are written.

    Args:
        column: of the stamp or the date.
        time_column: of the time of day, if it stands apart.
        formats: what fits; several when the rows do not tell day from month.
        moments: the stamps of the sample by the first format, in the order of the rows.
    """

    column: str
    time_column: str | None
    formats: tuple[str, ...]
    moments: list[datetime | None]


def find_stamps(sample: Sample) -> Stamps:
    """The column of stamps and its format.

    Raises:
        FileUnreadable: no column holds dates with times.
    """
    named = sorted(sample.header, key=lambda name: _STAMP_NAMES.search(name) is None)
    dates: Stamps | None = None
    for name in named:
        column = sample.header.index(name)
        texts = [row[column] for row in sample.rows]
        found = _fitting(texts, _with_times() + (tuple(EPOCH_FORMATS) if _STAMP_NAMES.search(name) else ()))
        if found:
            return Stamps(name, None, found, [_moment(text, found[0]) for text in texts])
        if dates is None and (found := _fitting(texts, ("%Y-%m-%d", *_DATES))):
            dates = Stamps(name, None, found, [_moment(text, found[0]) for text in texts])
    if dates is None:
        raise FileUnreadable(
            sample.file_name,
            problem=f"no column holds stamps; there are {', '.join(sample.header)}",
            remedy="Write the declaration by hand; the built-in ones show how.",
        )
    for name in named:
        column, day = sample.header.index(name), sample.header.index(dates.column)
        clock = _fitting([row[column] for row in sample.rows], _CLOCKS) if name != dates.column else ()
        if clock:
            formats = tuple(f"{date} {clock[0]}" for date in dates.formats)
            moments = [_moment(f"{row[day]} {row[column]}", formats[0]) for row in sample.rows]
            return Stamps(dates.column, name, formats, moments)
    return dates


def _with_times() -> tuple[str, ...]:
    iso = tuple(pattern.replace("%n", "%f") for pattern in ISO_FORMATS)
    others = tuple(f"{date} {clock}" for date in _DATES for clock in _CLOCKS)
    return (*(f"{pattern}{offset}" for offset in ("%z", "") for pattern in iso), *others)


def _fitting(texts: Sequence[str], patterns: Sequence[str]) -> tuple[str, ...]:
    """The patterns that fit most texts, best first; several only when they fit alike and differ in day and month."""
    filled = [text for text in texts if text]
    if not filled:
        return ()
    likely = [pattern for pattern in patterns if any(_moment(text, pattern) for text in filled[:3])]
    fits = {pattern: sum(_moment(text, pattern) is not None for text in filled) for pattern in likely}
    best = max(fits.values(), default=0)
    if best < _MOST * len(filled):
        return ()
    found = [pattern for pattern in likely if fits[pattern] == best]
    same = [pattern for pattern in found if sorted(pattern) == sorted(found[0])]
    return tuple(same)


def _moment(text: str, pattern: str) -> datetime | None:
    """A stamp as a naive time: UTC where it carries an offset."""
    try:
        if pattern in EPOCH_FORMATS:
            moment = datetime(1970, 1, 1) + timedelta(microseconds=float(text) * EPOCH_FORMATS[pattern])
            return moment if 1990 <= moment.year < 2040 else None
        # Low Carbon London writes seven decimals; Python reads six.
        found = datetime.strptime(re.sub(r"(\.\d{6})\d+", r"\1", text), pattern)
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo is None else (found - (found.utcoffset() or timedelta())).replace(tzinfo=None)


def commonest_step(sample: Sample, stamps: Stamps, keys: Sequence[str]) -> int | None:
    """Minutes between neighbouring stamps of one meter and channel, as they are most often."""
    at = [sample.header.index(key) for key in keys]
    series: dict[tuple[str, ...], list[datetime]] = {}
    for row, moment in zip(sample.rows, stamps.moments, strict=True):
        if moment is not None:
            series.setdefault(tuple(row[position] for position in at), []).append(moment)
    steps: Counter[timedelta] = Counter()
    for moments in series.values():
        ordered = sorted(set(moments))
        steps.update(later - earlier for earlier, later in pairwise(ordered))
    if not steps:
        return None
    seconds = steps.most_common(1)[0][0].total_seconds()
    return int(seconds // 60) if seconds >= 60 and seconds % 60 == 0 else None


def unit_of(header: str) -> tuple[str, Unit] | None:
    """The name before the unit of a header, and the unit.

    Example:
        >>> unit_of("z1_AC1(kW)"), unit_of("AEP_MW"), unit_of("KWH/hh (per half hour)"), unit_of("value")
        (('z1_AC1', <Unit.KW: 'kW'>), ('AEP', <Unit.MW: 'MW'>), ('', <Unit.KWH: 'kWh'>), None)
    """
    start = _UNIT_AT_START.match(header)
    if start is not None:
        return "", parse_unit(start["unit"])
    end = _UNIT_AT_END.match(header)
    if end is None or (end["name"] and not re.match(r"[\s_\-/\[(]", end["suffix"])):
        return None
    try:
        return end["name"], parse_unit(end["unit"])
    except QuantityInvalid:
        return None


def is_mostly_numbers(sample: Sample, name: str) -> bool:
    """Whether most cells of a column that hold something are numbers."""
    cells, decimal = sample.cells(name), sample.form.get("decimal", ".")
    return bool(cells) and sum(_is_number(cell, decimal) for cell in cells) > len(cells) / 2


def null_words(sample: Sample, columns: Sequence[str]) -> list[str]:
    """What stands in columns of numbers and is none: words for nothing, if they are few."""
    decimal = sample.form.get("decimal", ".")
    words = {cell for name in columns for cell in sample.cells(name) if not _is_number(cell, decimal)}
    return sorted(words) if len(words) <= 5 else []


def _is_number(text: str, decimal: str) -> bool:
    try:
        float(text.replace(decimal, "."))
    except ValueError:
        return False
    return True


def keys_of(sample: Sample, taken: Sequence[str]) -> tuple[str | None, str | None]:
    """The columns that name the meter and the channel, where there are such."""
    free = [name for name in sample.header if name and name not in taken]
    texts = [name for name in free if sample.cells(name) and not is_mostly_numbers(sample, name)]

    def first(names: Sequence[str], fits: Callable[[str], object]) -> str | None:
        return next((name for name in names if fits(name)), None)

    channel = first(texts, _CHANNEL_NAMES.search)
    numbered = [name for name in free if name not in texts and all(cell.isdigit() for cell in sample.cells(name))]
    meter = first([name for name in texts if name != channel], _METER_NAMES.search)
    meter = meter or first(numbered, re.compile(r"id$", re.IGNORECASE).search)
    if meter is None and channel is None and len(texts) == 1:
        meter = texts[0]
    return meter, channel


def values_of(sample: Sample, taken: Sequence[str]) -> list[str]:
    """The columns that hold the energy: several (of one unit) in a wide table, else one; none when it is not clear."""
    numbers = [name for name in sample.header if name not in taken and is_mostly_numbers(sample, name)]
    by_suffix: dict[str, list[str]] = {}
    for name in numbers:
        found = unit_of(name)
        if found is not None and found[0] and found[1] not in GAS_UNITS:
            by_suffix.setdefault(name.removeprefix(found[0]), []).append(name)
    wide = max(by_suffix.values(), key=len, default=[])
    if len(wide) > 1:
        return wide
    for unit_first in (wide, [name for name in numbers if unit_of(name) is not None]):
        if len(unit_first) == 1:
            return unit_first
    if len(numbers) == 1:
        return numbers
    likely = (
        name for word in _VALUE_NAMES for name in numbers if word in name.lower() and "reactive" not in name.lower()
    )
    first = next(likely, None)
    return [] if first is None else [first]


def is_moment(stamps: Stamps) -> bool:
    """Whether the stamps are moments by themselves, so that no zone has to be told."""
    return carries_moment(stamps.formats[0])
