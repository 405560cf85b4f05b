"""What a column and a table are, and how the words of a contract are put together.

Does not belong here: any one column or table (the other modules of this package).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

UTC_TIME = pl.Datetime("us")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, polars type, unit ("" when it has none), meaning, and the values it may hold."""

    name: str
    dtype: pl.DataType | type[pl.DataType]
    unit: str
    meaning: str
    required: bool = True
    allowed: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One table: what one row is, which columns name a row, and the columns in order.

    ``view_sql`` makes it a view: the SELECT that gives its rows, one for each row of the tables named in ``rows_of``.
    """

    schema: str
    name: str
    one_row_per: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    view_sql: str = ""
    rows_of: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """``schema.name``, as SQL says it."""
        return f"{self.schema}.{self.name}"

    @property
    def column_names(self) -> list[str]:
        """Column names in order."""
        return [column.name for column in self.columns]

    @property
    def polars_schema(self) -> pl.Schema:
        """The table as a polars schema."""
        return pl.Schema([(column.name, column.dtype) for column in self.columns])


def column(name: str, dtype: pl.DataType | type[pl.DataType], unit: str, meaning: str) -> Column:
    """A column that is always there and may hold anything of its type."""
    return Column(name, dtype, unit, meaning)


def optional(column: Column) -> Column:
    """The same column where it may be null."""
    return replace(column, required=False)


def bounded(column: Column, minimum: float | None = None, maximum: float | None = None) -> Column:
    """The same column where its values have bounds, both included."""
    return replace(column, minimum=minimum, maximum=maximum)


def one_of(column: Column, *allowed: str) -> Column:
    """The same column where it holds one of a few words."""
    return replace(column, allowed=allowed)
