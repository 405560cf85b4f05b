"""How one landed file is read: where in its header everything stands that its declaration names.

Belongs here: the plan and the making of it. Does not belong here: opening the file (inspect.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from energy_platform.domain.errors import FileUnreadable
from energy_platform.domain.intervals import is_fixed
from energy_platform.domain.readings import LandedFile
from energy_platform.domain.sources import (
    EPOCH_FORMATS,
    Csv,
    Key,
    ReadingsSource,
    SourceDeclaration,
    TelemetrySource,
    WeatherSource,
    carries_moment,
)

# How SQL Server ends its stamps.
ZERO_FRACTION = ".0000000"


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a name of each row is: a position in the row, or the same text for the whole file."""

    position: int | None
    text: str | None


@dataclass(frozen=True, slots=True)
class ValueColumn:
    """A column of a wide table: its position, and what its header says of meter and channel."""

    position: int
    meter: str | None
    channel: str | None


@dataclass(frozen=True, slots=True)
class FilePlan:
    """How one landed file is read.

    Args:
        file: what landed.
        declaration: what its source says.
        header: names of the columns, trimmed; of JSON, the paths that the declaration names.
        stamp: position of the stamp.
        pattern: strptime pattern that the stamps of this file fit.
        meter: the meter, or the weather station.
        channel: the channel.
        time: position of the time of day, when the stamp is a date.
        values: positions of the number, the first that holds something counts; of telemetry, one a quantity.
        wide: columns of a wide table that hold numbers.
        quality: position of the quality word, if there is one.
        interval: position of the interval's length, if there is one.
        commodity: position of the commodity, if there is one.
        calorific: position of the calorific value, if there is one.
        site: the site; None when each meter is its own.
        attributes: positions of the site attributes that this file has, by name.
        is_plain: whether DuckDB's reader can open it: not a zip, not a gzip under another name.
        has_zero_fraction: whether the first stamps end in ``ZERO_FRACTION``.
    """

    file: LandedFile
    declaration: SourceDeclaration
    header: tuple[str, ...]
    stamp: int
    pattern: str
    meter: Cell
    channel: Cell
    time: int | None = None
    values: tuple[int, ...] = ()
    wide: tuple[ValueColumn, ...] = ()
    quality: int | None = None
    interval: int | None = None
    commodity: int | None = None
    calorific: int | None = None
    site: Cell | None = None
    attributes: tuple[tuple[str, int], ...] = ()
    is_plain: bool = True
    has_zero_fraction: bool = False

    @property
    def is_fast(self) -> bool:
        """Whether DuckDB's reader alone can give its rows: a text table, a row a reading, each stamp one UTC moment."""
        declaration, form = self.declaration, self.declaration.format
        if not (isinstance(declaration, ReadingsSource) and isinstance(form, Csv) and form.encoding == "utf-8"):
            return False
        plain = len(self.values) == 1 and self.time is None and self.interval is None and self.commodity is None
        plain &= not declaration.is_instants and declaration.kwh_per_unit is not None
        one_moment = carries_moment(self.pattern) or is_fixed(declaration.timestamp.zone)
        return plain and one_moment and self.pattern not in EPOCH_FORMATS and self.is_plain

    @property
    def shape(self) -> tuple[str, tuple[str, ...], str]:
        """Files of one shape can be read by one statement."""
        return self.declaration.name, self.header, self.pattern

    @property
    def layout(self) -> tuple[str, tuple[str, ...], str]:
        """Rows of files of one layout can be judged together; a wide table, which comes column by column, alone."""
        return self.declaration.name, self.header, self.file.uri if self.wide else ""


