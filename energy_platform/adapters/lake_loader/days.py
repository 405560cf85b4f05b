"""Settles what new readings say again and what they correct, a local day at a time.

A day is clean when its rows are as many as its distinct intervals and no earlier file gave any of them:
one aggregate over the new rows tells (0.5 s for 16.8M rows, where a window over all rows took 3.5 s).
Only the other days are looked at row by row.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from energy_platform.domain.intervals import END_PLAUSIBLE_UTC, FIRST_PLAUSIBLE_UTC, SLOTS

# Below half-hours a day has more intervals than a mask has bits.
_MASKED_FROM_MINUTES = 30
LOCAL_DATE_SQL = (
    "CAST(DATE '1970-01-01' + CAST((epoch_us({start}) // 60000000 + utc_offset_minutes) // 1440 AS INTEGER) AS DATE)"
)
# Values that only look right are found here: off the grid of whole minutes, out of time, not finite, of no meter. Only for
# the grid each row is asked, and nearly all are on that of UTC; of a day, its sum and its ends tell the rest.
_IS_ON_GRID = """CASE WHEN epoch_us(interval_start_utc) % (interval_minutes * 60000000::BIGINT) = 0 THEN true
    ELSE make_timestamp(minute * 60000000::BIGINT) = interval_start_utc AND (minute + utc_offset_minutes) % interval_minutes = 0 END"""
_IS_SOUND = f"""are_on_grid AND isfinite(energy_kwh) AND meter_no > 0
    AND first_interval_start_utc >= TIMESTAMP '{FIRST_PLAUSIBLE_UTC}' AND newest_interval_start_utc < TIMESTAMP '{END_PLAUSIBLE_UTC}'"""
# No interval of any meter holds as much; beyond it squares and millionths would run over.
_LARGEST_KWH = 2e9
# Nearly all are within it, and to ask for that takes a third of the time of taking the lesser and the greater.
_BOUNDED = f"""CASE WHEN abs(energy_kwh) <= {_LARGEST_KWH} THEN energy_kwh
    ELSE least({_LARGEST_KWH}, greatest(-{_LARGEST_KWH}, energy_kwh)) END"""
# One number that is largest for the largest reading and, of equal ones, for the first: millionths of a kWh, less the minutes
# since UTC's midnight of the local day. An arg_max over both took twice as long.
_MINUTES_BEFORE_DAY, _KEY_STEP = 1000, 4096
_PEAK_KEY = f"CAST(bounded_kwh * 1e6 AS BIGINT) * {_KEY_STEP} - (minute - day_number * 1440)"
_PEAK_MINUTE = f"day_number * 1440 - {_MINUTES_BEFORE_DAY} + (({_MINUTES_BEFORE_DAY} - peak_key) & {_KEY_STEP - 1})"


@dataclass(frozen=True, slots=True)
class Batch:
    """The files of one transaction: their ids are ``first`` to ``last``."""

    first: int
    last: int

    @property
    def where(self) -> str:
        """The condition on ``file_id``; a range, so that DuckDB skips row groups by their statistics."""
        return f"file_id BETWEEN {self.first} AND {self.last}"


def gather_days(batch: Batch, connection: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary table ``new_days``, one row per file, meter number, local date and interval length."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE new_days AS {_days_sql('lake.reading_rows', batch.where)}")


def _days_sql(readings: str, where: str) -> str:
    """Sums by file, meter, local day and length; in minutes as INTEGER, which took half the time of timestamps.

    They are rounded far below what meters resolve, so that they come out the same in whatever order threads add.
    """
    return f"""
        SELECT * EXCLUDE (day_number, peak_key, are_on_grid), CAST(DATE '1970-01-01' + day_number AS DATE) AS local_date,
               make_timestamp(CAST({_PEAK_MINUTE} AS BIGINT) * 60000000) AS peak_interval_start_utc, {_IS_SOUND} AS is_sound
        FROM (SELECT file_id, meter_no, day_number, interval_minutes, count(*) AS readings,
                     CASE WHEN interval_minutes >= {_MASKED_FROM_MINUTES} THEN bit_or(1::BIGINT << slot) END AS slot_mask,
                     bool_and({_IS_ON_GRID}) AS are_on_grid, round(sum(energy_kwh), 9) AS energy_kwh,
                     count(*) FILTER (WHERE is_estimated) AS estimated_readings, round(var_pop(bounded_kwh), 12) AS variance_kwh2,
                     max(energy_kwh) AS peak_kwh, max({_PEAK_KEY}) AS peak_key,
                     min(interval_start_utc) AS first_interval_start_utc,
                     max(interval_start_utc) AS newest_interval_start_utc
              FROM (SELECT *, (minute + utc_offset_minutes) // 1440 AS day_number,
                           CAST(abs(minute // interval_minutes % {SLOTS}) AS INTEGER) AS slot
                    FROM (SELECT *, TRY_CAST(epoch_us(interval_start_utc) // 60000000 AS INTEGER) AS minute,
                                 {_BOUNDED} AS bounded_kwh
                          FROM {readings} WHERE {where}))
              GROUP BY file_id, meter_no, day_number, interval_minutes)"""


def gather_unclean(connection: duckdb.DuckDBPyConnection) -> int:
    """Make ``unclean``: new days that repeat an interval, or share one with an earlier file. Returns how many."""
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE unclean AS
           WITH earlier AS (
               SELECT file_id, meter_no, local_date, interval_minutes, slot_mask FROM lake.day_loads
               UNION ALL SELECT file_id, meter_no, local_date, interval_minutes, slot_mask FROM new_days)
           SELECT file_id, meter_no, local_date, NULL::INTEGER AS earlier_file_id FROM new_days
           WHERE slot_mask IS NULL OR readings <> bit_count(slot_mask)
           UNION
           SELECT new.file_id, meter_no, local_date, earlier.file_id
           FROM new_days AS new JOIN earlier USING (meter_no, local_date)
           WHERE earlier.file_id < new.file_id
             AND (new.slot_mask & earlier.slot_mask <> 0 OR new.slot_mask IS NULL OR earlier.slot_mask IS NULL
                  OR new.interval_minutes <> earlier.interval_minutes)"""
    )
    return int(connection.execute("SELECT count(*) FROM unclean").fetchall()[0][0])


def gather_candidates(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``candidates``: every reading, new or old, of the unclean days."""
    files = connection.execute(
        "SELECT DISTINCT unnest([file_id, earlier_file_id]) AS file_id FROM unclean ORDER BY file_id"
    ).fetchall()
    ids = ", ".join(str(file_id) for (file_id,) in files if file_id is not None)
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE candidates AS
            WITH days AS (SELECT DISTINCT meter_no, local_date FROM unclean),
            -- Leaves so little that the local date is reckoned for few: half the time.
            spans AS (SELECT meter_no, min(local_date) - INTERVAL 1 DAY AS since_utc, max(local_date) + INTERVAL 2 DAY AS until_utc
                      FROM unclean GROUP BY meter_no)
            SELECT readings.*
            FROM (SELECT stored.rowid AS row_number, stored.*, {LOCAL_DATE_SQL.format(start="interval_start_utc")} AS local_date
                  FROM lake.reading_rows AS stored
                  SEMI JOIN spans ON stored.meter_no = spans.meter_no
                      AND interval_start_utc >= since_utc AND interval_start_utc < until_utc
                  WHERE file_id IN ({ids or "NULL"})) AS readings
            SEMI JOIN days USING (meter_no, local_date)"""
    )


def contradicted_files(batch: Batch, connection: duckdb.DuckDBPyConnection) -> set[int]:
    """Files of the batch that give one interval two values: only their lines tell which is the later."""
    rows = connection.execute(
        f"""SELECT DISTINCT file_id FROM (
                SELECT file_id FROM candidates WHERE {batch.where}
                GROUP BY file_id, meter_no, interval_start_utc
                HAVING min(energy_kwh) <> max(energy_kwh) OR min(is_estimated) <> max(is_estimated))"""
    ).fetchall()
    return {file_id for (file_id,) in rows}


def unsound_files(connection: duckdb.DuckDBPyConnection) -> set[int]:
    """Files with a reading that only lines.py can refuse with its line: off the grid, not finite, no meter."""
    rows = connection.execute("SELECT DISTINCT file_id FROM new_days WHERE is_sound IS NOT TRUE").fetchall()
    return {file_id for (file_id,) in rows}


def settle(batch: Batch, connection: duckdb.DuckDBPyConnection) -> dict[int, tuple[int, int]]:
    """Delete new readings that repeat the newest known version, mark those that correct it, fill ``lake.day_loads``.

    Returns:
        Duplicate and superseding rows by file id, for the files that have any.
    """
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE versions AS
            SELECT *, energy_kwh = before_kwh AND is_estimated = before_is_estimated AS is_duplicate
            FROM (SELECT *, lag(energy_kwh) OVER slot AS before_kwh, lag(is_estimated) OVER slot AS before_is_estimated
                  FROM candidates
                  WINDOW slot AS (PARTITION BY meter_no, interval_start_utc ORDER BY file_id, row_number))
            WHERE {batch.where}"""
    )
    connection.execute(
        f"""DELETE FROM lake.reading_rows
            WHERE {batch.where} AND rowid IN (SELECT row_number FROM versions WHERE is_duplicate)"""
    )
    counts = connection.execute(
        """SELECT file_id, count(*) FILTER (WHERE is_duplicate), count(*) FILTER (WHERE NOT is_duplicate)
           FROM versions WHERE is_duplicate IS NOT NULL GROUP BY file_id"""
    ).fetchall()
    connection.execute(
        "DELETE FROM new_days WHERE (file_id, meter_no, local_date) IN (SELECT (file_id, meter_no, local_date) FROM versions)"
    )
    connection.execute(
        f"""INSERT INTO lake.day_loads BY NAME
            SELECT days.* EXCLUDE (is_sound), batch_files.available_at_utc
            FROM (SELECT *, false AS has_superseding FROM new_days
                  UNION ALL BY NAME
                  SELECT days.*, coalesce(has_superseding, false) AS has_superseding
                  FROM ({_days_sql("versions", "is_duplicate IS NOT TRUE")}) AS days
                  LEFT JOIN (SELECT file_id, meter_no, local_date, bool_or(NOT is_duplicate) AS has_superseding
                             FROM versions GROUP BY ALL) USING (file_id, meter_no, local_date)) AS days
            JOIN batch_files USING (file_id)"""
    )
    return {file_id: (duplicate, superseding) for file_id, duplicate, superseding in counts}
