"""Numbers of meters and channels while a batch is loaded.

Readings are stored under a number. Known pairs have theirs in lake.meters; new ones are numbered here and
become known when meters.py registers them. A number that no reading needed in the end is left unused.
"""

from __future__ import annotations

import duckdb

# What a row has whose meter could not be told; never in lake.meters, never left in the lake.
NO_METER = -1


def begin(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``meter_numbers``: meter_no, meter_id, channel of all that is known."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE meter_numbers AS SELECT meter_no, meter_id, channel FROM lake.meters"
    )


def give_numbers(pairs_sql: str, connection: duckdb.DuckDBPyConnection) -> None:
    """Number the pairs of a query (meter_id, channel, file_id) that have none yet, those of earlier files first.

    A pair with an empty name gets none.
    """
    connection.execute(
        f"""INSERT INTO meter_numbers
            SELECT (SELECT coalesce(max(meter_no), 0) FROM meter_numbers)
                   + row_number() OVER (ORDER BY file_id, meter_id, channel), meter_id, channel
            FROM (SELECT meter_id, channel, min(file_id) AS file_id FROM ({pairs_sql}) GROUP BY ALL) AS pairs
            ANTI JOIN meter_numbers USING (meter_id, channel)
            WHERE meter_id <> '' AND channel <> ''"""
    )
