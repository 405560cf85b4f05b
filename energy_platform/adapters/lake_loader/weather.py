"""Settles what new weather says again and what it corrects. Weather is small: no days are summarised."""

from __future__ import annotations

import duckdb

from energy_platform.adapters.lake_loader.days import Batch


def settle(batch: Batch, connection: duckdb.DuckDBPyConnection) -> dict[int, tuple[int, int]]:
    """Delete new observations that repeat the newest known version.

    Returns:
        Duplicate and superseding rows by file id, for the files that have any.
    """
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE observations AS
            WITH stations AS (SELECT DISTINCT station_id FROM lake.weather WHERE {batch.where})
            SELECT *, temperature_c = before_c AS is_duplicate
            FROM (SELECT rowid AS row_number, file_id, lag(temperature_c) OVER hour AS before_c, temperature_c
                  FROM lake.weather SEMI JOIN stations USING (station_id)
                  WINDOW hour AS (PARTITION BY station_id, observed_at_utc ORDER BY file_id, rowid))
            WHERE {batch.where}"""
    )
    connection.execute(
        "DELETE FROM lake.weather WHERE rowid IN (SELECT row_number FROM observations WHERE is_duplicate)"
    )
    counts = connection.execute(
        """SELECT file_id, count(*) FILTER (WHERE is_duplicate), count(*) FILTER (WHERE NOT is_duplicate)
           FROM observations WHERE is_duplicate IS NOT NULL GROUP BY file_id"""
    ).fetchall()
    return {file_id: (duplicate, superseding) for file_id, duplicate, superseding in counts}
