"""Readings above the channel's mean by more than two standard deviations: the earlier rule, a baseline.

Belongs here: the rule as SQL. It knows neither hour nor season, so it calls every evening peak of a
spiky home an anomaly, about 4 % of readings; better detectors are measured against it.
"""

from __future__ import annotations

NAME = "mean_plus_2_sigma"
SIGMAS = 2.0


def scores_sql(
    *,
    readings: str = "lake.readings",
    summaries: str = "marts.channel_summaries",
    days: str = "marts.meter_days",
) -> str:
    """Rows of ``anomalies.scores`` of this detector.

    The threshold is applied before anything else, so that the 4 % that remain are all that is joined. A
    superseded reading is not judged: on days with corrections (``versions > 0``) only the newest is.
    """
    offset = "to_minutes(r.utc_offset_minutes)"
    return f"""
WITH limits AS (
    SELECT meter_id, channel, source, commodity, mean_kwh, std_kwh, mean_kwh + {SIGMAS} * std_kwh AS threshold_kwh
    FROM {summaries}
    WHERE std_kwh > 0
),
above AS (
    SELECT r.meter_id, r.channel, r.interval_start_utc, r.interval_minutes, r.energy_kwh, r.available_at_utc, r.file_id,
        CAST(r.interval_start_utc + {offset} AS DATE) AS local_date,
        l.source, l.commodity, l.mean_kwh, l.std_kwh, l.threshold_kwh
    FROM {readings} AS r
    JOIN limits AS l ON l.meter_id = r.meter_id AND l.channel = r.channel AND r.energy_kwh > l.threshold_kwh
),
corrected_days AS (SELECT meter_id, channel, local_date FROM {days} WHERE versions > 0),
newest AS (
    SELECT r.meter_id, r.channel, r.interval_start_utc, max((r.available_at_utc, r.file_id)) AS known
    FROM {readings} AS r
    JOIN corrected_days AS c
        ON c.meter_id = r.meter_id AND c.channel = r.channel
        AND c.local_date = CAST(r.interval_start_utc + {offset} AS DATE)
    GROUP BY ALL
),
in_use AS (
    SELECT above.* FROM above ANTI JOIN corrected_days USING (meter_id, channel, local_date)
    UNION ALL
    SELECT above.*
    FROM above
    JOIN newest USING (meter_id, channel, interval_start_utc)
    WHERE newest.known = (above.available_at_utc, above.file_id)
)
SELECT '{NAME}' AS detector, meter_id, channel, source, commodity, local_date, interval_start_utc, interval_minutes,
    energy_kwh, mean_kwh AS expected_kwh, threshold_kwh, (energy_kwh - mean_kwh) / std_kwh AS score,
    format('{{:.3f}} kWh is above {{:.3f}} kWh, the channel''s mean of {{:.3f}} kWh plus {SIGMAS:g} standard deviations',
        energy_kwh, threshold_kwh, mean_kwh) AS reason
FROM in_use
""".strip()
