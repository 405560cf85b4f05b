"""The DuckDB file of the platform, and the only module that connects to it.

A step opens the file, works in one transaction and closes it, because DuckDB lets one process
write or many read, never both. In a run it lingers open for a second, until the next step comes; who finds it
so from another process waits. Readers outside a run use adapters/published.py instead.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from energy_platform.adapters.lingering import LINGERING
from energy_platform.domain.columns import TABLES, Table
from energy_platform.domain.errors import ContractBroken

# Polars type to the type that DuckDB stores. Times are TIMESTAMP in UTC without a zone: the name
# says UTC, and comparing plain timestamps needs neither ICU nor pytz.
_SQL_TYPES: dict[pl.DataType, str] = {
    pl.Int8(): "TINYINT",
    pl.Int16(): "SMALLINT",
    pl.Int32(): "INTEGER",
    pl.Int64(): "BIGINT",
    pl.Float32(): "FLOAT",
    pl.Float64(): "DOUBLE",
    pl.Boolean(): "BOOLEAN",
    pl.String(): "VARCHAR",
    pl.Date(): "DATE",
    pl.Datetime("us"): "TIMESTAMP",
}

LINGER_SECONDS = 1.0
"""How long a run leaves the file open between its steps."""

_LOCK_WAIT_SECONDS = 3 * LINGER_SECONDS
_LOCK_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Warehouse:
    """One DuckDB file and how much of the machine it may use.

    Args:
        path: the file; its folder is made when missing.
        memory_limit: as DuckDB writes sizes (``2GiB``); larger work spills beside the file.
        threads: worker threads; 0 leaves DuckDB's default, all cores.
        linger_seconds: how long the file stays open, and locked, after its last use.
    """

    path: Path
    memory_limit: str = "2GiB"
    threads: int = 0
    linger_seconds: float = 0.0

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that autocommits; closed on leaving.

        Raises:
            duckdb.IOException: another process has held the file for longer than a run lets it linger.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = self._open()
        try:
            connection.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
            yield connection
            # Not after an error: one that DuckDB calls fatal is over only when the file has been closed. Another connection,
            # because this one would keep its temporary tables.
            if self.linger_seconds:
                LINGERING.keep(self.path, self._connect(), self._config, seconds=self.linger_seconds)
        finally:
            connection.close()

    def let_go(self) -> None:
        """Close the file now, should it linger."""
        LINGERING.let_go(self.path)

    def let_go_after_run(self) -> None:
        """Close the file, should it linger and no other run follow at once."""
        LINGERING.let_go_after_run(self.path)

    @property
    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "memory_limit": self.memory_limit,
            "autoinstall_known_extensions": False,
            "preserve_insertion_order": False,
            # A bulk load commits tens of millions of rows; the default 16 MiB would checkpoint each time.
            "checkpoint_threshold": "1GiB",
        }
        return config | ({"threads": self.threads} if self.threads else {})

    def _connect(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(str(self.path), config=self._config)

    def _open(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own; from another process the file is awaited as long as it may linger there."""
        idle = LINGERING.take(self.path, self._config)
        deadline = time.monotonic() + _LOCK_WAIT_SECONDS
        try:
            while True:
                try:
                    return self._connect()
                except duckdb.IOException as error:
                    if "lock" not in str(error) or time.monotonic() > deadline:
                        raise
                time.sleep(_LOCK_POLL_SECONDS)
        finally:
            if idle is not None:
                idle.close()

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection in one transaction: committed on leaving, rolled back on an error."""
        with self.connect() as connection:
            connection.begin()
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def ensure_tables(self, tables: Sequence[Table] = TABLES, *, schemas: Sequence[str] | None = None) -> None:
        """Create the tables that are missing; ``schemas`` limits it to some. dbt makes its own (marts)."""
        with self.transaction() as connection:
            for table in tables:
                if table.schema == "marts" or (schemas is not None and table.schema not in schemas):
                    continue
                make_table(connection, table)

    def read(self, sql: str, params: Sequence[object] | None = None) -> pl.DataFrame:
        """The rows of one query."""
        with self.connect() as connection:
            frame: pl.DataFrame = connection.execute(sql, params or []).pl()
            return frame

    def replace(self, table: Table, rows: pl.DataFrame, *, where: str, params: Sequence[object] = ()) -> int:
        """Put ``rows`` where ``where`` was, in one transaction; a failure leaves the old rows.

        Returns:
            How many rows were written.

        Raises:
            ContractBroken: ``rows`` lacks a column of the table's contract.
        """
        with self.transaction() as connection:
            _replace(connection, table, rows, where, params)
        return rows.height

    def replace_all(self, parts: Iterable[tuple[Table, pl.DataFrame, str]]) -> None:
        """``replace`` of several tables in one transaction: to open and close the file costs more than small tables.

        Args:
            parts: table, new rows, and where they go; one after the other.

        Raises:
            ContractBroken: rows lack a column of their table's contract; nothing is changed.
        """
        with self.transaction() as connection:
            for table, rows, where in parts:
                _replace(connection, table, rows, where)

    def has_table(self, full_name: str) -> bool:
        """Whether the file exists and holds that table or view."""
        if not self.path.exists():
            return False
        schema, name = full_name.split(".")
        sql = "SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ?"
        return not self.read(sql, [schema, name]).is_empty()


def _replace(
    connection: duckdb.DuckDBPyConnection, table: Table, rows: pl.DataFrame, where: str, params: Sequence[object] = ()
) -> None:
    missing = [name for name in table.column_names if name not in rows.columns]
    if missing:
        raise ContractBroken(table.full_name, missing=missing, found=rows.columns)
    make_table(connection, table)
    connection.execute(f"DELETE FROM {table.full_name} WHERE {where}", list(params))
    connection.register("new_rows", rows.select(table.column_names).cast(table.polars_schema))
    connection.execute(f"INSERT INTO {table.full_name} BY NAME SELECT * FROM new_rows")
    connection.unregister("new_rows")


def make_table(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Make a contract's table or view where it is missing; a stored table that an older version left gives way to the view."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.schema}")
    if table.view_sql:
        stored = "SELECT 1 FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?"
        if connection.execute(stored, [table.schema, table.name]).fetchall():
            connection.execute(f"DROP TABLE {table.full_name}")
    connection.execute(create_table_sql(table))


def sql_type(dtype: pl.DataType | type[pl.DataType]) -> str:
    """The DuckDB type that a contract's polars type is stored as.

    Example:
        >>> sql_type(pl.Int16)
        'SMALLINT'
    """
    return _SQL_TYPES[dtype() if isinstance(dtype, type) else dtype]


def create_table_sql(table: Table) -> str:
    """The statement that makes a contract's table or view. Keys are not declared: an index costs 18 × at scale."""
    if table.view_sql:
        return f"CREATE OR REPLACE VIEW {table.full_name} AS {table.view_sql}"
    columns = ", ".join(
        f"{column.name} {sql_type(column.dtype)}{' NOT NULL' if column.required else ''}" for column in table.columns
    )
    return f"CREATE TABLE IF NOT EXISTS {table.full_name} ({columns})"
