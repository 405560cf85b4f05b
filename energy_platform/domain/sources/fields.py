"""Fields that every kind of declaration uses: names of things, zones, quality words."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from energy_platform.domain.intervals import is_zone


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


class Strict(BaseModel):
    """A part of a declaration: no unknown fields, never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Key(Strict):
    """Where a name comes from: a column, the file's name, the headers of a wide table, or a constant.

    With ``column`` and ``constant`` both, the constant stands in for files without that column.
    """

    column: str | None = Field(default=None, description="Header of the column that holds it.")
    file_name: NameRegex | None = Field(
        default=None, description="Regular expression with one group, on the file name."
    )
    header: NameRegex | None = Field(
        default=None,
        description="Wide tables: regular expression with one group, on the headers; columns that fit hold the values.",
    )
    constant: str | None = Field(default=None, min_length=1, description="The same for every row.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        places = [self.column, self.file_name, self.header]
        said = [place for place in places if place is not None]
        if not said and self.constant is None:
            raise ValueError("say one of column, file_name, header or constant")
        if len(said) > 1:
            raise ValueError("say only one of column, file_name and header")
        if self.header is not None and self.constant is not None:
            raise ValueError("say header or constant, not both")
        return self


class Quality(Strict):
    """Which column tells measured from estimated readings."""

    column: str
    estimated: tuple[str, ...] = Field(
        min_length=1, description="Words in it that mean estimated; all else is measured."
    )
