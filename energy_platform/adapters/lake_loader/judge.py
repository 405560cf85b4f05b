"""Says of each row what it is, or why it cannot be used: every rule about a row stands here once.

The slow and complete way in: 1M rows take seconds. It judges all but plain text tables, the lines that
DuckDB's reader refuses (fast.py), and whole files in which that reader meets what it cannot settle
(stamps off the grid, contradictions).

What a row is: a line of a text table, a record of JSON, a row of Parquet; of a wide table, a cell.
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import polars as pl

from energy_platform.adapters.lake_loader.cells import melted
from energy_platform.adapters.lake_loader.content import stamp_sql
from energy_platform.adapters.lake_loader.explain import explained
from energy_platform.adapters.lake_loader.plan import FilePlan
from energy_platform.domain.gas import calorific_values_out_of_bounds
from energy_platform.domain.intervals import END_PLAUSIBLE_UTC, FIRST_PLAUSIBLE_UTC, is_fixed
from energy_platform.domain.readings import Reason
from energy_platform.domain.sources import (
    Csv,
    Quality,
    ReadingsSource,
    TelemetrySource,
    carries_moment,
)
from energy_platform.domain.units import kwh_factor

_LONGEST_INTERVAL = 44_640
COMMODITIES = ("electricity", "gas")


def classify(
    plan: FilePlan, cells: pl.DataFrame, connection: duckdb.DuckDBPyConnection
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Accepted and rejected rows; of a wide table, column by column.

    Args:
        plan: how the files are read, which are of one layout.
        cells: named cells of some of their rows (cells.py).
        connection: any; it converts texts.

    Yields:
        Accepted rows (``file_id, line_number, meter_id, channel, start_utc, interval_minutes, number, energy_kwh, quality,
        site, commodity, attribute_<i>``; telemetry ``number_<i>`` and no energy) and rejected rows
        (``file_id, line_number, raw_text, reason, column_name, detail``).
    """
    rows = _in_utc(plan, _with_stamps(plan, _with_interval(plan, cells), connection))
    for part in melted(plan, rows):
        judged = _contradictions(plan, _judged(plan, _with_numbers(plan, part, connection)))
        rejected = judged.filter(pl.col("reason").is_not_null())
        yield judged.filter(pl.col("reason").is_null()), explained(plan, rejected)


def _with_interval(plan: FilePlan, rows: pl.DataFrame) -> pl.DataFrame:
    """Adds ``interval_minutes``: the row's own or the declared one; null where its own is impossible."""
    declared = None if isinstance(plan.declaration, TelemetrySource) else plan.declaration.interval_minutes
    minutes = pl.lit(declared, pl.Int64)
    if plan.interval is not None:
        own = pl.col("interval_text").cast(pl.Int64, strict=False)
        own = pl.when(own.is_between(1, _LONGEST_INTERVAL)).then(own)
        minutes = pl.when(pl.col("interval_text") == "").then(minutes).otherwise(own)
    return rows.with_columns(interval_minutes=minutes)


