"""Days that the issued forecast of the day before did not expect.

Belongs here: the rule as SQL over issued forecasts and complete days, upwards and downwards.
"""

from __future__ import annotations

from energy_platform.domain.features import COMPLETE_SHARE

SIGMAS = 3.0
# P90 - P10 of a normal distribution in standard deviations (2 × 1.2816).
P10_TO_P90_SIGMAS = 2.563
# A band of no width (a home that stands empty) must not make an anomaly of a standby light.
MIN_SD_KWH = 0.05


def days_off_forecast_sql(
    *,
    forecasts: str = "forecasts.meter_days",
    days: str = "marts.meter_days",
    meters: str = "lake.meters",
) -> str:
    """Rows of ``anomalies.days_off_forecast``: their intervals are from local midnight to local midnight.

    ``score`` is signed: negative when less was used than expected.
    """
    sd = f"greatest((f.p90_kwh - f.p10_kwh) / {P10_TO_P90_SIGMAS}, {MIN_SD_KWH})"
    midnight = "(CAST(local_date{} AS TIMESTAMP) AT TIME ZONE time_zone) AT TIME ZONE 'UTC'"
    return f"""
WITH judged AS (
    SELECT f.meter_id, f.channel, f.source, f.commodity, f.local_date, d.energy_kwh, f.p50_kwh, f.model,
        {sd} AS sd_kwh, (d.energy_kwh - f.p50_kwh) / {sd} AS score, m.time_zone
    FROM {forecasts} AS f
    JOIN {days} AS d
        ON d.meter_id = f.meter_id AND d.channel = f.channel AND d.local_date = f.local_date
        AND d.completeness >= {COMPLETE_SHARE}
    JOIN {meters} AS m ON m.meter_id = f.meter_id AND m.channel = f.channel
    WHERE f.is_issued AND f.lead_days = 1
),
outside AS (
    SELECT *, {midnight.format("")} AS interval_start_utc, {midnight.format(" + 1")} AS interval_end_utc
    FROM judged
    WHERE abs(score) > {SIGMAS}
)
SELECT meter_id, channel, source, commodity, local_date, interval_start_utc,
    CAST(date_diff('minute', interval_start_utc, interval_end_utc) AS SMALLINT) AS interval_minutes,
    energy_kwh, p50_kwh AS expected_kwh, p50_kwh + sign(score) * {SIGMAS} * sd_kwh AS threshold_kwh, score,
    format('{{:.2f}} kWh is {{:.1f}} standard deviations {{}} the {{:.2f}} kWh that {{}} forecast the day before',
        energy_kwh, abs(score), CASE WHEN score > 0 THEN 'above' ELSE 'below' END, p50_kwh, model) AS reason
FROM outside
""".strip()
