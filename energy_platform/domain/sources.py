"""The model of a source declaration: what sources/<name>.yml may say, and what each word means.

Belongs here: fields, defaults and the rules that a declaration must keep. Does not belong here:
finding and reading the yml files (adapters/declarations.py), reading data by them (adapters/lake_loader).
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from energy_platform.domain.intervals import is_zone

KWH_PER_UNIT = {"kWh": 1.0, "Wh": 0.001, "MWh": 1000.0}

# Shorthands for lists of strptime patterns; a landed file is read by the one that its stamps fit.
ISO_FORMATS = tuple(f"%Y-%m-%d{separator}%H:%M{rest}" for separator in (" ", "T") for rest in (":%S", ":%S.%n", ""))
NAMED_FORMATS = {
    "iso": ISO_FORMATS,
    "iso_offset": tuple(f"{pattern}%z" for pattern in ISO_FORMATS),
    "iso_date": ("%Y-%m-%d",),
}


def _known_zone(name: str) -> str:
    if not is_zone(name):
        raise ValueError(f"'{name}' is no zone of the tz database; write an IANA name such as Europe/London")
    return name


def _one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"'{pattern}' is no regular expression ({error})") from None
    if groups != 1:
        raise ValueError(f"'{pattern}' needs exactly one group in brackets, which is what is taken from the name")
    return pattern


Zone = Annotated[str, AfterValidator(_known_zone)]
NameRegex = Annotated[str, AfterValidator(_one_group)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Key(_Strict):
    """Where a name comes from: a column, the file's name, or a constant.

    With ``column`` and ``constant`` both, the constant stands in for files without that column.
    """

    column: str | None = Field(default=None, description="Header of the column that holds it.")
    file_name: NameRegex | None = Field(
        default=None, description="Regular expression with one group, on the file name."
    )
    constant: str | None = Field(default=None, min_length=1, description="The same for every row.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.column is None and self.file_name is None and self.constant is None:
            raise ValueError("say one of column, file_name or constant")
        if self.column is not None and self.file_name is not None:
            raise ValueError("say column or file_name, not both")
        return self


class Csv(_Strict):
    """How the text file is written."""

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    quote: str = Field(default="", max_length=1, description="Quotation mark; empty when cells are never quoted.")
    encoding: Literal["utf-8", "latin-1"] = "utf-8"

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Self:
        if self.delimiter == self.decimal and not self.quote:
            raise ValueError("delimiter and decimal are the same character and nothing is quoted")
        return self


class Timestamp(_Strict):
    """What the stamps are."""

    column: str
    formats: tuple[str, ...] = Field(
        default=("iso",), min_length=1, description="iso, iso_offset, iso_date, or strptime patterns."
    )
    zone: Zone = Field(default="UTC", description="What the stamps are in, where they carry no offset themselves.")
    marks: Literal["start", "end"] = Field(default="start", description="Which end of its interval a stamp marks.")

    @property
    def patterns(self) -> tuple[str, ...]:
        """The formats with shorthands written out, as strptime patterns.

        Example:
            >>> Timestamp(column="t", formats=("iso_date", "%d/%m/%Y %H:%M")).patterns
            ('%Y-%m-%d', '%d/%m/%Y %H:%M')
        """
        return tuple(pattern for name in self.formats for pattern in NAMED_FORMATS.get(name, (name,)))

    @model_validator(mode="after")
    def _day_and_month_cannot_be_swapped(self) -> Self:
        for pattern in self.patterns:
            if "%d" not in pattern and "%j" not in pattern:
                raise ValueError(f"format '{pattern}' has no day; write a strptime pattern such as %d/%m/%Y %H:%M")
        day_first = {pattern.replace("%m", "%d") for pattern in self.patterns if _day_first(pattern)}
        month_first = {pattern.replace("%m", "%d") for pattern in self.patterns if not _day_first(pattern)}
        if day_first & month_first:
            raise ValueError("two formats differ in the order of day and month, so 03/04 could be read both ways")
        return self


def _day_first(pattern: str) -> bool:
    return "%m" in pattern and pattern.find("%d") < pattern.find("%m")


class Value(_Strict):
    """What the numbers are."""

    column: str
    unit: Literal["kWh", "Wh", "MWh", "degC"] = "kWh"
    null_words: tuple[str, ...] = Field(
        default=(), description="What stands there when there is no value, besides nothing."
    )


class Quality(_Strict):
    """Which column tells measured from estimated readings."""

    column: str
    estimated: tuple[str, ...] = Field(
        min_length=1, description="Words in it that mean estimated; all else is measured."
    )


class _Declaration(_Strict):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str = Field(min_length=1)
    sample: bool = Field(default=False, description="Whether `energy run` without options lands its path.")
    path: str | None = Field(default=None, description="Where it is: a path, or package:<package>/<path in it>.")
    files: tuple[str, ...] = Field(default=("*.csv", "*.csv.gz"), min_length=1, description="File name patterns.")
    format: Csv = Csv()
    timestamp: Timestamp
    value: Value
    interval_minutes: int = Field(ge=1, le=44_640)

    @model_validator(mode="after")
    def _sample_has_a_path(self) -> Self:
        if self.sample and self.path is None:
            raise ValueError("a sample needs a path")
        return self


class ReadingsSource(_Declaration):
    """A source of energy readings."""

    kind: Literal["readings"] = "readings"
    meter: Key
    channel: Key = Key(constant="main")
    site: Key | None = Field(default=None, description="The site of a meter; left out, each meter is its own site.")
    site_attributes: tuple[str, ...] = Field(default=(), description="Columns kept in lake.sites as JSON.")
    site_zone: Zone = Field(description="Zone in which the local days of the sites are counted.")
    country: str = Field(
        pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$", description="Whose public holidays: GB-ENG, DE-HE, PT."
    )
    commodity: Literal["electricity", "gas"] = "electricity"
    station: str | None = Field(default=None, description="Weather station of the sites.")
    availability: Literal["history", "live"] = Field(
        default="live",
        description="history: readings count as known when their interval ended; live: when they were loaded.",
    )
    quality: Literal["measured", "estimated"] | Quality = "measured"

    @model_validator(mode="after")
    def _value_is_energy(self) -> Self:
        if self.value.unit not in KWH_PER_UNIT:
            raise ValueError(f"unit '{self.value.unit}' is no unit of energy; readings need {', '.join(KWH_PER_UNIT)}")
        return self

    @property
    def kwh_per_unit(self) -> float:
        """What a value is multiplied by to be kWh."""
        return KWH_PER_UNIT[self.value.unit]


class WeatherSource(_Declaration):
    """A source of outdoor temperature."""

    kind: Literal["weather"]
    station: Key
    interval_minutes: int = Field(default=60, ge=1, le=1440)

    @model_validator(mode="after")
    def _value_is_temperature(self) -> Self:
        if self.value.unit != "degC":
            raise ValueError(f"unit '{self.value.unit}' is no unit of temperature; weather needs degC")
        return self


SourceDeclaration = ReadingsSource | WeatherSource