def _with_stamps(plan: FilePlan, rows: pl.DataFrame, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Stamps, converted by DuckDB so that both ways in agree on what is a stamp.

    Gives ``moment`` for stamps that carry an offset (already UTC) and ``stamp`` for those that do not.
    """
    patterns = _likely_first(plan.declaration.timestamp.patterns, rows["stamp_text"].drop_nulls().head(1).to_list())
    plain, moments = [[p for p in patterns if carries_moment(p) == carries] for carries in (False, True)]
    connection.register("cells", rows.to_arrow())
    try:
        typed: pl.DataFrame = connection.execute(
            f"""SELECT *, {_parsed(plain)} AS stamp, {_parsed(moments)} AS moment
                FROM cells ORDER BY file_id, line_number"""
        ).pl()
    finally:
        connection.unregister("cells")
    return typed.with_columns(pl.col("stamp", "moment").cast(pl.Datetime("us")))


def _likely_first(patterns: tuple[str, ...], stamps: list[str]) -> list[str]:
    """The patterns with those that look like the first stamp in front: each that does not fit costs a pass."""

    def unlike(pattern: str) -> int:
        marks = ((mark in pattern, mark in stamps[0]) for mark in ("T", "Z"))
        fraction = ("%n" in pattern or "%f" in pattern, "." in stamps[0])
        return sum(written != found for written, found in (*marks, fraction))

    return sorted(patterns, key=unlike) if stamps else list(patterns)


def _parsed(patterns: list[str]) -> str:
    if not patterns:
        return "CAST(NULL AS TIMESTAMP)"
    tries = ", ".join(f"CAST({stamp_sql('stamp_text', pattern)} AS TIMESTAMP)" for pattern in patterns)
    return f"CASE WHEN stamp_text <> '' THEN coalesce({tries}, NULL) END"


def _in_utc(plan: FilePlan, rows: pl.DataFrame) -> pl.DataFrame:
    """Adds ``start_utc`` and ``is_skipped``: a local time that the clocks skipped has no moment.

    A local time that happens twice, when the clocks go back, is the earlier moment at its first
    line of a meter and channel in a file and the later moment at its second.
    """
    timestamp = plan.declaration.timestamp
    marks = "start" if _is_instant(plan) else timestamp.marks
    interval = pl.duration(minutes="interval_minutes")
    if marks == "hour_ending":  # the label is no local time: only the start it is made from is one
        rows = rows.with_columns(pl.col("stamp", "moment") - interval)
    nth = pl.lit(0)
    if not is_fixed(timestamp.zone):
        nth = pl.int_range(pl.len()).over("file_id", "meter_id", "channel", "stamp")
    occurrence = pl.when(nth == 0).then(pl.lit("earliest")).otherwise(pl.lit("latest"))
    moment = (
        pl.col("stamp")
        .dt.replace_time_zone(timestamp.zone, ambiguous=occurrence, non_existent="null")
        .dt.convert_time_zone("UTC")
        .dt.replace_time_zone(None)
    )
    utc = pl.coalesce("moment", moment)
    start = utc - interval if marks == "end" else utc
    return rows.with_columns(start_utc=start, is_skipped=pl.col("stamp").is_not_null() & utc.is_null())


def _is_instant(plan: FilePlan) -> bool:
    declaration = plan.declaration
    return isinstance(declaration, TelemetrySource) or (
        isinstance(declaration, ReadingsSource) and declaration.is_instants
    )


def numbers_of(plan: FilePlan) -> dict[str, str]:
    """Each number that a row holds, and the text that it is read from."""
    if isinstance(plan.declaration, TelemetrySource):
        return {f"number_{index}": f"value_{index}" for index in range(len(plan.values))}
    return {"number": "value_text"}


def _with_numbers(plan: FilePlan, cells: pl.DataFrame, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Adds the numbers, converted by DuckDB so that both ways in agree on what is a number, and ``energy_kwh``."""
    form = plan.declaration.format
    texts = dict(numbers_of(plan))
    if plan.calorific is not None:
        texts["calorific_mj_per_m3"] = "calorific_text"
    comma = isinstance(form, Csv) and form.decimal == ","  # a point is no decimal there
    point = "replace(replace({}, '.', 'x'), ',', '.')" if comma else "{}"
    casts = ", ".join(f"TRY_CAST({point.format(text)} AS DOUBLE) AS {name}" for name, text in texts.items())
    narrow = cells.select(*texts.values()).with_row_index("cell")
    connection.register("cells", narrow.to_arrow())
    try:
        numbers: pl.DataFrame = connection.execute(f"SELECT {casts} FROM cells ORDER BY cell").pl()
    finally:
        connection.unregister("cells")
    return cells.hstack(numbers).with_columns(energy_kwh=_energy(plan))


def _energy(plan: FilePlan) -> pl.Expr:
    """The number in kWh; of power samples in kW, of registers what they show in kWh."""
    declaration = plan.declaration
    if not isinstance(declaration, ReadingsSource):
        return pl.lit(None, pl.Float64)
    factor, value = declaration.kwh_per_unit, declaration.value
    if factor is not None:
        return pl.col("number") if factor == 1 else pl.col("number") * factor
    if value.calorific_value is not None:
        some = 39.0  # the factor is proportional to the calorific value
        per_mj = kwh_factor(value.unit, gas=value.calorific_value.conversion(some)) / some
        return pl.col("number") * pl.col("calorific_mj_per_m3") * per_mj
    return pl.col("number") * pl.col("interval_minutes") * kwh_factor(value.unit, interval_minutes=60) / 60


def _judged(plan: FilePlan, rows: pl.DataFrame) -> pl.DataFrame:
    """Adds ``reason``, null for rows that can be used, ``quality`` and ``commodity``."""
    stamp, declaration = pl.col("start_utc"), plan.declaration
    no_stamp = pl.col("stamp").is_null() & pl.col("moment").is_null()
    implausible = (stamp < FIRST_PLAUSIBLE_UTC) | (stamp >= END_PLAUSIBLE_UTC)
    numbers = numbers_of(plan)
    words = () if isinstance(declaration, TelemetrySource) else declaration.value.null_words
    empty = {number: (pl.col(text) == "") | pl.col(text).is_in(words) for number, text in numbers.items()}
    finite = [pl.col(number).is_finite() for number in numbers]
    if isinstance(declaration, ReadingsSource):
        finite.append(pl.col("energy_kwh").is_finite())
    faults: list[tuple[pl.Expr, Reason]] = [
        ((pl.col("meter_id") == "") | (pl.col("channel") == "") | (pl.col("site") == ""), Reason.NO_KEY),
        (no_stamp | implausible, Reason.BAD_TIMESTAMP),
        (pl.col("is_skipped"), Reason.NONEXISTENT_TIME),
        (pl.all_horizontal(*empty.values()), Reason.NULL_VALUE),
        (
            pl.any_horizontal(pl.col(number).is_null() & ~is_empty for number, is_empty in empty.items()),
            Reason.NOT_A_NUMBER,
        ),
    ]
    if plan.interval is not None:
        faults.append((pl.col("interval_minutes").is_null(), Reason.BAD_INTERVAL))
    if plan.commodity is not None:
        faults.append((~pl.col("commodity_text").is_in(("", *COMMODITIES)), Reason.BAD_COMMODITY))
    if plan.calorific is not None:
        faults.append((_is_bad_calorific(plan), Reason.BAD_CALORIFIC_VALUE))
    faults.append((~pl.all_horizontal(*(said.fill_null(value=True) for said in finite)), Reason.NOT_FINITE))
    if not _is_instant(plan):
        faults.append((_is_off_grid(plan), Reason.OFF_GRID))
    reasons = [pl.when(fault).then(pl.lit(reason.value)) for fault, reason in faults]
    commodity = pl.when(pl.col("commodity_text") != "").then("commodity_text")
    return rows.with_columns(reason=pl.coalesce("fault", *reasons), quality=_quality(plan), commodity=commodity)


def _is_bad_calorific(plan: FilePlan) -> pl.Expr:
    value = pl.col("calorific_mj_per_m3")
    gas = plan.declaration.value.calorific_value if isinstance(plan.declaration, ReadingsSource) else None
    if gas is not None and gas.is_natural_gas:
        return calorific_values_out_of_bounds(value)
    return ((value > 0) & value.is_finite()).not_().fill_null(value=True)


def _quality(plan: FilePlan) -> pl.Expr:
    quality = plan.declaration.quality if isinstance(plan.declaration, ReadingsSource) else "measured"
    if isinstance(quality, Quality):
        estimated = pl.col("quality_text").is_in(quality.estimated)
        return pl.when(estimated).then(pl.lit("estimated")).otherwise(pl.lit("measured"))
    return pl.lit(quality)


def _is_off_grid(plan: FilePlan) -> pl.Expr:
    """On the grid are multiples of the interval in UTC, or at the site where its zone is a half hour off."""
    every = pl.col("interval_minutes") * 60_000_000
    utc = pl.col("start_utc")
    off = utc.dt.epoch("us") % every != 0
    if isinstance(plan.declaration, ReadingsSource):
        local = utc.dt.replace_time_zone("UTC").dt.convert_time_zone(plan.declaration.site_zone)
        off &= local.dt.replace_time_zone(None).dt.epoch("us") % every != 0
    return off


def _contradictions(plan: FilePlan, rows: pl.DataFrame) -> pl.DataFrame:
    """Where usable lines of a file give one interval several values, the last line wins and the others are refused."""
    usable = pl.col("reason").is_null()
    slot = ["file_id", "meter_id", "channel", "start_utc"]
    said = rows.filter(usable)
    again = said.filter(pl.struct(slot).is_duplicated())
    if again.is_empty():
        return rows
    facts = [*numbers_of(plan), "quality"]
    differs = pl.any_horizontal(pl.col(fact).ne_missing(pl.col(fact).last().over(slot)) for fact in facts)
    row = ["file_id", "line_number", "value_name"]
    refused = again.filter(differs).select(*row, contradicted=pl.lit(Reason.CONFLICTING.value))
    joined = rows.join(refused, on=row, how="left", maintain_order="left", nulls_equal=True)
    return joined.with_columns(reason=pl.coalesce("reason", "contradicted")).drop("contradicted")
