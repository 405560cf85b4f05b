"""Reads and writes lake.files, the account of every landed file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import duckdb
import polars as pl

from energy_platform.domain.columns import FILES
from energy_platform.domain.readings import FileOutcome

LEDGER_TOTALS_SQL = """
    WITH meters AS (
        SELECT source, count(DISTINCT meter_id) AS meters FROM lake.meters GROUP BY source),
    newest AS (
        SELECT source, max(newest_interval_start_utc) AS newest_reading_utc
        FROM lake.day_loads JOIN lake.files USING (file_id) GROUP BY source),
    newest_other AS (
        SELECT source, max(measured_at_utc) AS newest_reading_utc
        FROM (SELECT file_id, observed_at_utc AS measured_at_utc FROM lake.weather
              UNION ALL SELECT file_id, measured_at_utc FROM lake.telemetry)
        JOIN lake.files USING (file_id) GROUP BY source),
    corrected AS (
        SELECT DISTINCT meter_no, local_date FROM lake.day_loads WHERE has_superseding),
    superseded AS (
        SELECT source, sum(superseded_kwh) AS superseded_kwh FROM (
            SELECT files.source, lag(stored.energy_kwh) OVER (
                       PARTITION BY stored.meter_no, stored.interval_start_utc ORDER BY stored.file_id) AS superseded_kwh
            FROM lake.reading_rows AS stored JOIN lake.files AS files USING (file_id)
            SEMI JOIN corrected
                ON corrected.meter_no = stored.meter_no
                AND corrected.local_date = CAST(stored.interval_start_utc + to_minutes(stored.utc_offset_minutes) AS DATE))
        GROUP BY source)
    SELECT files.source, count(*) AS files, count(*) FILTER (WHERE status = 'failed') AS files_failed,
           sum(rows_read)::BIGINT AS rows_read, sum(rows_accepted)::BIGINT AS rows_accepted,
           sum(rows_rejected)::BIGINT AS rows_rejected, sum(rows_duplicate)::BIGINT AS rows_duplicate,
           sum(rows_superseding)::BIGINT AS rows_superseding,
           sum(energy_kwh) - coalesce(any_value(superseded_kwh), 0) AS energy_kwh,
           coalesce(any_value(meters.meters), 0) AS meters,
           coalesce(any_value(newest.newest_reading_utc), any_value(newest_other.newest_reading_utc))
               AS newest_reading_utc
    FROM lake.files AS files
    LEFT JOIN meters USING (source) LEFT JOIN newest USING (source)
    LEFT JOIN newest_other USING (source) LEFT JOIN superseded USING (source)
    GROUP BY files.source ORDER BY files.source"""


def ledger_totals(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """The ledger by source: files, rows, kWh of the readings in use, meters, newest reading."""
    totals: pl.DataFrame = connection.execute(LEDGER_TOTALS_SQL).pl()
    return totals


def next_file_id(connection: duckdb.DuckDBPyConnection) -> int:
    """The first unused file id; ids begin with 1."""
    return int(connection.execute("SELECT coalesce(max(file_id), 0) + 1 FROM lake.files").fetchall()[0][0])


def next_available_at(connection: duckdb.DuckDBPyConnection, now: datetime) -> datetime:
    """``now``, or just after the newest known version when the clock stands behind it."""
    newest = connection.execute(
        "SELECT greatest((SELECT max(available_at_utc) FROM lake.files),"
        " (SELECT max(available_at_utc) FROM lake.weather), (SELECT max(available_at_utc) FROM lake.telemetry))"
    ).fetchall()[0][0]
    return now if newest is None else max(now, newest + timedelta(microseconds=1))


def known_file_id(outcome: FileOutcome, connection: duckdb.DuckDBPyConnection) -> int | None:
    """The id of the same file's earlier failure."""
    rows = connection.execute(
        "SELECT file_id FROM lake.files WHERE source = ? AND content_sha256 = ? AND status = 'failed'",
        [outcome.file.source, outcome.file.content_sha256],
    ).fetchall()
    return int(rows[0][0]) if rows else None


def write_outcomes(
    outcomes: Sequence[FileOutcome], connection: duckdb.DuckDBPyConnection, *, loaded_at_utc: datetime
) -> None:
    """Enter files into the ledger; an earlier failure of the same file gives way."""
    rows = pl.DataFrame(
        [
            {
                "file_id": outcome.file_id,
                "uri": outcome.file.uri,
                "content_sha256": outcome.file.content_sha256,
                "source": outcome.file.source,
                "bytes": outcome.file.bytes,
                "landed_at_utc": outcome.file.landed_at_utc,
                "loaded_at_utc": loaded_at_utc,
                "available_at_utc": outcome.available_at_utc,
                "rows_read": outcome.rows.read,
                "rows_accepted": outcome.rows.accepted,
                "rows_rejected": outcome.rows.rejected,
                "rows_duplicate": outcome.rows.duplicate,
                "rows_superseding": outcome.rows.superseding,
                "energy_kwh": outcome.energy_kwh,
                "status": outcome.status,
                "error": outcome.error,
            }
            for outcome in outcomes
        ],
        schema=FILES.polars_schema,
    )
    connection.register("outcomes", rows.to_arrow())
    connection.execute(
        """DELETE FROM lake.files
           WHERE status = 'failed' AND (source, content_sha256) IN (SELECT (source, content_sha256) FROM outcomes)"""
    )
    connection.execute("INSERT INTO lake.files BY NAME SELECT * FROM outcomes")
    connection.unregister("outcomes")
