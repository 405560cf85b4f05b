"""Which names of meters and channels stand in files, so that DuckDB's reader can put numbers in their place.

The reader is given the names as an ENUM: it then finds each by itself, for 0.3 s of CPU time in 16.8M rows where a
join took 2 s. A name that is not in it makes the line a refused one, which lines.py judges like any other: so it
is enough to look into a large file every 32 KiB (6 ms a file) in place of reading all of it for its names (a
quarter of the whole load). Where too many lines are refused for their name, all is read after all.

Belongs here: looking, and the tables ``told`` and ``names``. Does not belong here: reading values (fast.py),
giving numbers (numbers.py).
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import duckdb
import polars as pl

from energy_platform.adapters.lake_loader import numbers
from energy_platform.adapters.lake_loader.content import csv_options, literal
from energy_platform.adapters.lake_loader.plan import Cell, FilePlan

# A meter's rows that stand together in a large file are 2 MB in the London files and a few KB in a day's file.
SAMPLE_STEP_BYTES = 32_768
# Below this a file is read whole: it takes as long as looking for lines in it.
SAMPLED_FROM_BYTES = 8_000_000
_MAX_LINE_BYTES = 65_536
_USUAL_LINES_BYTES = 1024
# Names of two columns together; beyond so many they are joined instead of looked up.
MAX_LOOKED_UP = 2_000_000


def gather_names(plans: Sequence[FilePlan], connection: duckdb.DuckDBPyConnection, *, sampled: bool) -> list[str]:
    """Make ``names``: the number of each meter, by the columns that tell it; and note what is told of its site.

    The columns hold the text of the file as it stands, so that nothing need be trimmed row by row, each as an
    ENUM ``names_<column>``; and the path where files of one shape differ in what their own names say.

    Args:
        plans: files of one shape; ``batch_files`` names their ids.
        connection: in the transaction of the batch.
        sampled: look into large files here and there; names of the source's known meters are taken as known.

    Returns:
        The columns of ``names`` that tell a meter.
    """
    plan = plans[0]
    cells = name_columns(plan)
    constants = {(each.meter.text, each.channel.text) for each in plans}
    keys = cells if cells and len(constants) == 1 else [*cells, "landed_path"]
    if not cells:
        _tell_by_file_names(plans, connection)
    else:
        sampled = sampled and "landed_path" not in keys
        with tempfile.TemporaryDirectory(prefix="energy-names-") as folder:
            looked = [_look_into(each, Path(folder) / f"{index}.csv", sampled) for index, each in enumerate(plans)]
            _tell_by_rows(plans, looked, connection)
        _note_facts(plan, connection)
    numbers.give_numbers("SELECT meter_id, channel, 0 AS file_id FROM told", connection)
    known = _known_sql(plan) if sampled and cells else ""
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE raw_names AS
            SELECT DISTINCT {", ".join(f"told.{key}" for key in keys)}, meter_no
            FROM told JOIN meter_numbers USING (meter_id, channel)
            {f"UNION {known}" if known else ""}"""
    )
    for cell in cells:
        # The text of one control character stands in no file; an ENUM needs one value.
        connection.execute(
            f"CREATE OR REPLACE TEMP TYPE names_{cell} AS ENUM "
            f"(SELECT {cell} FROM (SELECT chr(2) AS {cell} UNION SELECT {cell} FROM raw_names) ORDER BY {cell})"
        )
    columns = ", ".join(f"CAST({key} AS names_{key}) AS {key}" if key in cells else key for key in keys)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE names AS SELECT {columns}, meter_no FROM raw_names")
    return keys


def number_sql(keys: Sequence[str], connection: duckdb.DuckDBPyConnection) -> tuple[str, str]:
    """How the number of a row's meter is found: an expression, and the join that it needs.

    ENUMs are numbers of names already, so a list of the meters' numbers in their order is all that is needed. A join
    to the few thousand ``names`` took a third of the wall time of the whole load.

    Args:
        keys: the columns of ``names`` that tell a meter, as ``gather_names`` gives them.
        connection: in the transaction of the batch.
    """
    sizes = [] if "landed_path" in keys else [_enum_size(key, connection) for key in keys]
    if not sizes or math.prod(sizes) > MAX_LOOKED_UP:
        return "names.meter_no", f"LEFT JOIN names ON {' AND '.join(f'names.{key} = rows.{key}' for key in keys)}"
    place = "0"
    for key, size in zip(keys, sizes, strict=True):
        place = f"({place}) * {size} + enum_code({{rows}}{key})"
    connection.execute(
        f"""SET VARIABLE meter_numbers = (
            SELECT list(meter_no ORDER BY place)
            FROM range({math.prod(sizes)}) AS places (place)
            LEFT JOIN (SELECT {place.format(rows="")} AS place, any_value(meter_no) AS meter_no FROM names GROUP BY ALL)
                USING (place))"""
    )
    return f"getvariable('meter_numbers')[{place.format(rows='rows.')} + 1]", ""


