"""Loads files with DuckDB's own reader: several files a statement, straight into lake.reading_rows.

What the reader refuses it keeps with line number and text (``store_rejects`` is free); lines.py then judges
those lines. Values that only look right (off the grid, nan, year 1900) are counted per day (days.py) and send
the file to lines.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from energy_platform.adapters.lake_loader.content import csv_options, literal
from energy_platform.adapters.lake_loader.lines import Numbered
from energy_platform.adapters.lake_loader.names import gather_names, name_columns, number_sql
from energy_platform.adapters.lake_loader.numbers import NO_METER
from energy_platform.adapters.lake_loader.plan import ZERO_FRACTION, FilePlan
from energy_platform.domain.intervals import FIRST_PLAUSIBLE_UTC, offset_minutes_at, offset_sql
from energy_platform.domain.readings import Reason
from energy_platform.domain.sources import Quality, ReadingsSource, carries_moment

# DuckDB's own cast takes less than half the time of a pattern, but knows offsets, zones and slashes, too. A stamp with a dash,
# a blank and such an end has none of them, so both make the same of it.
_CAST_PATTERN = "%Y-%m-%d %H:%M:%S.%n"
_CAST_STAMP = (
    f"CASE WHEN stamp LIKE '%-% %{ZERO_FRACTION}' THEN CAST(stamp AS TIMESTAMP) ELSE error('written otherwise') END"
)
# Lines with a name that no look into the file showed are judged one by one: 2 s per million of them.
BEARABLE_MISSES = 50_000
_REASON_OF_ERROR = {
    "INVALID ENCODING": Reason.INVALID_ENCODING,
    "LINE SIZE OVER MAXIMUM": Reason.LINE_TOO_LONG,
    "UNQUOTED VALUE": Reason.BAD_QUOTES,
}


class GuessMissed(Exception):
    """Looking into the files here and there did not show what stands in them: too many of the names, or how stamps end."""


def insert_files(
    plans: Mapping[int, FilePlan], connection: duckdb.DuckDBPyConnection, *, sampled: bool
) -> dict[int, list[Numbered]]:
    """Insert the rows of files of one shape. Returns refused lines by file id.

    Args:
        plans: files of one shape by their ids.
        connection: in the transaction of the batch.
        sampled: take what a look into the files showed for what stands in them.

    Raises:
        GuessMissed: only when ``sampled``; the caller rolls back and comes again without it.
    """
    files = list(plans.values())
    keys = gather_names(files, connection, sampled=sampled)
    by_cast = sampled and all(plan.pattern == _CAST_PATTERN and plan.has_zero_fraction for plan in files)
    connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
    try:
        connection.execute(_insert_sql(plans, *number_sql(keys, connection), by_cast=by_cast))
    except (duckdb.ConversionException, duckdb.InvalidInputException):
        if by_cast:
            raise GuessMissed from None
        raise
    if sampled and _missed(connection, name_columns(files[0])) > BEARABLE_MISSES:
        raise GuessMissed
    ids = {str(plan.file.path): file_id for file_id, plan in plans.items()}
    return {ids[path]: lines for path, lines in _refused(connection).items()}


def _insert_sql(plans: Mapping[int, FilePlan], meter_no: str, names: str, *, by_cast: bool) -> str:
    """The statement that inserts; ``meter_no`` and the join ``names`` tell whose a row is."""
    first = next(iter(plans.values()))
    declaration = first.declaration
    assert isinstance(declaration, ReadingsSource)  # noqa: S101  (FilePlan.is_fast)
    factor = declaration.kwh_per_unit
    energy = "number" if factor == 1 else f"number * {factor!r}"
    stamp, stamp_type = (_CAST_STAMP, "VARCHAR") if by_cast else ("stamp", "TIMESTAMP")
    reader = _reader(list(plans.values()), stamp_type, with_path="landed_path" in names)
    # The reader numbers its files; to join them by their paths took a twentieth of this statement.
    return f"""
        INSERT INTO lake.reading_rows BY NAME
        SELECT coalesce({meter_no}, {NO_METER}) AS meter_no,
               start_utc AS interval_start_utc,
               {declaration.interval_minutes} AS interval_minutes,
               {offset_sql(declaration.site_zone, "start_utc")} AS utc_offset_minutes,
               {energy} AS energy_kwh,
               {_is_estimated(first)} AS is_estimated,
               {list(plans)}[CAST(file_index AS BIGINT) + 1] AS file_id
        FROM (SELECT *, file_index, {_start(first, stamp)} AS start_utc FROM {reader}) AS rows
        {names}"""


def _missed(connection: duckdb.DuckDBPyConnection, columns: Sequence[str]) -> int:
    """Lines refused for a name."""
    names = ", ".join(literal(column) for column in columns)
    sql = f"SELECT count(*) FROM reject_errors WHERE column_name IN ({names or 'NULL'}) AND error_type = 'CAST'"
    return int(connection.execute(sql).fetchall()[0][0])


def _reader(plans: Sequence[FilePlan], stamp_type: str, *, with_path: bool) -> str:
    plan = plans[0]
    kinds = {f"c{index}": "VARCHAR" for index in range(len(plan.header))}
    kinds |= {column: f"names_{column}" for column in name_columns(plan)}
    renamed = {f"c{plan.stamp}": ("stamp", stamp_type), f"c{plan.values[0]}": ("number", "DOUBLE")}
    columns = ", ".join(
        f"'{name}': '{kind}'" for name, kind in (renamed.get(column, (column, kind)) for column, kind in kinds.items())
    )
    paths = ", ".join(literal(str(each.file.path)) for each in plans)
    path = ", filename = 'landed_path'" if with_path else ""
    return (
        f"read_csv([{paths}], columns = {{{columns}}}, {csv_options(plan.declaration)}, "
        f"timestampformat = {literal(plan.pattern)}, store_rejects = true{path})"
    )


def _start(plan: FilePlan, stamp: str) -> str:
    declaration = plan.declaration
    assert isinstance(declaration, ReadingsSource)  # noqa: S101  (FilePlan.is_fast)
    timestamp = declaration.timestamp
    minutes = declaration.interval_minutes if timestamp.marks != "start" else 0
    if not carries_moment(plan.pattern):
        minutes += offset_minutes_at(timestamp.zone, FIRST_PLAUSIBLE_UTC)
    return f"{stamp} - INTERVAL {minutes} MINUTE" if minutes else stamp


def _is_estimated(plan: FilePlan) -> str:
    quality = plan.declaration.quality if isinstance(plan.declaration, ReadingsSource) else "measured"
    if isinstance(quality, Quality):
        words = ", ".join(literal(word) for word in quality.estimated)
        return f"trim(c{plan.quality}) IN ({words})"
    return "true" if quality == "estimated" else "false"


def _refused(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Numbered]]:
    """The lines that the reader refused, each once however many faults it has."""
    rows = connection.execute(
        """SELECT file_path, line, any_value(csv_line), list(DISTINCT CAST(error_type AS VARCHAR))
           FROM reject_errors JOIN reject_scans USING (scan_id, file_id) GROUP BY ALL ORDER BY file_path, line"""
    ).fetchall()
    found: dict[str, list[Numbered]] = {}
    for path, line, text, errors in rows:
        reason = next((_REASON_OF_ERROR[error] for error in errors if error in _REASON_OF_ERROR), None)
        found.setdefault(path, []).append((line, (text or "").strip("\r\n"), reason))
    return found
