"""Which forecasts can be scored and against what: SQL text for metrics.score.

Belongs here: the join of stored forecasts with the days that came to pass. Does not belong here:
the arithmetic of a score (metrics.py).
"""

from __future__ import annotations

from energy_platform.domain.features import COMPLETE_SHARE

# A year less a day, so that both sides hold the same weekdays.
SCALE_DAYS = 364


def scorable_sql(
    *,
    forecasts: str = "forecasts.meter_days",
    days: str = "marts.meter_days",
    features: str = "features.meter_days",
) -> str:
    """Forecasts whose day is complete by now, with ``actual_kwh`` and ``naive_scale_kwh``.

    The actual is the newest version of the day, corrections included: a forecast is judged by what was
    used. ``naive_scale_kwh`` is the meter's mean |day - day a week earlier| over the ``SCALE_DAYS`` before
    the cutoff, the denominator of MASE.
    """
    return f"""
WITH differences AS (
    SELECT meter_id, channel, local_date, abs(target_kwh - lag_7_kwh) AS weekly_difference
    FROM {features}
    WHERE (meter_id, channel) IN (SELECT DISTINCT (meter_id, channel) FROM {forecasts})
),
scales AS (
    SELECT meter_id, channel, local_date AS cutoff_date,
        avg(weekly_difference) OVER (
            PARTITION BY meter_id, channel ORDER BY local_date
            ROWS BETWEEN {SCALE_DAYS} PRECEDING AND 1 PRECEDING
        ) AS naive_scale_kwh
    FROM differences
)
SELECT f.model, f.source, f.commodity, f.cutoff_date, f.lead_days, f.meter_id, f.channel,
    f.p10_kwh, f.p50_kwh, f.p90_kwh, d.energy_kwh AS actual_kwh, s.naive_scale_kwh
FROM {forecasts} AS f
JOIN {days} AS d
    ON d.meter_id = f.meter_id AND d.channel = f.channel AND d.local_date = f.local_date
    AND d.completeness >= {COMPLETE_SHARE}
LEFT JOIN scales AS s
    ON s.meter_id = f.meter_id AND s.channel = f.channel AND s.cutoff_date = f.cutoff_date
""".strip()
