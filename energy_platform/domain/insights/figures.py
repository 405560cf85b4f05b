"""Figures that know where they come from, and how numbers and dates are written.

A figure's source is a text that a program can resolve again: ``table:measure/filter``, such as
``marts.meter_days:mean.energy_kwh/meter_id=home-1&local_date>=2014-01-01``. A relative change names
two sources, ``A vs B``. So every number in a report can be recomputed from the published tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeAlias
from urllib.parse import quote, unquote

from energy_platform.domain.columns import TABLES, table

Value: TypeAlias = float | int | str | date | datetime | None

VERSUS = " vs "
_OPERATORS = ("=", ">=", "<=")
_FILTER = re.compile(r"^(?P<column>[a-z0-9_]+)(?P<operator>>=|<=|=)(?P<value>.*)$")

# What can be measured over the rows of a filter, as DuckDB says it. Scores are means over meter-days,
# so means of scores are weighted by them; a skill of 1 leaves the baseline's error unknown.
MEASURES: dict[str, Callable[[str], str]] = {
    "count": lambda _: "count(*)",
    "sum": lambda column: f"coalesce(sum({column}), 0)",
    "mean": lambda column: f"avg({column})",
    "min": lambda column: f"min({column})",
    "max": lambda column: f"max({column})",
    "distinct": lambda column: f"count(DISTINCT {column})",
    "only": lambda column: f"CASE WHEN count(*) = 1 THEN max({column}) END",
    "weighted": lambda column: (
        f"sum({column} * meter_days) / nullif(sum(meter_days) FILTER (WHERE {column} IS NOT NULL), 0)"
    ),
    "skill": lambda _: (
        "1 - sum(mae_kwh * meter_days) FILTER (WHERE skill < 1)"
        " / nullif(sum(mae_kwh * meter_days / (1 - skill)) FILTER (WHERE skill < 1), 0)"
    ),
}


@dataclass(frozen=True, slots=True)
class Source:
    """One measure over the rows of one table that pass a filter.

    Args:
        table_name: ``schema.table`` of a contract.
        measure: ``count``, ``skill``, or ``sum.``, ``mean.``, ``min.``, ``max.``, ``distinct.``,
            ``only.`` (the value of exactly one row), ``weighted.`` (by meter_days) and a column.
        filters: (column, operator, value as text), all of which hold.
    """

    table_name: str
    measure: str
    filters: tuple[tuple[str, str, str], ...] = ()

    def __post_init__(self) -> None:
        known = set(table(self.table_name, TABLES).column_names)
        name, _, column = self.measure.partition(".")
        if name not in MEASURES or (column and column not in known):
            raise ValueError(f"{self.table_name} has no measure '{self.measure}'; columns: {', '.join(sorted(known))}")
        for filtered, operator, _ in self.filters:
            if filtered not in known or operator not in _OPERATORS:
                raise ValueError(f"{self.table_name} cannot be filtered by {filtered} {operator}")

    def __str__(self) -> str:
        filters = "&".join(f"{column}{operator}{quote(value, safe=' :')}" for column, operator, value in self.filters)
        return f"{self.table_name}:{self.measure}/{filters}"


def source(table_name: str, measure: str, **filters: Value | tuple[str, Value]) -> Source:
    """A source by keyword: ``column=value`` or ``column=(">=", value)``; ``between`` gives both bounds of a period.

    Example:
        >>> str(source("marts.meter_days", "mean.energy_kwh", meter_id="home-1", channel="main"))
        'marts.meter_days:mean.energy_kwh/meter_id=home-1&channel=main'
    """
    found: list[tuple[str, str, str]] = []
    for column, wanted in filters.items():
        operator, value = wanted if isinstance(wanted, tuple) else ("=", wanted)
        found.append((column, operator, _plain(value)))
    return Source(table_name, measure, tuple(found))


def between(chosen: Source, column: str, first: date, last: date) -> Source:
    """The same measure over the rows whose ``column`` lies in a period, both ends included."""
    bounds = ((column, ">=", first.isoformat()), (column, "<=", last.isoformat()))
    return Source(chosen.table_name, chosen.measure, chosen.filters + bounds)


def parse_sources(text: str) -> tuple[Source, ...]:
    """The sources that a ``data-source`` text names: one, or two of a relative change.

    Raises:
        ValueError: the text names no table, measure or column of the contracts.

    Example:
        >>> parse_sources("lake.files:sum.rows_read/source=a%26b")[0].filters
        (('source', '=', 'a&b'),)
    """
    return tuple(_parse(part) for part in text.split(VERSUS))


def _parse(text: str) -> Source:
    head, slash, tail = text.partition("/")
    table_name, colon, measure = head.partition(":")
    if not slash or not colon:
        raise ValueError(f"not a figure's source: {text}")
    filters: list[tuple[str, str, str]] = []
    for part in filter(None, tail.split("&")):
        match = _FILTER.match(part)
        if match is None:
            raise ValueError(f"not a filter: {part}")
        filters.append((match["column"], match["operator"], unquote(match["value"])))
    try:
        return Source(table_name, measure, tuple(filters))
    except KeyError:
        raise ValueError(f"no table is named {table_name}") from None


@dataclass(frozen=True, slots=True)
class Figure:
    """A number or date as it is shown, its exact value, and where both come from."""

    text: str
    value: Value
    source: str

    @property
    def exact(self) -> str:
        """The value, unrounded, as a report keeps it beside the text."""
        return _plain(self.value)


Sentence: TypeAlias = Sequence["str | Figure"]
"""Words and figures in reading order."""


def plain_text(sentence: Sentence) -> str:
    """A sentence as text alone.

    Example:
        >>> plain_text(["Used ", energy(11.34, source("marts.meter_days", "mean.energy_kwh")), " a day."])
        'Used 11.3 kWh a day.'
    """
    return "".join(part.text if isinstance(part, Figure) else part for part in sentence)


def _plain(value: Value) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, float):
        return repr(value)
    return "" if value is None else value.isoformat() if isinstance(value, date) else str(value)


def rounded(value: float) -> str:
    """A number with about three digits that mean something, thousands set apart.

    Example:
        >>> rounded(16878.262), rounded(338.1), rounded(11.34), rounded(0.0456), rounded(0.0)
        ('16,878', '338', '11.3', '0.046', '0')
    """
    size = abs(value)
    if size == 0:
        return "0"
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 else 3
    return f"{value:,.{digits}f}"


def energy(value: float | None, origin: Source) -> Figure:
    """An energy with its unit."""
    return Figure("–" if value is None else f"{rounded(value)} kWh", value, str(origin))


def number(value: float | None, origin: Source, digits: int | None = None) -> Figure:
    """A number without a unit, with ``digits`` decimals or three that mean something."""
    text = "–" if value is None else rounded(value) if digits is None else f"{value:,.{digits}f}"
    return Figure(text, value, str(origin))


def count(value: int, origin: Source) -> Figure:
    """How many.

    Example:
        >>> count(69552, source("lake.files", "sum.rows_read")).text
        '69,552'
    """
    return Figure(f"{value:,}", value, str(origin))


def share(value: float | None, origin: Source | str, digits: int = 0, *, signed: bool = False) -> Figure:
    """A share of one as a percentage; one decimal more where rounding would hide that it is not whole.

    Example:
        >>> share(0.9996, source("marts.meter_days", "mean.completeness")).text
        '99.96 %'
    """
    if value is None:
        return Figure("–", None, str(origin))
    if not signed and 0 < value < 1:
        while digits < 3 and f"{100 * value:.{digits}f}" in {f"{0:.{digits}f}", f"{100:.{digits}f}"}:
            digits += 1
    text = f"{100 * value:{'+' if signed else ''}.{digits}f} %"
    return Figure(text.replace("-", "−"), value, str(origin))


def day(value: date, origin: Source) -> Figure:
    """A date, spelled 2014-01-24."""
    return Figure(f"{value:%Y-%m-%d}", value, str(origin))


def change(new: float, old: float, new_source: Source, old_source: Source) -> Figure:
    """How much ``new`` is above or below ``old``, without its sign: the words around it say which."""
    value = new / old - 1
    return Figure(f"{abs(100 * value):.0f} %", value, f"{new_source}{VERSUS}{old_source}")


def recomputed(values: Sequence[Value]) -> Value:
    """The value of a figure from the values of its sources: itself, or the relative change of two."""
    if len(values) == 1:
        return values[0]
    new, old = values
    return (
        float(new) / float(old) - 1 if isinstance(new, int | float) and isinstance(old, int | float) and old else None
    )


def agrees(shown: str, found: Value) -> bool:
    """Whether an exact value kept in a report is what the tables say."""
    if isinstance(found, int | float) and not isinstance(found, bool) and shown:
        return abs(float(shown) - float(found)) <= 1e-9 * max(1.0, abs(float(found)))
    return shown == _plain(found)
