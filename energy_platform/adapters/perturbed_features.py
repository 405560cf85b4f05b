"""Features of a history that somebody makes up, beside the real ones: what the leakage sentinel looks at.

Belongs here: a sample of the real days, and the features of any days, on an open warehouse connection. Does
not belong here: what is changed and what follows (domain/forecasting/sentinel.py), how a feature is made
(domain/features.py).
"""

from __future__ import annotations

from datetime import date, timedelta

import duckdb
import polars as pl

from energy_platform.domain.columns import METER_DAYS
from energy_platform.domain.features import HORIZON_DAYS, features_sql

# Every lag and window of a feature is made the same way for all meters, so a few show what all would.
METERS = 10
# The longest window, and as much again.
HISTORY_DAYS = 60
RELATION = "features_perturbed"


def sample_history(connection: duckdb.DuckDBPyConnection, *, day: date, meters: int = METERS) -> pl.DataFrame:
    """Days of a few meters on both sides of ``day``: those that have a day after it, always the same ones."""
    first, end = day - timedelta(days=HISTORY_DAYS), day + timedelta(days=HORIZON_DAYS)
    days: pl.DataFrame = connection.execute(
        f"""
        WITH chosen AS (
            SELECT meter_id, channel FROM {METER_DAYS.full_name} WHERE local_date >= $day AND local_date < $end
            GROUP BY meter_id, channel ORDER BY md5(meter_id || '/' || channel), meter_id, channel LIMIT $meters
        )
        SELECT meter_id, channel, source, commodity, local_date, energy_kwh, completeness
        FROM {METER_DAYS.full_name} SEMI JOIN chosen USING (meter_id, channel)
        WHERE local_date >= $first AND local_date < $end
        ORDER BY meter_id, channel, local_date
        """,
        {"day": day, "first": first, "end": end, "meters": meters},
    ).pl()
    return days


def perturbed_features(connection: duckdb.DuckDBPyConnection, history: pl.DataFrame) -> str:
    """The relation with ``features.meter_days`` of a history; the next call replaces it.

    Args:
        connection: to the warehouse, where the meters and the weather are.
        history: rows as ``sample_history`` gives them.
    """
    connection.register("perturbed_days", history)
    try:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {RELATION} AS {features_sql(days='perturbed_days')}")
    finally:
        connection.unregister("perturbed_days")
    return RELATION
