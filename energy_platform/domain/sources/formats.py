"""How a file is written: its format, and how its stamps are."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from energy_platform.domain.sources.fields import Strict, Zone

# Shorthands for lists of strptime patterns; a landed file is read by the one that its stamps fit.
ISO_FORMATS = tuple(f"%Y-%m-%d{separator}%H:%M{rest}" for separator in (" ", "T") for rest in (":%S", ":%S.%n", ""))
EPOCH_FORMATS = {"epoch_s": 1_000_000, "epoch_ms": 1_000}
"""Numbers since 1970 in UTC, with the microseconds that one of them is."""
NAMED_FORMATS = {
    "iso": ISO_FORMATS,
    "iso_offset": tuple(f"{pattern}{offset}" for offset in ("%z", "Z") for pattern in ISO_FORMATS),
    "iso_date": ("%Y-%m-%d",),
}


class Csv(Strict):
    """How a text table is written; long (a row a reading) or wide (a column a meter or channel)."""

    type: Literal["csv"] = "csv"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    quote: str = Field(default="", max_length=1, description="Quotation mark; empty when cells are never quoted.")
    encoding: Literal["utf-8", "latin-1"] = "utf-8"

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Self:
        if self.delimiter == self.decimal and not self.quote:
            raise ValueError("delimiter and decimal are the same character and nothing is quoted")
        return self


class Ndjson(Strict):
    """One JSON object a line, as streams land. Columns are named by their path: ``data.value``."""

    type: Literal["ndjson"]


class ConcatenatedJson(Strict):
    """JSON objects with nothing between them, as Firehose writes them. Columns are named by their path."""

    type: Literal["concatenated_json"]


class Parquet(Strict):
    """A Parquet file; times in it without a zone are in the declared zone."""

    type: Literal["parquet"]


def _format_type(said: object) -> str:
    return str(said.get("type", "csv") if isinstance(said, dict) else getattr(said, "type", "csv"))


Format = Annotated[
    Annotated[Csv, Tag("csv")]
    | Annotated[Ndjson, Tag("ndjson")]
    | Annotated[ConcatenatedJson, Tag("concatenated_json")]
    | Annotated[Parquet, Tag("parquet")],
    Discriminator(
        _format_type,
        custom_error_type="unknown_format",
        custom_error_message="type must be csv, ndjson, concatenated_json or parquet",
    ),
]


class Timestamp(Strict):
    """What the stamps are."""

    column: str
    time_column: str | None = Field(
        default=None, description="Column of the time of day, when `column` holds the date; joined with a space."
    )
    formats: tuple[str, ...] = Field(
        default=("iso",),
        min_length=1,
        description="iso, iso_offset, iso_date, epoch_s, epoch_ms, or strptime patterns.",
    )
    zone: Zone = Field(default="UTC", description="What the stamps are in, where they carry no offset themselves.")
    marks: Literal["start", "end", "hour_ending"] = Field(
        default="start",
        description="Which end of its interval a stamp marks; hour_ending: the local start plus the interval, as markets "
        "label hours (in spring 02:00 exists and 03:00 does not; of `end` it is the other way round).",
    )

    @property
    def patterns(self) -> tuple[str, ...]:
        """The formats with shorthands written out, as strptime patterns (and ``epoch_s``, ``epoch_ms``).

        Example:
            >>> Timestamp(column="t", formats=("iso_date", "%d/%m/%Y %H:%M")).patterns
            ('%Y-%m-%d', '%d/%m/%Y %H:%M')
        """
        return tuple(pattern for name in self.formats for pattern in NAMED_FORMATS.get(name, (name,)))

    @model_validator(mode="after")
    def _day_and_month_cannot_be_swapped(self) -> Self:
        patterns = [pattern for pattern in self.patterns if pattern not in EPOCH_FORMATS]
        for pattern in patterns:
            if "%d" not in pattern and "%j" not in pattern:
                raise ValueError(f"format '{pattern}' has no day; write a strptime pattern such as %d/%m/%Y %H:%M")
        day_first = {pattern.replace("%m", "%d") for pattern in patterns if is_day_first(pattern)}
        month_first = {pattern.replace("%m", "%d") for pattern in patterns if not is_day_first(pattern)}
        if day_first & month_first:
            raise ValueError("two formats differ in the order of day and month, so 03/04 could be read both ways")
        return self


def is_day_first(pattern: str) -> bool:
    """Whether a strptime pattern has the day before the month.

    Example:
        >>> is_day_first("%d/%m/%Y"), is_day_first("%Y-%m-%d")
        (True, False)
    """
    return "%m" in pattern and pattern.find("%d") < pattern.find("%m")


def carries_moment(pattern: str) -> bool:
    """Whether stamps of a pattern are moments by themselves: with an offset, a Z, or counted from 1970.

    Example:
        >>> [carries_moment(pattern) for pattern in ("%Y-%m-%d %H:%M%z", "%Y-%m-%dT%H:%MZ", "epoch_s", "%d/%m/%Y")]
        [True, True, True, False]
    """
    return "%z" in pattern or pattern in EPOCH_FORMATS or (pattern.endswith("Z") and not pattern.endswith("%Z"))
