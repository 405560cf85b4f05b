"""What a report is about: the frames it shows, read once from one generation.

Belongs here: the queries and the rule by which meters are chosen for pages of their own. Does not
belong here: sentences (domain/insights), drawing (charts.py), HTML (report.html.j2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import polars as pl

from energy_platform.adapters.published import Generation
from energy_platform.serving.report.hours import FleetAhead, read_hours
from energy_platform.serving.report.segments import SimilarHomes, read_segments

METERS_SHOWN = 6
ANOMALIES_SHOWN = 20
FORECAST_DAYS_SHOWN = 56
# Beyond this many days a line of days is a smear on paper; weeks are drawn instead.
DAILY_LINE_DAYS = 1200
WINDOW_DAYS = 30

Row = dict[str, Any]

# The largest users of each source and commodity in turn: first of each, then second of each, …
PICKED_SQL = """
SELECT meter_id, channel, site_id, source, commodity, total_kwh FROM (
    SELECT *, row_number() OVER (PARTITION BY source, commodity ORDER BY total_kwh DESC, meter_id, channel) AS place
    FROM marts.channel_summaries)
ORDER BY place, source, commodity LIMIT ?
"""
GROUPS_SQL = """
SELECT source, commodity, count(DISTINCT (meter_id, channel)) AS meters, min(local_date) AS first_day,
       max(local_date) AS last_day, count(*) AS meter_days, sum(energy_kwh) AS energy_kwh,
       avg(completeness) AS completeness, avg(estimated_share) AS estimated_share,
       avg(energy_kwh) FILTER (WHERE completeness >= 1) AS mean_kwh
FROM marts.meter_days GROUP BY ALL ORDER BY ALL
"""
FLEET_SQL = """
SELECT source, commodity, local_date, sum(energy_kwh) AS energy_kwh, count(*) AS meters, true AS is_complete
FROM marts.meter_days WHERE completeness >= 1
GROUP BY ALL ORDER BY ALL
"""
DAILY_SQL = """
SELECT meter_id, channel, local_date, energy_kwh, completeness, completeness >= 1 AS is_complete
FROM marts.meter_days SEMI JOIN picked USING (meter_id, channel) ORDER BY ALL
"""
PROFILES_SQL = """
SELECT meter_id, channel, is_weekend, local_hour, mean_kwh
FROM marts.meter_hour_profiles SEMI JOIN picked USING (meter_id, channel) ORDER BY ALL
"""
# For each day the issued forecast that was made last before it: the smallest lead time.
FORECASTS_SQL = """
SELECT meter_id, channel, local_date, min(lead_days) AS lead_days, arg_min(model, lead_days) AS model,
       arg_min(cutoff_date, lead_days) AS cutoff_date, arg_min(p10_kwh, lead_days) AS p10_kwh,
       arg_min(p50_kwh, lead_days) AS p50_kwh, arg_min(p90_kwh, lead_days) AS p90_kwh
FROM forecasts.meter_days SEMI JOIN picked USING (meter_id, channel)
WHERE is_issued GROUP BY meter_id, channel, local_date ORDER BY meter_id, channel, local_date
"""
# Scores of different detectors are on different scales, so the strongest of each are listed.
# The largest scores are found first: to rank millions of rows for twenty took as long as all else of the report.
ANOMALIES_SQL = f"""
WITH strongest AS (
    SELECT detector, list_min(max(abs(score), {ANOMALIES_SHOWN})) AS least FROM anomalies.scores GROUP BY detector)
SELECT * FROM (
    SELECT scores.*, row_number() OVER (PARTITION BY detector ORDER BY abs(score) DESC, meter_id, interval_start_utc) AS place
    FROM anomalies.scores AS scores JOIN strongest USING (detector) WHERE abs(score) >= least)
ORDER BY place, detector LIMIT {ANOMALIES_SHOWN}
"""
ANOMALY_COUNTS_SQL = """
SELECT detector, source, commodity, sum(intervals)::BIGINT AS anomalies, count(*) AS meter_days FROM (
    SELECT detector, source, commodity, meter_id, channel, local_date, count(*) AS intervals FROM anomalies.scores GROUP BY ALL)
