"""Reads a file line by line, and says of each row what it is or why it cannot be used.

The slow and complete way in: 1M rows take seconds, and every rule about a row stands here once. It reads
weather, stamps in zones with summer time, the lines that DuckDB's reader refuses (fast.py), and whole
files in which that reader meets what it cannot settle (stamps off the grid, contradictions).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import timedelta

import duckdb
import polars as pl

from energy_platform.adapters.lake_loader.inspect import Cell, FilePlan, csv_reader_options, open_bytes
from energy_platform.domain.intervals import END_PLAUSIBLE_UTC, FIRST_PLAUSIBLE_UTC
from energy_platform.domain.readings import Reason
from energy_platform.domain.sources import Csv, Quality, ReadingsSource

_MAX_LINE = 2_000_000
Numbered = tuple[int, str, Reason | None]
"""Line number from 1, its text, and what is wrong with it as text."""


def numbered_lines(plan: FilePlan) -> Iterator[Numbered]:
    """The data lines of a file; empty lines are none. A quoted cell may hold line breaks."""
    form = plan.declaration.format
    with open_bytes(plan.file.path) as stream:
        pending: tuple[int, str] | None = None
        for number, content in enumerate(stream, start=1):
            line = content.rstrip(b"\r\n")
            if number == 1 or (not line and pending is None):
                continue
            if len(line) > _MAX_LINE:
                yield number, line[:_MAX_LINE].decode(form.encoding, errors="replace"), Reason.LINE_TOO_LONG
                continue
            try:
                text = line.decode(form.encoding)
            except UnicodeDecodeError:
                yield number, line.decode(form.encoding, errors="replace"), Reason.INVALID_ENCODING
                continue
            if form.quote:
                first, text = (number, text) if pending is None else (pending[0], f"{pending[1]}\n{text}")
                pending = (first, text) if text.count(form.quote) % 2 else None
                if pending is None:
                    yield first, text, None
            else:
                yield number, text, None
        if pending is not None:
            yield pending[0], pending[1], Reason.BAD_QUOTES


def classify(
    plan: FilePlan, lines: Iterable[Numbered], connection: duckdb.DuckDBPyConnection
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Accepted and rejected rows of some lines of a file.

    Returns:
        Accepted rows (``line_number, meter_id, channel, start_utc, number, quality, site, attribute_<i>``) and rejected
        rows (``line_number, raw_text, reason, column_name, detail``).
    """
    cells = _split(plan, lines)
    typed = _typed(plan, cells, connection)
    judged = _contradictions(_judged(plan, _in_utc(plan, typed)))
    rejected = judged.filter(pl.col("reason").is_not_null())
    return judged.filter(pl.col("reason").is_null()), _explained(plan, rejected)


def _split(plan: FilePlan, lines: Iterable[Numbered]) -> pl.DataFrame:
    """The cells of each line that matter, as text."""
    width = len(plan.header)
    wanted: dict[str, Cell] = {
        "stamp_text": Cell(plan.stamp, None),
        "value_text": Cell(plan.value, None),
        "meter_id": plan.meter,
        "channel": plan.channel,
        "quality_text": Cell(plan.quality, None),
        "site": plan.site or Cell(None, None),
        **{f"attribute_{index}": Cell(position, None) for index, (_, position) in enumerate(plan.attributes)},
    }
    positions = [cell.position for cell in wanted.values()]
    texts = [cell.text for cell in wanted.values()]
    rows: list[tuple[object, ...]] = []
    for number, text, fault in lines:
        found, wrong = _cells(text, plan.declaration.format)
        wrong = fault or wrong or _wrong_width(len(found), width)
        if wrong is None:
            values = [texts[i] if at is None else found[at].strip() for i, at in enumerate(positions)]
        else:
            values = [None] * len(positions)
        rows.append((number, text, None if wrong is None else wrong.value, len(found), *values))
    schema = {"line_number": pl.Int64, "raw_text": pl.String, "fault": pl.String, "width": pl.Int64}
    return pl.DataFrame(rows, schema={**schema, **dict.fromkeys(wanted, pl.String)}, orient="row")


def _cells(text: str, form: Csv) -> tuple[list[str], Reason | None]:
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