def plan_file(file: LandedFile, declaration: SourceDeclaration, header: tuple[str, ...]) -> FilePlan:
    """Where everything that the declaration names stands in the header.

    Raises:
        FileUnreadable: a column that must be there is not.
    """
    names = _Names(file, declaration, header)
    stamp = names.required(declaration.timestamp.column)
    time = names.optional(declaration.timestamp.time_column)
    pattern = declaration.timestamp.patterns[0]
    if isinstance(declaration, WeatherSource):
        station = names.key(declaration.station)
        kind = Cell(None, "temperature")
        return FilePlan(file, declaration, header, stamp, pattern, station, kind, time, names.values())
    meter, channel = names.key(declaration.meter), names.key(declaration.channel)
    if isinstance(declaration, TelemetrySource):
        values = tuple(names.required(column) for _, column in declaration.quantities)
        return FilePlan(file, declaration, header, stamp, pattern, meter, channel, time, values)
    gas = declaration.value.calorific_value
    return FilePlan(
        file=file,
        declaration=declaration,
        header=header,
        stamp=stamp,
        pattern=pattern,
        meter=meter,
        channel=channel,
        time=time,
        values=() if declaration.is_wide else names.values(),
        wide=names.wide() if declaration.is_wide else (),
        quality=None if isinstance(declaration.quality, str) else names.required(declaration.quality.column),
        interval=names.optional(declaration.interval_minutes_column),
        commodity=names.optional(declaration.commodity_column),
        calorific=None if gas is None else names.optional(gas.column),
        site=None if declaration.site is None else names.key(declaration.site),
        attributes=tuple((name, header.index(name)) for name in declaration.site_attributes if name in header),
    )


def named_columns(declaration: SourceDeclaration) -> tuple[str, ...]:
    """Every column that a declaration names, once: what is taken out of JSON."""
    found: list[str | None] = [declaration.timestamp.column, declaration.timestamp.time_column]
    if isinstance(declaration, WeatherSource):
        found += [declaration.station.column, declaration.value.column, *declaration.value.alternatives]
    elif isinstance(declaration, TelemetrySource):
        found += [declaration.meter.column, declaration.channel.column, *dict(declaration.quantities).values()]
    else:
        value = declaration.value
        found += [declaration.meter.column, declaration.channel.column, value.column, *value.alternatives]
        found += [declaration.interval_minutes_column, declaration.commodity_column, *declaration.site_attributes]
        found += [declaration.site.column if declaration.site else None]
        found += [value.calorific_value.column if value.calorific_value else None]
        found += [None if isinstance(declaration.quality, str) else declaration.quality.column]
    return tuple(dict.fromkeys(name for name in found if name is not None))


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

    def optional(self, name: str | None) -> int | None:
        """Position of a column that the declaration may name."""
        return None if name is None else self.required(name)

    def values(self) -> tuple[int, ...]:
        """Positions of the number, in the order in which they count."""
        declaration = self.declaration
        assert not isinstance(declaration, TelemetrySource)  # noqa: S101
        assert declaration.value.column is not None  # noqa: S101  (only wide tables have none)
        others = [name for name in declaration.value.alternatives if name in self.header]
        if others and declaration.value.column not in self.header:
            return tuple(self.required(name) for name in others)
        return tuple(self.required(name) for name in (declaration.value.column, *others))

    def wide(self) -> tuple[ValueColumn, ...]:
        """The columns of a wide table whose headers fit what the keys say."""
        declaration = self.declaration
        assert isinstance(declaration, ReadingsSource)  # noqa: S101  (only readings are wide)
        used = {*named_columns(declaration)}
        found = []
        for position, name in enumerate(self.header):
            names = [
                (None, True) if key.header is None else _taken(key.header, name)
                for key in (declaration.meter, declaration.channel)
            ]
            if name not in used and all(fits for _, fits in names):
                found.append(ValueColumn(position, names[0][0], names[1][0]))
        if not found:
            raise FileUnreadable(
                str(self.file.path),
                line=1,
                problem=f"no header fits {declaration.meter.header or declaration.channel.header}; there are {', '.join(self.header)}",
                remedy=f"Mend meter.header or channel.header in the declaration '{declaration.name}'.",
            )
        named = {(column.meter, column.channel) for column in found}
        if len(named) < len(found):
            raise FileUnreadable(
                str(self.file.path),
                line=1,
                problem=f"{len(found)} columns get only {len(named)} names, so two would be added into one",
                remedy=f"Take more of the header into the group of meter.header or channel.header in '{declaration.name}'.",
            )
        return tuple(found)

    def key(self, key: Key) -> Cell:
        """Where a name comes from in this file."""
        if key.header is not None:
            return Cell(None, None)
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


def _taken(pattern: str, name: str) -> tuple[str | None, bool]:
    """What a regular expression takes out of a header, and whether it fits at all."""
    found = re.search(pattern, name)
    return (found.group(1), True) if found else (None, False)