GROUP BY ALL ORDER BY ALL
"""
# Days to mark in the usage charts: the strongest dozen of each meter. Only names that are said outright, and not those of
# a join, are found before rows are read.
ANOMALY_DAYS_SQL = """
SELECT * FROM (
    SELECT meter_id, channel, local_date, max(abs(score)) AS score
    FROM anomalies.scores SEMI JOIN picked USING (meter_id, channel) WHERE list_contains(?, meter_id) GROUP BY ALL)
QUALIFY row_number() OVER (PARTITION BY meter_id, channel ORDER BY score DESC, local_date) <= 12
ORDER BY ALL
"""
SCORES_SQL = """
SELECT source, commodity, model, lead_days, sum(meter_days)::BIGINT AS meter_days, min(cutoff_date) AS first_cutoff,
       max(cutoff_date) AS last_cutoff, count(DISTINCT cutoff_date) AS cutoffs,
       sum(mae_kwh * meter_days) / sum(meter_days) AS mae_kwh,
       sum(pinball_kwh * meter_days) / sum(meter_days) AS pinball_kwh,
       sum(mase * meter_days) / sum(meter_days) FILTER (WHERE mase IS NOT NULL) AS mase,
       sum(coverage * meter_days) / sum(meter_days) AS coverage,
       1 - sum(mae_kwh * meter_days) FILTER (WHERE skill < 1)
         / nullif(sum(mae_kwh * meter_days / (1 - skill)) FILTER (WHERE skill < 1), 0) AS skill
FROM forecasts.scores GROUP BY GROUPING SETS ((source, commodity, model, lead_days), (source, commodity, model))
ORDER BY source, commodity, model, lead_days NULLS LAST
"""
LEDGER_SQL = """
SELECT source, count(*) AS files, count(*) FILTER (WHERE status = 'failed') AS files_failed,
       sum(rows_read)::BIGINT AS rows_read, sum(rows_accepted)::BIGINT AS rows_accepted,
       sum(rows_rejected)::BIGINT AS rows_rejected, sum(rows_duplicate)::BIGINT AS rows_duplicate,
       sum(rows_superseding)::BIGINT AS rows_superseding, max(loaded_at_utc) AS loaded_at_utc
FROM lake.files GROUP BY source ORDER BY source
"""
REASONS_SQL = """
SELECT reason, count(*) AS rows, arg_min(uri, (file_id, line_number)) AS uri, arg_min(line_number, (file_id, line_number)) AS line_number,
       arg_min(raw_text, (file_id, line_number)) AS raw_text, arg_min(detail, (file_id, line_number)) AS detail
FROM lake.rejected JOIN lake.files USING (file_id) GROUP BY ALL ORDER BY rows DESC, reason LIMIT 20
"""
FAILED_SQL = "SELECT uri, error FROM lake.files WHERE status = 'failed' ORDER BY file_id LIMIT 20"
COMPLETENESS_SQL = """
SELECT source, meter_id, channel, date_trunc('week', local_date)::DATE AS week, avg(completeness) AS completeness,
       count(*) AS days
FROM marts.meter_days SEMI JOIN picked USING (meter_id, channel) GROUP BY ALL ORDER BY ALL
"""
DECISIONS_SQL = "SELECT * FROM models.decisions ORDER BY cutoff_date DESC, model LIMIT 6"
TOTALS_SQL = """
SELECT (SELECT count(DISTINCT meter_id) FROM marts.channel_summaries) AS meters,
       (SELECT count(*) FROM marts.channel_summaries) AS channels,
       (SELECT count(*) FROM marts.meter_days) AS meter_days,
       (SELECT coalesce(sum(rows_read), 0)::BIGINT FROM lake.files) AS rows_read,
       (SELECT coalesce(sum(rows_accepted), 0)::BIGINT FROM lake.files) AS rows_accepted,
       (SELECT coalesce(sum(rows_rejected), 0)::BIGINT FROM lake.files) AS rows_rejected,
       (SELECT coalesce(sum(rows_duplicate), 0)::BIGINT FROM lake.files) AS rows_duplicate,
       (SELECT count(*) FROM forecasts.meter_days WHERE is_issued) AS forecasts,
       (SELECT count(*) FROM anomalies.scores) AS anomalies
