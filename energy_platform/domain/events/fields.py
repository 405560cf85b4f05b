"""One field of many objects at once: its type, its range, its words.

Belongs here: checks that two shapes share. A check looks at a column's *types* first, which costs
0.1 ms for 10,000 values; only a column that holds something else is gone through value by value.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import repeat
from types import NoneType
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from energy_platform.domain.events.batch import EventReason, Rejection

Record = dict[str, Any]
Microseconds = npt.NDArray[np.int64]

OLDEST_UTC = datetime(1990, 1, 1)
_EPOCH = datetime(1970, 1, 1)
# A clock that runs ahead by hours is a wrong clock; a day leaves room for local stamps called UTC.
FUTURE_TOLERANCE = timedelta(days=1)
_SHOWN = 80
_NUMBER_TYPES = frozenset({float, int})


@dataclass(slots=True)
class Columns:
    """Objects of one shape, looked at column by column; the first fault of an object is kept.

    Args:
        objects: parsed JSON objects.
        indices: place of each object in the batch.
        shape: its name, as ``EventBatch.frames`` says it.
        faults: what was found so far, by position in ``objects``.
    """

    objects: Sequence[Record]
    indices: Sequence[int]
    shape: str = "readings"
    faults: dict[int, Rejection] = field(default_factory=dict)

    def refuse(self, position: int, reason: EventReason, detail: str, column: str | None = None) -> None:
        """Note that an object is refused, unless an earlier fault of it is noted already."""
        if position not in self.faults:
            self.faults[position] = Rejection(self.indices[position], reason, detail, column, self.shape)

    def good(self) -> npt.NDArray[np.bool_]:
        """Which objects have no fault, as a mask."""
        mask = np.ones(len(self.objects), dtype=np.bool_)
        if self.faults:
            mask[list(self.faults)] = False
        return mask

    def values(self, name: str) -> list[Any]:
        """The field of every object; ``None`` where it is not there."""
        return list(map(dict.get, self.objects, repeat(name)))

    def checked(
        self, name: str, allowed: Collection[type], *, instead: Any, must_be: str, required: bool = True
    ) -> list[Any]:
        """The field with every value of an allowed type; others are refused and replaced.

        Args:
            name: of the field.
            allowed: types that JSON gives for it.
            instead: what stands in for a missing or refused value.
            must_be: what the field should hold, in words.
            required: whether a missing (or null) field is a fault.
        """
        values = self.values(name)
        found = set(map(type, values)).difference(allowed)
        if not found:
            return values
        if found == {NoneType} and not required:
            if values.count(None) == len(values):
                return [instead] * len(values)
            return [instead if value is None else value for value in values]
        checked: list[Any] = []
        for position, value in enumerate(values):
            if type(value) in allowed:
                checked.append(value)
                continue
            checked.append(instead)
            if value is not None:
                detail = f"{name} is {shown(value)}; it must be {must_be}"
                self.refuse(position, EventReason.WRONG_TYPE, detail, name)
            elif required:
                self.refuse(position, EventReason.MISSING_FIELD, f"{name} is missing; it must be {must_be}", name)
        return checked

    def identifiers(self, name: str) -> list[str]:
        """A field that names something: text that is not blank."""
        values = self.checked(name, {str}, instead="", must_be="text")
        if all(map(str.strip, set(values))):
            return values
        for position, value in enumerate(values):
            if not value.strip():
                self.refuse(position, EventReason.BLANK_ID, f"{name} is blank; it must name something", name)
        return values

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """A field that holds a finite number (not text, not true or false)."""
        values = self.checked(name, _NUMBER_TYPES, instead=0.0, must_be="a number")
        return self.finite(name, values)

    def finite(self, name: str, values: Sequence[float]) -> npt.NDArray[np.float64]:
        """Numbers as an array; those that are not finite are refused."""
        numbers = np.array(values, dtype=np.float64)
        finite = np.isfinite(numbers)
        if not finite.all():
            for position in np.flatnonzero(~finite).tolist():
                self.refuse(position, EventReason.NOT_FINITE, f"{name} is not a finite number", name)
        return numbers

    def words(self, name: str, known: Sequence[str], *, default: str) -> list[str]:
        """An optional field that holds one of a few words; the default where it is not there."""
        values = self.checked(name, {str}, instead=default, must_be=" or ".join(known), required=False)
        for unknown in set(values).difference(known):
            for position, value in enumerate(values):
                if value == unknown:
                    detail = f"{name} is {shown(value)}; it must be {' or '.join(known)}"
                    self.refuse(position, EventReason.BAD_WORD, detail, name)
        return values

    def in_range(self, name: str, micros: Microseconds, *, received_at_utc: datetime) -> Microseconds:
        """Instants that are neither before 1990 nor more than a day after reception; others are refused."""
        oldest, newest = _micros(OLDEST_UTC), _micros(received_at_utc + FUTURE_TOLERANCE)
        outside = (micros < oldest) | (micros > newest)
        if outside.any():
            for position in np.flatnonzero(outside).tolist():
                value = shown(self.objects[position].get(name))
                detail = f"{name} is {value}; it must lie between 1990 and a day after it was received"
                self.refuse(position, EventReason.TIME_OUT_OF_RANGE, detail, name)
        return micros


def shown(value: object) -> str:
    """A value as a message shows it: short, on one line."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def iso_instants(columns: Columns, name: str) -> Microseconds:
    """A field that holds ISO 8601 with a zone, as microseconds since 1970 in UTC; faulty ones are 0."""
    texts = columns.checked(name, {str}, instead="1970-01-01T00:00:00Z", must_be="ISO 8601 with a zone or Z")
    # Meters report the same intervals, so that a batch has far fewer stamps than messages.
    stamps = {text: _iso_or_none(text) for text in set(texts)}
    if any(stamp is None or stamp.tzinfo is None for stamp in stamps.values()):
        for position, text in enumerate(texts):
            stamp = stamps[text]
            if stamp is None:
                detail = f"{name} is {shown(text)}; it must be ISO 8601 with a zone"
                columns.refuse(position, EventReason.BAD_TIME, detail, name)
            elif stamp.tzinfo is None:
                detail = f"{name} is {shown(text)}; add the zone, for example Z or +01:00"
                columns.refuse(position, EventReason.TIME_WITHOUT_ZONE, detail, name)
    micros = {text: 0 if stamp is None else _micros(stamp) for text, stamp in stamps.items()}
    return np.array([micros[text] for text in texts], dtype=np.int64)