def _enum_size(key: str, connection: duckdb.DuckDBPyConnection) -> int:
    return int(connection.execute(f"SELECT len(enum_range(NULL::names_{key}))").fetchall()[0][0])


def name_columns(plan: FilePlan) -> list[str]:
    """The columns of the reader that hold names of meters or channels."""
    return [f"c{cell.position}" for cell in (plan.meter, plan.channel) if cell.position is not None]


def name_sql(cell: Cell, constant: str) -> str:
    """A name as it is known: the trimmed cell, or what is said of the whole file."""
    return constant if cell.position is None else f"trim(c{cell.position})"


def site_facts(plan: FilePlan, connection: duckdb.DuckDBPyConnection) -> None:
    """Fill ``site_facts`` from a file whose own name tells the meter: one more pass, for new meters only."""
    _tell_by_rows([plan], [plan.file.path], connection)
    _note_facts(plan, connection)


def _look_into(plan: FilePlan, sample: Path, sampled: bool) -> Path:
    """The file to read for names: itself, or lines from all over it."""
    path = plan.file.path
    if not sampled or plan.file.bytes < SAMPLED_FROM_BYTES or path.suffix in {".gz", ".zst", ".bz2"}:
        return path
    with path.open("rb") as file:
        lines = [file.readline().rstrip(b"\r\n")]
        behind_header = range(file.tell() - 1, path.stat().st_size, SAMPLE_STEP_BYTES)
        lines += [_next_line(file.fileno(), offset) for offset in behind_header]
    sample.write_bytes(b"\n".join(lines) + b"\n")
    return sample


def _next_line(file: int, offset: int) -> bytes:
    """The first line that begins behind an offset; as much of it as there is where it does not end."""
    lines: list[bytes] = []
    for reach in (_USUAL_LINES_BYTES, 2 * _MAX_LINE_BYTES):
        lines = os.pread(file, reach, offset).split(b"\n", 2)
        if len(lines) == 3:
            break
    return b"".join(lines[1:2]).rstrip(b"\r")


def _tell_by_rows(plans: Sequence[FilePlan], looked: Sequence[Path], connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``told``: names as they stand, meter, channel, site and attributes, one row per file and names."""
    plan = plans[0]
    site = "NULL::VARCHAR" if plan.site is None else name_sql(plan.site, "batch.site")
    attributes = ", ".join(f"any_value(trim(c{position}))" for _, position in plan.attributes)
    columns = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(len(plan.header)))
    paths = {"looked_path": [str(path) for path in looked], "landed_path": [str(each.file.path) for each in plans]}
    connection.register("paths", pl.DataFrame(paths).to_arrow())
    connection.execute("CREATE OR REPLACE TEMP TABLE looked_into AS SELECT * FROM paths")
    connection.unregister("paths")
    grouped = ", ".join([*name_columns(plan), "looked_path"])
    # Lines that cannot be taken apart are left to the pass over the values, which keeps what it refuses.
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE told AS
            SELECT rows.*, looked_into.landed_path, batch.file_id,
                   {name_sql(plan.meter, "batch.meter")} AS meter_id, {name_sql(plan.channel, "batch.channel")} AS channel
            FROM (SELECT {grouped}, any_value({site}) AS site, [{attributes}]::VARCHAR[] AS attributes
                  FROM read_csv({_paths(looked)}, columns = {{{columns}}}, {csv_options(plan.declaration)},
                                ignore_errors = true, filename = 'looked_path') AS rows
                  JOIN looked_into USING (looked_path) JOIN batch_files AS batch ON batch.path = looked_into.landed_path
                  GROUP BY {grouped}) AS rows
            JOIN looked_into USING (looked_path) JOIN batch_files AS batch ON batch.path = looked_into.landed_path"""
    )


def _tell_by_file_names(plans: Sequence[FilePlan], connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE told AS
            SELECT path AS landed_path, file_id, meter AS meter_id, channel FROM batch_files
            WHERE path IN {_paths([plan.file.path for plan in plans])}"""
    )


def _note_facts(plan: FilePlan, connection: duckdb.DuckDBPyConnection) -> None:
    """Keep what ``told`` says of the sites of its meters."""
    if not plan.attributes and (plan.site is None or plan.site.position is None):
        return
    connection.execute(
        """INSERT INTO site_facts (file_id, meter_id, site, attributes)
           SELECT file_id, meter_id, any_value(site), any_value(attributes) FROM told GROUP BY file_id, meter_id"""
    )


def _known_sql(plan: FilePlan) -> str:
    """The known meters of the source under the names that the columns would give them."""
    pairs = (("meter_id", plan.meter), ("channel", plan.channel))
    columns = ", ".join(f"{name} AS c{cell.position}" for name, cell in pairs if cell.position is not None)
    fixed = "".join(f" AND {name} = {literal(cell.text or '')}" for name, cell in pairs if cell.position is None)
    return f"SELECT {columns}, meter_no FROM lake.meters WHERE source = {literal(plan.declaration.name)}{fixed}"


def _paths(paths: Sequence[Path]) -> str:
    return f"[{', '.join(literal(str(path)) for path in paths)}]"
