"""One read-only query over the published tables, as ``energy query`` and the API offer it.

Belongs here: what may be asked, and what a wrong question is answered with. Does not belong here:
how a generation is opened (adapters/published.py), how rows are printed.
"""

from __future__ import annotations

import logging
import re

import duckdb
import polars as pl

from energy_platform.adapters.published import Generation, Published
from energy_platform.domain.errors import QueryFailed, QueryRefused

_REMEDY = "Give one SELECT, WITH, VALUES, DESCRIBE, SUMMARIZE or SHOW TABLES over the published tables."
# Functions that run SQL from a string, or reach beyond the tables, however harmless the statement around them.
_BARRED_FUNCTIONS = re.compile(
    r"^(query|query_table|read_\w+|parquet_\w+|glob|sniff_csv|duckdb_secrets|duckdb_settings|getenv|which_secret|pragma_\w+)$"
)


def run_query(published: Published, sql: str) -> pl.DataFrame:
    """The rows of one read-only query over the current generation.

    Args:
        published: where the generations are.
        sql: DuckDB SQL; tables are named as in the warehouse, such as ``marts.meter_days``.

    Raises:
        QueryRefused: it is not one read-only query.
        QueryFailed: it names what is not there, or cannot be computed.
        NothingPublished: there is no generation yet.
    """
    return query_generation(published.current(), sql)


def query_generation(generation: Generation, sql: str) -> pl.DataFrame:
    """The rows of one read-only query over a generation that the caller chose."""
    statement = check_query(sql)
    if statement.lower() == "show tables":
        names = [(*name.split("."), rows) for name, rows in sorted(generation.tables.items())]
        return pl.DataFrame(names, schema=["schema", "table", "rows"], orient="row")
    with generation.connect() as connection:
        try:
            return _plain(connection.execute(statement).pl())
        except (duckdb.Error, pl.exceptions.PolarsError) as error:
            first, *rest = str(error).splitlines() or [""]
            hint = next((line for line in rest if line.startswith(("Did you mean", "Candidate"))), "")
            raise QueryFailed(
                f"{first}{' ' + hint if hint else ''} Tables: {', '.join(sorted(generation.tables))}."
            ) from None


def check_query(sql: str) -> str:
    """The statement itself, when it is one that only reads.

    Two parsers must agree: sqlglot sees what is inside the statement, DuckDB says what it would run.

    Raises:
        QueryRefused: it is anything else; the message says what to give instead.

    Example:
        >>> check_query("select 1;")
        'select 1'
        >>> check_query("drop table lake.files")
        Traceback (most recent call last):
        ...
        energy_platform.domain.errors.QueryRefused: DROP is not a query. Give one SELECT, WITH, VALUES, ...
    """
    statement = sql.strip().rstrip(";").strip()
    _check_tree(statement)
    with duckdb.connect(":memory:") as connection:
        try:
            kinds = [found.type for found in connection.extract_statements(statement)]
        except duckdb.Error as error:
            raise QueryRefused(f"{str(error).splitlines()[0]} {_REMEDY}") from None
    # DuckDB writes PIVOT as a CREATE of its own temporary type followed by the SELECT.
    if kinds not in ([duckdb.StatementType.SELECT], [duckdb.StatementType.CREATE, duckdb.StatementType.SELECT]):
        raise QueryRefused(f"this is not one read-only query. {_REMEDY}")
    return statement


def _check_tree(statement: str) -> None:
    """Refuse what sqlglot finds: no or several statements, a statement or function that does not only read."""
    import sqlglot
    from sqlglot import exp

    reads = (exp.Query, exp.Values, exp.Describe, exp.Summarize, exp.Show, exp.Pivot)
    writes = (exp.DML, exp.DDL, exp.Command, exp.Copy, exp.Drop, exp.Alter, exp.Into, exp.Set, exp.Pragma, exp.Attach)
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    try:
        found = [tree for tree in sqlglot.parse(statement, read="duckdb") if tree is not None]
    except sqlglot.errors.SqlglotError as error:
        raise QueryRefused(f"{str(error).splitlines()[0]} {_REMEDY}") from None
    if len(found) != 1:
        raise QueryRefused(f"{len(found)} statements were given. {_REMEDY}")
    if not isinstance(found[0], reads):
        raise QueryRefused(f"{statement.split(maxsplit=1)[0].upper()} is not a query. {_REMEDY}")
    for node in found[0].walk():
        if isinstance(node, writes) and not isinstance(node, exp.Query):
            raise QueryRefused(f"{type(node).__name__.upper()} inside the query would write. {_REMEDY}")
        name = node.name.lower() if isinstance(node, exp.Anonymous) else getattr(node, "sql_name", lambda: "")().lower()
        if isinstance(node, exp.Func) and _BARRED_FUNCTIONS.match(name):
            raise QueryRefused(f"{name}() reaches beyond the published tables. {_REMEDY}")


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Whole-number decimals as integers: a sum of counts is 128 bits wide in DuckDB, and prints as text in JSON."""
    decimals = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Decimal)]
    casts = [
        pl.col(name).cast(pl.Float64) if _scale(frame.schema[name]) else pl.col(name).cast(pl.Int64, strict=False)
        for name in decimals
    ]
    return frame.with_columns(casts)


def _scale(dtype: pl.DataType) -> int:
    return dtype.scale if isinstance(dtype, pl.Decimal) else 0
