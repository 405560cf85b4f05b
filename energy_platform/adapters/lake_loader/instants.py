"""Instants on their way into lake.telemetry, and the energy that samples of power and registers come to.

A sample or a read alone is no energy. Instants are kept as they came; the intervals that new ones touch are
computed from all instants known by then, so that a file that ends within an interval, or arrives late, leaves
the same readings behind as one file of everything. An interval whose energy changes is a new version of it.

Belongs here: which instants belong together, what of them is new. Does not belong here: the arithmetic
(domain/power_samples.py, domain/registers.py).
"""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb
import polars as pl

from energy_platform.adapters.lake_loader import numbers
from energy_platform.adapters.lake_loader.days import Batch
from energy_platform.adapters.lake_loader.plan import FilePlan
from energy_platform.domain.columns import TELEMETRY_VALUES
from energy_platform.domain.intervals import offset_sql
from energy_platform.domain.power_samples import energy_from_samples
from energy_platform.domain.registers import energy_from_registers
from energy_platform.domain.sources import ReadingsSource, TelemetrySource

# Registers read once a month have their neighbour 31 days away; further back is not looked for.
_NEIGHBOUR = timedelta(days=40)
# The same instants must give the same energy to the last bit, or every load would look like a correction.
_DECIMALS = 9
_METER = ["meter_id", "channel"]


def insert(declaration: ReadingsSource | TelemetrySource, connection: duckdb.DuckDBPyConnection) -> None:
    """Put the rows of the registered frame ``accepted`` into lake.telemetry."""
    if isinstance(declaration, TelemetrySource):
        values = [f"number_{index} AS {name}" for index, (name, _) in enumerate(declaration.quantities)]
    else:
        is_register = declaration.value.measures == "register"
        values = ["energy_kwh AS register_kwh" if is_register else "energy_kwh * 1000 AS active_power_w"]
    connection.execute(
        f"""INSERT INTO lake.telemetry BY NAME
            SELECT meter_id, channel, start_utc AS measured_at_utc, {", ".join(values)}, file_id, available_at_utc
            FROM accepted"""
    )


def settle(batch: Batch, connection: duckdb.DuckDBPyConnection) -> dict[int, tuple[int, int]]:
    """Delete new instants that repeat the newest known version.

    Returns:
        Duplicate and superseding rows by file id, for the files that have any.
    """
    first, last = connection.execute(
        f"SELECT min(measured_at_utc), max(measured_at_utc) FROM lake.telemetry WHERE {batch.where}"
    ).fetchall()[0]
    if first is None:
        return {}
    same = " AND ".join(f"{name} IS NOT DISTINCT FROM lag({name}) OVER instant" for name in TELEMETRY_VALUES)
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE instants AS
            WITH touched AS (SELECT DISTINCT meter_id, channel FROM lake.telemetry WHERE {batch.where})
            SELECT * FROM (
                SELECT rowid AS row_number, file_id, lag(file_id) OVER instant AS before_file, {same} AS is_same
                FROM lake.telemetry SEMI JOIN touched USING (meter_id, channel)
                WHERE measured_at_utc BETWEEN ? AND ?
                WINDOW instant AS (PARTITION BY meter_id, channel, measured_at_utc ORDER BY file_id, rowid))
            WHERE {batch.where} AND before_file IS NOT NULL""",
        [first, last],
    )
    connection.execute("DELETE FROM lake.telemetry WHERE rowid IN (SELECT row_number FROM instants WHERE is_same)")
    counts = connection.execute(
        "SELECT file_id, count(*) FILTER (WHERE is_same), count(*) FILTER (WHERE NOT is_same) FROM instants GROUP BY 1"
    ).fetchall()
    return {file_id: (duplicate, superseding) for file_id, duplicate, superseding in counts}


def insert_energy(file_id: int, plan: FilePlan, connection: duckdb.DuckDBPyConnection) -> None:
    """Put the energy of the intervals that a file's instants touch into lake.reading_rows."""
    declaration = plan.declaration
    assert isinstance(declaration, ReadingsSource)  # noqa: S101  (only they are energy)
    touched = _touched(file_id, declaration, connection)
    if touched.is_empty():
        return
    column = "register_kwh" if declaration.value.measures == "register" else "active_power_w"
    known = _known(file_id, touched, column, connection)
    energy = (
        _from_registers(known, declaration) if column == "register_kwh" else _from_samples(known, touched, declaration)
    )
    usable = energy.filter(pl.col("energy_kwh").is_not_null()).with_columns(pl.col("energy_kwh").round(_DECIMALS))
    connection.register("energy", usable.to_arrow())
    numbers.give_numbers("SELECT meter_id, channel, 0 AS file_id FROM energy", connection)
    connection.execute(
        f"""INSERT INTO lake.reading_rows BY NAME
            SELECT meter_no, interval_start_utc, interval_minutes, energy_kwh,
                   quality = 'estimated' AS is_estimated, {file_id} AS file_id,
                   {offset_sql(declaration.site_zone, "interval_start_utc")} AS utc_offset_minutes
            FROM energy JOIN meter_numbers USING (meter_id, channel)"""
    )
    connection.unregister("energy")