def _typed(plan: FilePlan, cells: pl.DataFrame, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Stamps and numbers, converted by DuckDB so that both ways in agree on what is a stamp and a number.

    Gives ``moment`` for stamps that carry an offset (already UTC) and ``stamp`` for those that do not.
    """
    patterns = plan.declaration.timestamp.patterns
    plain, offset = [[p for p in patterns if ("%z" in p) == carries] for carries in (False, True)]
    value = "trim(value_text)"
    if plan.declaration.format.decimal == ",":
        value = f"replace(replace({value}, '.', 'x'), ',', '.')"  # a point is no decimal there
    connection.register("cells", cells.to_arrow())
    try:
        typed: pl.DataFrame = connection.execute(
            f"""SELECT *, {_parsed(plain)} AS stamp, CAST({_parsed(offset)} AS TIMESTAMP) AS moment,
                       TRY_CAST({value} AS DOUBLE) AS number
                FROM cells ORDER BY line_number""",
            [*plain, *offset],
        ).pl()
    finally:
        connection.unregister("cells")
    return typed


def _parsed(patterns: list[str]) -> str:
    if not patterns:
        return "CAST(NULL AS TIMESTAMP)"
    tries = ", ".join("try_strptime(stamp_text, ?)" for _ in patterns)
    return f"CASE WHEN stamp_text <> '' THEN coalesce({tries}, NULL) END"


def _in_utc(plan: FilePlan, rows: pl.DataFrame) -> pl.DataFrame:
    """Adds ``start_utc`` and ``is_skipped``: a local time that the clocks skipped has no moment.

    A local time that happens twice, when the clocks go back, is the earlier moment at its first
    line of a meter and channel and the later moment at its second.
    """
    zone = plan.declaration.timestamp.zone
    rows = rows.with_columns(
        pl.col("stamp", "moment").cast(pl.Datetime("us")),
        nth=pl.int_range(pl.len()).over("meter_id", "channel", "stamp"),
    )
    occurrence = pl.when(pl.col("nth") == 0).then(pl.lit("earliest")).otherwise(pl.lit("latest"))
    moment = (
        pl.col("stamp")
        .dt.replace_time_zone(zone, ambiguous=occurrence, non_existent="null")
        .dt.convert_time_zone("UTC")
        .dt.replace_time_zone(None)
    )
    utc = pl.coalesce("moment", moment)
    shift = plan.declaration.interval_minutes if plan.declaration.timestamp.marks == "end" else 0
    return rows.with_columns(start_utc=utc - pl.lit(timedelta(minutes=shift))).with_columns(
        is_skipped=pl.col("stamp").is_not_null() & pl.col("start_utc").is_null()
    )


def _judged(plan: FilePlan, rows: pl.DataFrame) -> pl.DataFrame:
    """Adds ``reason``, null for rows that can be used, and ``quality``."""
    value, stamp = pl.col("value_text"), pl.col("start_utc")
    no_stamp = pl.col("stamp").is_null() & pl.col("moment").is_null()
    implausible = (stamp < FIRST_PLAUSIBLE_UTC) | (stamp >= END_PLAUSIBLE_UTC)
    factor = plan.declaration.kwh_per_unit if isinstance(plan.declaration, ReadingsSource) else 1.0
    faults: list[tuple[pl.Expr, Reason]] = [
        ((pl.col("meter_id") == "") | (pl.col("channel") == "") | (pl.col("site") == ""), Reason.NO_KEY),
        (no_stamp | implausible, Reason.BAD_TIMESTAMP),
        (pl.col("is_skipped"), Reason.NONEXISTENT_TIME),
        ((value == "") | value.is_in(plan.declaration.value.null_words), Reason.NULL_VALUE),
        (pl.col("number").is_null(), Reason.NOT_A_NUMBER),
        (~(pl.col("number") * factor).is_finite(), Reason.NOT_FINITE),
        (_is_off_grid(plan), Reason.OFF_GRID),
    ]
    reasons = [pl.when(fault).then(pl.lit(reason.value)) for fault, reason in faults]
    return rows.with_columns(reason=pl.coalesce("fault", *reasons), quality=_quality(plan))


def _quality(plan: FilePlan) -> pl.Expr:
    quality = plan.declaration.quality if isinstance(plan.declaration, ReadingsSource) else "measured"
    if isinstance(quality, Quality):
        estimated = pl.col("quality_text").is_in(quality.estimated)
        return pl.when(estimated).then(pl.lit("estimated")).otherwise(pl.lit("measured"))
    return pl.lit(quality)


def _is_off_grid(plan: FilePlan) -> pl.Expr:
    """On the grid are multiples of the interval in UTC, or at the site where its zone is a half hour off."""
    every = plan.declaration.interval_minutes * 60_000_000
    utc = pl.col("start_utc")
    off = utc.dt.epoch("us") % every != 0
    if isinstance(plan.declaration, ReadingsSource):
        local = utc.dt.replace_time_zone("UTC").dt.convert_time_zone(plan.declaration.site_zone)
        off &= local.dt.replace_time_zone(None).dt.epoch("us") % every != 0
    return off


def _contradictions(rows: pl.DataFrame) -> pl.DataFrame:
    """Where usable lines give one interval several values, the last line wins and the others are refused."""
    usable = pl.col("reason").is_null()
    slot = ["meter_id", "channel", "start_utc"]
    said = rows.filter(usable).with_columns(
        last_number=pl.col("number").last().over(slot), last_quality=pl.col("quality").last().over(slot)
    )
    refused = said.filter(
        (pl.col("number") != pl.col("last_number")) | (pl.col("quality") != pl.col("last_quality"))
    ).select("line_number", contradicted=pl.lit(Reason.CONFLICTING.value))
    joined = rows.join(refused, on="line_number", how="left", maintain_order="left")
    return joined.with_columns(reason=pl.coalesce("reason", "contradicted")).drop("contradicted")


def _explained(plan: FilePlan, rows: pl.DataFrame) -> pl.DataFrame:
    """Rejected rows with the column at fault, what was found there and what would be right."""
    declaration = plan.declaration
    stamp, value = pl.col("stamp_text"), pl.col("value_text")
    formats = ", ".join(declaration.timestamp.formats)
    key = plan.meter.position if plan.meter.position is not None else plan.channel.position
    key_name = plan.header[key] if key is not None else None
    width = pl.format("{} cells where the header has {}", "width", pl.lit(len(plan.header)))
    stamp_name, value_name = declaration.timestamp.column, declaration.value.column
    explained: dict[Reason, tuple[str | None, pl.Expr]] = {
        Reason.INVALID_ENCODING: (None, pl.lit(f"bytes that are not {declaration.format.encoding}")),
        Reason.LINE_TOO_LONG: (None, pl.lit("the line does not end within 2 MB")),
        Reason.BAD_QUOTES: (None, pl.lit(f"quotation marks {declaration.format.quote} that do not pair up")),
        Reason.MISSING_CELLS: (None, width),
        Reason.EXTRA_CELLS: (None, width),
        Reason.NO_KEY: (key_name, pl.lit("nothing that names the meter, channel or site")),
        Reason.BAD_TIMESTAMP: (stamp_name, pl.format("'{}' is not within 1970 to 2039 in {}", stamp, pl.lit(formats))),
        Reason.NONEXISTENT_TIME: (
            stamp_name,
            pl.format("'{}' was skipped in {}", stamp, pl.lit(declaration.timestamp.zone)),
        ),
        Reason.NULL_VALUE: (value_name, pl.format("'{}' stands for no value", value)),
        Reason.NOT_A_NUMBER: (value_name, pl.format("'{}' is no number", value)),
        Reason.NOT_FINITE: (value_name, pl.format("'{}' is no amount", value)),
        Reason.OFF_GRID: (
            stamp_name,
            pl.format("'{}' is no multiple of {} minutes", stamp, pl.lit(declaration.interval_minutes)),
        ),
        Reason.CONFLICTING: (value_name, pl.format("'{}', but a later line says otherwise of {}", value, stamp)),
    }
    is_reason = {reason: pl.col("reason") == reason.value for reason in explained}
    return rows.select(
        "line_number",
        "raw_text",
        "reason",
        column_name=pl.coalesce(
            pl.when(is_reason[r]).then(pl.lit(name, pl.String)) for r, (name, _) in explained.items()
        ),
        detail=pl.coalesce(pl.when(is_reason[r]).then(text) for r, (_, text) in explained.items()),
    )
