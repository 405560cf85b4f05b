"""Readings above the channel's mean by more than two standard deviations: the earlier rule, a baseline.

Belongs here: the rule as SQL. It knows neither hour nor season, so it calls every evening peak of a
spiky home an anomaly, about 4 % of readings; better detectors are measured against it.
"""

from __future__ import annotations

NAME = "mean_plus_2_sigma"
SIGMAS = 2.0


def scores_sql(
    *,
    readings: str = "lake.reading_rows",
    summaries: str = "marts.channel_summaries",
    days: str = "marts.meter_days",
    meters: str = "lake.meters",
) -> str:
    """Rows of ``anomalies.scores`` of this detector.

    The threshold is applied before anything else, and names are joined last: the 4 % that remain are carried as numbers.
    The reason is the channel's, not the reading's: eight million sentences took as long as all else. A superseded
    reading is not judged: on days with corrections (``versions > 0``) only the newest is.
    """
    local_date = "CAST(r.interval_start_utc + to_minutes(r.utc_offset_minutes) AS DATE)"
    return f"""
WITH limits AS (
    SELECT m.meter_no, s.meter_id, s.channel, s.source, s.commodity, s.mean_kwh, s.std_kwh,
        s.mean_kwh + {SIGMAS} * s.std_kwh AS threshold_kwh,
        format('above {{:.3f}} kWh, the channel''s mean of {{:.3f}} kWh plus {SIGMAS:g} standard deviations',
            s.mean_kwh + {SIGMAS} * s.std_kwh, s.mean_kwh) AS reason
    FROM {summaries} AS s
    JOIN {meters} AS m USING (meter_id, channel)
    WHERE s.std_kwh > 0
),
above AS (
    SELECT r.meter_no, r.interval_start_utc, r.interval_minutes, r.energy_kwh, r.file_id, {local_date} AS local_date
    FROM {readings} AS r
    JOIN limits AS l ON l.meter_no = r.meter_no AND r.energy_kwh > l.threshold_kwh
),
corrected_days AS (
    SELECT m.meter_no, d.local_date FROM {days} AS d JOIN {meters} AS m USING (meter_id, channel) WHERE d.versions > 0
),
superseded AS (
    SELECT r.meter_no, r.interval_start_utc, r.file_id
    FROM {readings} AS r
    JOIN corrected_days AS c ON c.meter_no = r.meter_no AND c.local_date = {local_date}
    QUALIFY r.file_id < max(r.file_id) OVER (PARTITION BY r.meter_no, r.interval_start_utc)
),
in_use AS (
    SELECT * FROM above ANTI JOIN superseded USING (meter_no, interval_start_utc, file_id)
)
SELECT '{NAME}' AS detector, meter_id, channel, source, commodity, local_date, interval_start_utc, interval_minutes,
    energy_kwh, mean_kwh AS expected_kwh, threshold_kwh, (energy_kwh - mean_kwh) / std_kwh AS score, reason
FROM in_use JOIN limits USING (meter_no)
""".strip()