def _iso_or_none(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def epoch_instants(columns: Columns, name: str) -> Microseconds:
    """A field that holds seconds since 1970, as microseconds; faulty ones are 0."""
    seconds = columns.numbers(name)
    usable = np.abs(seconds) < 4e9  # the year 2096: what is above are milliseconds or nonsense
    for position in np.flatnonzero(~usable & np.isfinite(seconds)).tolist():
        detail = f"{name} is {seconds[position]:.0f}; it must be seconds since 1970, not milliseconds"
        columns.refuse(position, EventReason.BAD_TIME, detail, name)
    return np.rint(np.where(usable, seconds, 0.0) * 1e6).astype(np.int64)


def utc_text(micros: Microseconds, *, fraction: bool) -> pl.Series:
    """Microseconds since 1970 as ISO 8601 text with Z.

    Example:
        >>> utc_text(np.array([1_500_000]), fraction=True).to_list()
        ['1970-01-01T00:00:01.500000Z']
    """
    layout = "%Y-%m-%dT%H:%M:%S%.6fZ" if fraction else "%Y-%m-%dT%H:%M:%SZ"
    return pl.Series(micros, dtype=pl.Int64()).cast(pl.Datetime("us")).dt.strftime(layout)


def naive_micros(instants: Iterable[datetime]) -> Microseconds:
    """Naive UTC datetimes as microseconds since 1970."""
    return np.array([_micros(instant) for instant in instants], dtype=np.int64)


def _micros(instant: datetime) -> int:
    """Microseconds since 1970; an instant without a zone is taken as UTC."""
    return (instant - _EPOCH.replace(tzinfo=instant.tzinfo and UTC)) // timedelta(microseconds=1)


def decimal_or_none(text: object) -> float | None:
    """A number, or text that is one ("231.40"); ``None`` for anything else, NaN and infinity included.

    Example:
        >>> decimal_or_none("231.40"), decimal_or_none("nan"), decimal_or_none(True)
        (231.4, None, None)
    """
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        return None
    try:
        number = float(text)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
