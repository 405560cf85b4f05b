"""Readings above the channel's mean by more than two standard deviations: the earlier rule, a baseline.

Belongs here: the rule as SQL. It knows neither hour nor season, so it calls every evening peak of a
spiky home an anomaly, about 4 % of readings; better detectors are measured against it.
"""

from __future__ import annotations

SIGMAS = 2.0


def limits_sql(*, summaries: str = "marts.channel_summaries", meters: str = "lake.meters") -> str:
    """Rows of ``anomalies.channel_limits``: a channel that never varies has no limit.

    The reason is the channel's, not the reading's: eight million sentences took as long as all else.
    """
    threshold_kwh = f"s.mean_kwh + {SIGMAS} * s.std_kwh"
    return f"""
SELECT m.meter_no, s.meter_id, s.channel, s.source, s.commodity, s.mean_kwh, s.std_kwh, {threshold_kwh} AS threshold_kwh,
    format('above {{:.3f}} kWh, the channel''s mean of {{:.3f}} kWh plus {SIGMAS:g} standard deviations',
        {threshold_kwh}, s.mean_kwh) AS reason
FROM {summaries} AS s
JOIN {meters} AS m USING (meter_id, channel)
WHERE s.std_kwh > 0
""".strip()


def readings_above_limit_sql(
    *,
    readings: str = "lake.reading_rows",
    limits: str = "anomalies.channel_limits",
    days: str = "marts.meter_days",
    meters: str = "lake.meters",
) -> str:
    """Rows of ``anomalies.readings_above_limit``.

    The threshold is applied before anything else. A superseded reading is not judged: on days with corrections
    (``versions > 0``) only the newest is.
    """
    local_date = "CAST(r.interval_start_utc + to_minutes(r.utc_offset_minutes) AS DATE)"
    return f"""
WITH above AS (
    SELECT r.meter_no, {local_date} AS local_date, r.interval_start_utc, r.interval_minutes, r.energy_kwh, r.file_id
    FROM {readings} AS r
    JOIN {limits} AS l ON l.meter_no = r.meter_no AND r.energy_kwh > l.threshold_kwh
),
corrected_days AS (
    SELECT m.meter_no, d.local_date FROM {days} AS d JOIN {meters} AS m USING (meter_id, channel) WHERE d.versions > 0
),
superseded AS (
    SELECT r.meter_no, r.interval_start_utc, r.file_id
    FROM {readings} AS r
    JOIN corrected_days AS c ON c.meter_no = r.meter_no AND c.local_date = {local_date}
    QUALIFY r.file_id < max(r.file_id) OVER (PARTITION BY r.meter_no, r.interval_start_utc)
)
SELECT * EXCLUDE (file_id) FROM above ANTI JOIN superseded USING (meter_no, interval_start_utc, file_id)
""".strip()