def _touched(file_id: int, declaration: ReadingsSource, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """From when to when (on the grid) the new instants of each meter and channel may change energy."""
    every = f"{declaration.interval_minutes}m"
    reach = timedelta(seconds=declaration.value.samples.max_gap_seconds)
    if declaration.value.measures == "register":
        reach = timedelta(minutes=declaration.interval_minutes)
    spans: pl.DataFrame = connection.execute(
        f"""SELECT meter_id, channel, min(measured_at_utc) AS first, max(measured_at_utc) AS last
            FROM lake.telemetry WHERE file_id = {file_id} GROUP BY ALL ORDER BY ALL"""
    ).pl()
    return spans.select(
        *_METER,
        (pl.col("first") - reach).dt.truncate(every).alias("since"),
        (pl.col("last") + reach).dt.offset_by(every).dt.truncate(every).alias("until"),
    )


def _known(file_id: int, touched: pl.DataFrame, column: str, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """The newest version of every instant in those spans, with the nearest one before and after each span."""
    connection.register("spans", touched.to_arrow())
    lowest: datetime = touched["since"].min()  # type: ignore[assignment]
    highest: datetime = touched["until"].max()  # type: ignore[assignment]
    known: pl.DataFrame = connection.execute(
        f"""WITH near AS (
                SELECT meter_id, channel, measured_at_utc, {column} AS value, since, until
                FROM lake.telemetry JOIN spans USING (meter_id, channel)
                WHERE {column} IS NOT NULL AND file_id <= {file_id} AND measured_at_utc BETWEEN ? AND ?
                QUALIFY row_number() OVER (PARTITION BY meter_id, channel, measured_at_utc ORDER BY file_id DESC) = 1)
            SELECT meter_id, channel, measured_at_utc, value FROM near
            WHERE measured_at_utc BETWEEN since AND until
               OR (meter_id, channel, measured_at_utc) IN (
                   SELECT (meter_id, channel, max(measured_at_utc)) FROM near WHERE measured_at_utc < since GROUP BY meter_id, channel)
               OR (meter_id, channel, measured_at_utc) IN (
                   SELECT (meter_id, channel, min(measured_at_utc)) FROM near WHERE measured_at_utc > until GROUP BY meter_id, channel)
            ORDER BY ALL""",
        [lowest - _NEIGHBOUR, highest + _NEIGHBOUR],
    ).pl()
    connection.unregister("spans")
    return known


def _from_samples(known: pl.DataFrame, touched: pl.DataFrame, declaration: ReadingsSource) -> pl.DataFrame:
    """Only the touched intervals: of those beyond, not all samples are at hand."""
    samples = known.select(*_METER, "measured_at_utc", power=pl.col("value") / 1000)
    found = energy_from_samples(samples, declaration.value.sample_rules(declaration.interval_minutes)).intervals
    inside = pl.col("interval_start_utc").is_between("since", "until", closed="left")
    return found.join(touched, on=_METER, how="left", maintain_order="left").filter(inside)


def _from_registers(known: pl.DataFrame, declaration: ReadingsSource) -> pl.DataFrame:
    """In the register's own unit, because it rolls over there: digits count what it shows."""
    factor = declaration.kwh_per_unit or 1.0
    reads = known.select(*_METER, "measured_at_utc", shown=(pl.col("value") / factor).round(6))
    rules = declaration.value.register_rules(declaration.interval_minutes, kwh_per_unit=factor)
    reads = reads.rename({"measured_at_utc": "read_at_utc", "shown": "register_kwh"})
    return energy_from_registers(reads, rules).intervals.with_columns(pl.col("energy_kwh") * factor)