"""


@dataclass(frozen=True, slots=True)
class Window:
    """Mean daily energy over the complete days of a period, both ends included."""

    first_day: date
    last_day: date
    days: int
    mean_kwh: float


@dataclass(frozen=True, slots=True)
class Content:
    """Everything a report shows; frames are sorted as they are shown."""

    generation: Generation
    totals: Row
    groups: pl.DataFrame
    fleet: pl.DataFrame
    picked: pl.DataFrame
    daily: pl.DataFrame
    profiles: pl.DataFrame
    forecasts: pl.DataFrame
    hours: tuple[FleetAhead, ...]
    segments: tuple[SimilarHomes, ...]
    anomalies: pl.DataFrame
    anomaly_counts: pl.DataFrame
    anomaly_days: pl.DataFrame
    scores: pl.DataFrame
    decisions: pl.DataFrame
    ledger: pl.DataFrame
    reasons: pl.DataFrame
    failed: pl.DataFrame
    completeness: pl.DataFrame

    def of_meter(self, frame: pl.DataFrame, meter: Row) -> pl.DataFrame:
        """The rows of one meter and channel."""
        return frame.filter((pl.col("meter_id") == meter["meter_id"]) & (pl.col("channel") == meter["channel"]))


def read_content(connection: duckdb.DuckDBPyConnection, generation: Generation) -> Content:
    """Read what a report shows over a connection that the generation made."""

    def rows(sql: str, params: Sequence[object] = ()) -> pl.DataFrame:
        frame: pl.DataFrame = connection.execute(sql, list(params)).pl()
        return frame

    picked = rows(PICKED_SQL, [METERS_SHOWN])
    connection.register("picked", picked.select("meter_id", "channel"))
    return Content(
        generation=generation,
        totals=rows(TOTALS_SQL).row(0, named=True),
        groups=rows(GROUPS_SQL),
        fleet=rows(FLEET_SQL),
        picked=picked,
        daily=rows(DAILY_SQL),
        profiles=rows(PROFILES_SQL),
        forecasts=rows(FORECASTS_SQL),
        hours=tuple(read_hours(connection)),
        segments=tuple(read_segments(connection)),
        anomalies=rows(ANOMALIES_SQL),
        anomaly_counts=rows(ANOMALY_COUNTS_SQL),
        anomaly_days=rows(ANOMALY_DAYS_SQL, [picked["meter_id"].to_list()]),
        scores=rows(SCORES_SQL),
        decisions=rows(DECISIONS_SQL),
        ledger=rows(LEDGER_SQL),
        reasons=rows(REASONS_SQL),
        failed=rows(FAILED_SQL),
        completeness=rows(COMPLETENESS_SQL),
    )


def windows(daily: pl.DataFrame) -> tuple[Window | None, Window | None, Window | None]:
    """The newest 30 days of one meter, the 30 before, and the newest 30 a year (52 weeks) earlier.

    Args:
        daily: ``local_date``, ``energy_kwh``, ``is_complete`` of one meter.

    Returns:
        A window is None when fewer than two thirds of its days are complete: it would be no fair
        comparison.
    """
    complete = daily.filter("is_complete")
    newest = complete["local_date"].max()
    if not isinstance(newest, date) or isinstance(newest, datetime):
        return None, None, None

    def window(last: date) -> Window | None:
        first = last - timedelta(days=WINDOW_DAYS - 1)
        inside = complete.filter(pl.col("local_date").is_between(first, last))["energy_kwh"]
        mean = inside.mean()
        if len(inside) * 3 < WINDOW_DAYS * 2 or not isinstance(mean, float):
            return None
        return Window(first, last, len(inside), mean)

    return window(newest), window(newest - timedelta(days=WINDOW_DAYS)), window(newest - timedelta(days=364))
