"""CSV of one source with the columns of the earlier system, for the programs that still read them.

Belongs here: which rows and columns. Does not belong here: where the files go (defs/published).
Appliance names are channels, with the meter before them where a source has several meters.
"""

from __future__ import annotations

import duckdb
import polars as pl

DETECTOR = "mean_plus_2_sigma"

_APPLIANCE = """
    WITH named AS (
        SELECT meter_id, channel,
               CASE WHEN (SELECT count(DISTINCT meter_id) FROM marts.channel_summaries WHERE source = $source) > 1
                    THEN meter_id || '/' || channel ELSE channel END AS appliance
        FROM marts.channel_summaries WHERE source = $source)"""
_STATEMENTS = {
    "processed": f"""{_APPLIANCE}
        SELECT appliance, total_kwh, mean_kwh AS avg_kwh, std_kwh, readings AS count, peak_hour
        FROM marts.channel_summaries JOIN named USING (meter_id, channel) WHERE source = $source ORDER BY appliance""",
    "forecast": """
        SELECT local_date AS ds, sum(p50_kwh) AS yhat, sum(p10_kwh) AS yhat_lower, sum(p90_kwh) AS yhat_upper
        FROM forecasts.meter_days
        WHERE source = $source AND is_issued
          AND cutoff_date = (SELECT max(cutoff_date) FROM forecasts.meter_days WHERE source = $source AND is_issued)
        GROUP BY local_date ORDER BY ds""",
    "anomalies": f"""{_APPLIANCE}
        SELECT strftime(interval_start_utc, '%Y-%m-%dT%H:%M:%SZ') AS timestamp, appliance, energy_kwh AS kwh,
               threshold_kwh AS threshold, score AS z_score
        FROM anomalies.scores JOIN named USING (meter_id, channel)
        WHERE source = $source AND detector = '{DETECTOR}' ORDER BY timestamp, appliance""",
}


def export_tables(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, pl.DataFrame]:
    """The tables ``processed``, ``forecast`` and ``anomalies`` of one source; empty when it has no readings.

    The bounds of a day's forecast are the sums of the meters' own P10 and P90: as wide as if all meters
    erred together, so the true total lies within them more often than 80 % of the time.

    Args:
        connection: to a published generation.
        source: name of the declaration.

    Returns:
        By name: ``appliance, total_kwh, avg_kwh, std_kwh, count, peak_hour`` (local hour);
        ``ds, yhat, yhat_lower, yhat_upper`` (kWh of a local day, newest issue);
        ``timestamp, appliance, kwh, threshold, z_score`` (UTC).
    """
    tables = {name: connection.execute(sql, {"source": source}).pl() for name, sql in _STATEMENTS.items()}
    return {} if tables["processed"].is_empty() else tables
