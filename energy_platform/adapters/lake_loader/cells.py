"""Finds in each row the cells that its declaration names, as text; a wide table becomes a row a cell.

Files of one layout are taken apart together: a frame a file cost 25 ms each, however few its rows.

Belongs here: the way from CSV, JSON and Parquet to one frame of named texts. Does not belong here:
what the texts mean and whether they can be used (judge.py).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping

import duckdb
import polars as pl

from energy_platform.adapters.lake_loader.content import csv_reader_options, literal
from energy_platform.adapters.lake_loader.lines import Numbered, numbered_texts
from energy_platform.adapters.lake_loader.plan import Cell, FilePlan
from energy_platform.domain.readings import Reason
from energy_platform.domain.sources import Csv, Parquet, TelemetrySource

_ROW = {"file_id": pl.Int32, "line_number": pl.Int64, "raw_text": pl.String, "fault": pl.String, "width": pl.Int64}


def file_cells(plans: Mapping[int, FilePlan], connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """The named cells of every row of some files; see ``text_cells``."""
    if isinstance(_first(plans).declaration.format, Parquet):
        return _named(plans, pl.concat(_parquet_rows(*each, connection) for each in plans.items()))
    return text_cells(plans, {file_id: numbered_texts(plan) for file_id, plan in plans.items()}, connection)


def text_cells(
    plans: Mapping[int, FilePlan], texts: Mapping[int, Iterable[Numbered]], connection: duckdb.DuckDBPyConnection
) -> pl.DataFrame:
    """The named cells of some rows of text files.

    Args:
        plans: files of one layout by their ids, which ascend.
        texts: the rows of each.
        connection: any; it takes JSON apart.

    Returns:
        By file and line: ``file_id, line_number, raw_text, fault, width`` (of a row that could be taken apart, fault is
        null), and trimmed texts: ``stamp_text, meter_id, channel, quality_text, site, interval_text, commodity_text,
        calorific_text, attribute_<i>``, and ``value_text``; of telemetry ``value_<i>``, of a wide table ``wide_<i>``.
    """
    plan = _first(plans)
    form = plan.declaration.format
    rows = _csv_rows(plan, texts, form) if isinstance(form, Csv) else _json_rows(plan, texts, connection)
    return _named(plans, rows)


def melted(plan: FilePlan, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """A row a cell: adds ``value_text`` and ``value_name``, and the names that the headers of a wide table tell.

    A wide table comes column by column: all cells at once take gigabytes. A row that could not be taken
    apart stays one row.
    """
    if not plan.wide:
        name = plan.header[plan.values[0]] if plan.values else None
        yield rows.with_columns(value_name=pl.lit(name, pl.String))
        return
    wide = [f"wide_{index}" for index in range(len(plan.wide))]
    broken = rows.filter(pl.col("fault").is_not_null()).drop(wide)
    if not broken.is_empty():
        yield broken.with_columns(value_text=pl.lit(None, pl.String), value_name=pl.lit(None, pl.String))
    whole = rows.filter(pl.col("fault").is_null()).with_columns(raw_text=pl.lit(None, pl.String))
    for name, column in zip(wide, plan.wide, strict=True):
        names = {"meter_id": column.meter, "channel": column.channel}
        yield (
            whole.drop(other for other in wide if other != name)
            .with_columns(
                pl.lit(plan.header[column.position]).alias("value_name"),
                *(pl.lit(said).alias(key) for key, said in names.items() if said is not None),
            )
            .rename({name: "value_text"})
        )


def _first(plans: Mapping[int, FilePlan]) -> FilePlan:
    return next(iter(plans.values()))


def _wanted(plan: FilePlan) -> dict[str, Cell]:
    """Each named cell and where it is; the stamp and the value are put together from theirs."""
    several = "wide" if plan.wide else "value"
    positions = [column.position for column in plan.wide] or list(plan.values)
    return {
        "stamp_text": Cell(plan.stamp, None),
        "time_text": Cell(plan.time, None),
        "meter_id": plan.meter,
        "channel": plan.channel,
        "quality_text": Cell(plan.quality, None),
        "site": plan.site or Cell(None, None),
        "interval_text": Cell(plan.interval, None),
        "commodity_text": Cell(plan.commodity, None),
        "calorific_text": Cell(plan.calorific, None),
        **{f"{several}_{index}": Cell(position, None) for index, position in enumerate(positions)},
        **{f"attribute_{index}": Cell(position, None) for index, (_, position) in enumerate(plan.attributes)},
    }


def _named(plans: Mapping[int, FilePlan], rows: pl.DataFrame) -> pl.DataFrame:
    """Rows whose columns are positions (``c<position>``) as rows whose columns are names."""
    plan = _first(plans)
    is_whole = pl.col("fault").is_null()
    wanted = {file_id: _wanted(each) for file_id, each in plans.items()}
    texts = []
    for name, cell in _wanted(plan).items():
        if cell.position is None:
            text = _said_of_files({file_id: cells[name].text for file_id, cells in wanted.items()})
        else:
            text = pl.col(f"c{cell.position}").str.strip_chars().fill_null("")
        texts.append(pl.when(is_whole).then(text).alias(name))
    named = rows.select(*_ROW, *texts)
    if plan.time is not None:
        named = named.with_columns(pl.format("{} {}", "stamp_text", "time_text").alias("stamp_text"))
    named = named.drop("time_text")
    if plan.wide or isinstance(plan.declaration, TelemetrySource):
        return named
    values = [f"value_{index}" for index in range(len(plan.values))]
    first = pl.coalesce(pl.when(pl.col(name) != "").then(pl.col(name)) for name in values)
    return named.with_columns(value_text=pl.coalesce(first, values[0])).drop(values)


def _said_of_files(texts: Mapping[int, str | None]) -> pl.Expr:
    """What is said of the whole of each file, mostly the same of all."""
    different = list(dict.fromkeys(texts.values()))
    if len(different) == 1:
        return pl.lit(different[0], pl.String)
    return pl.col("file_id").replace_strict(list(texts), list(texts.values()), return_dtype=pl.String)


def _positions(plan: FilePlan) -> list[int]:
    return sorted({cell.position for cell in _wanted(plan).values() if cell.position is not None})


def _csv_rows(plan: FilePlan, texts: Mapping[int, Iterable[Numbered]], form: Csv) -> pl.DataFrame:
    width, positions = len(plan.header), _positions(plan)
    nothing = [None] * len(positions)
    rows: list[tuple[object, ...]] = []
    for file_id, lines in texts.items():
        for number, text, fault in lines:
            found, wrong = _split(text, form)
            wrong = fault or wrong or _wrong_width(len(found), width)
            values = [found[at] for at in positions] if wrong is None else nothing
            rows.append((file_id, number, text, None if wrong is None else wrong.value, len(found), *values))
    return pl.DataFrame(rows, schema={**_ROW, **{f"c{at}": pl.String for at in positions}}, orient="row")


def _split(text: str, form: Csv) -> tuple[list[str], Reason | None]:
    if not form.quote:
        return text.split(form.delimiter), None
    try:
        return next(csv.reader([text], **csv_reader_options(form)), []), None  # type: ignore[arg-type]
    except csv.Error:
        return [], Reason.BAD_QUOTES


def _wrong_width(found: int, width: int) -> Reason | None:
    if found == width:
        return None
    return Reason.MISSING_CELLS if found < width else Reason.EXTRA_CELLS


def _json_rows(
    plan: FilePlan, texts: Mapping[int, Iterable[Numbered]], connection: duckdb.DuckDBPyConnection
) -> pl.DataFrame:
    """JSON objects taken apart by DuckDB, which gives every leaf as text; what is no object is a fault."""
    numbered = [
        (file_id, number, text, None if fault is None else fault.value)
        for file_id, lines in texts.items()
        for number, text, fault in lines
    ]
    schema = {name: dtype for name, dtype in _ROW.items() if name != "width"}
    frame = pl.DataFrame(numbered, schema=schema, orient="row")
    positions = _positions(plan)
    paths = [f"$.{'.'.join(_quoted(part) for part in plan.header[at].split('.'))}" for at in positions]
    leaves = ", ".join(f"leaves[{index}] AS c{at}" for index, at in enumerate(positions, start=1))
    listed = ", ".join(literal(path) for path in paths)
    connection.register("texts", frame.to_arrow())
    try:
        found: pl.DataFrame = connection.execute(
            f"""SELECT file_id, line_number, raw_text, coalesce(fault, CASE WHEN leaves IS NULL THEN '{Reason.NOT_JSON}' END) AS fault,
                       0::BIGINT AS width, {leaves}
                FROM (SELECT *, json_extract_string(CASE WHEN is_object THEN raw_text END, [{listed}]) AS leaves
                      FROM (SELECT *, CASE WHEN fault IS NULL AND json_valid(raw_text)
                                           THEN json_type(raw_text) = 'OBJECT' ELSE false END AS is_object FROM texts))
                ORDER BY file_id, line_number"""
        ).pl()
    finally:
        connection.unregister("texts")
    return found


def _quoted(part: str) -> str:
    return '"' + part.replace('"', '\\"') + '"'


def _parquet_rows(file_id: int, plan: FilePlan, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Parquet as text, so that one set of rules judges it; instants with a zone are written in UTC with an offset."""
    path = literal(str(plan.file.path))
    types = dict(row[:2] for row in connection.execute(f"DESCRIBE SELECT * FROM read_parquet({path})").fetchall())
    names = {at: '"' + plan.header[at].replace('"', '""') + '"' for at in _positions(plan)}
    texts = {at: _as_text(name, types[plan.header[at]]) for at, name in names.items()}
    columns = ", ".join(f"{text} AS c{at}" for at, text in texts.items())
    row = ", ".join(f"{names[at]} := {text}" for at, text in texts.items())
    rows: pl.DataFrame = connection.execute(
        f"""SELECT {file_id} AS file_id, file_row_number + 1 AS line_number, CAST(to_json(struct_pack({row})) AS VARCHAR) AS raw_text,
                   CAST(NULL AS VARCHAR) AS fault, 0::BIGINT AS width, {columns}
            FROM read_parquet({path}, file_row_number = true) ORDER BY line_number"""
    ).pl()
    return rows


def _as_text(name: str, kind: str) -> str:
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"CAST({name} AT TIME ZONE 'UTC' AS VARCHAR) || '+00:00'"
    return f"CAST({name} AS VARCHAR)"
