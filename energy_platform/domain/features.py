"""The history features of a meter's day, as known when the day begins: one SQL statement.

Belongs here: what each column of ``features.meter_days`` is made of. Does not belong here: which
version of a day was known when (known_at.py), what is known of the *target* day's calendar
(calendar.py), how a model reads the columns (forecasting/rows.py).

Every column of a day is made of earlier days only. The days stand on a complete calendar per
meter, so a lag is a number of days and never "the seventh row before". A day with less than
``COMPLETE_SHARE`` of its readings is as unknown as a missing one.
"""

from __future__ import annotations

from energy_platform.domain.columns import FEATURES_METER_DAYS, LAG_DAYS, ROLLING_DAYS, WEEKDAY_LAGS
from energy_platform.domain.known_at import FIRST_WEATHER_SQL

# A day short of more than a tenth of its readings understates its energy by more than models err.
COMPLETE_SHARE = 0.9
# Days ahead that a forecast covers; the calendar runs on that long after a meter's newest day.
HORIZON_DAYS = 7
# Hours that a day's mean temperature needs: three quarters, or it is the mean of a night.
_WEATHER_HOURS = 18
_LONGEST_LAG = 28
# Millionths: a hundredth of the finest resolution met (0.0001 kWh an interval).
_PARTS_PER_KWH = 1_000_000

KEY_COLUMNS = ("meter_id", "channel", "source", "commodity", "country", "local_date", "target_kwh")
HISTORY_FEATURES = tuple(name for name in FEATURES_METER_DAYS.column_names if name not in KEY_COLUMNS)


def features_sql(
    *,
    days: str = "marts.meter_days",
    weather: str = f"({FIRST_WEATHER_SQL})",
    meters: str = "lake.meters",
    changes: str | None = None,
) -> str:
    """One SELECT that gives ``features.meter_days``, a row per meter, channel and calendar day.

    Sums run over whole millionths of a kWh: they come out the same in any order, so a feature has the
    same bits whatever other meters and later days the table holds and however many threads add them up.

    Args:
        days: relation with meter_id, channel, source, commodity, local_date, energy_kwh, completeness.
        weather: relation with station_id, observed_at_utc, temperature_c, one row per hour.
        meters: relation with the columns of ``lake.meters``.
        changes: relation with meter_id, channel, since: only these meters, and of them only the rows from ``since``
            on. They are what a SELECT of everything gives, at the cost of the days they look back on.
    """
    lags = ", ".join(f"lag(kwh, {lag}) OVER by_day AS k{lag}" for lag in range(1, _LONGEST_LAG + 1))
    columns = ",\n    ".join(f"CAST({sql} AS FLOAT) AS {name}" for name, sql in _expressions().items())
    return f"""
WITH {_days_sql(days, meters, changes)},
{_weather_sql(weather, meters)},
windowed AS (
    SELECT meter_no, local_date, target_kwh, first_day,
        {lags},
        {_rolling_sql()},
        count(kwh) FILTER (kwh <= 0) OVER d28 AS zeros_28,
        known_before + count(kwh) OVER earlier AS days_known
    FROM calendar
    WINDOW
        by_day AS (PARTITION BY meter_no ORDER BY local_date),
        d7 AS (PARTITION BY meter_no ORDER BY local_date ROWS BETWEEN 7 PRECEDING AND 1 PRECEDING),
        d28 AS (PARTITION BY meter_no ORDER BY local_date ROWS BETWEEN 28 PRECEDING AND 1 PRECEDING),
        earlier AS (PARTITION BY meter_no ORDER BY local_date ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT m.meter_id, m.channel, m.source, m.commodity, m.country, d.local_date, d.target_kwh,
    {columns}
FROM windowed AS d
JOIN numbered AS m USING (meter_no)
LEFT JOIN weather_before AS w
    ON w.station_id = m.station_id AND w.time_zone = m.time_zone AND w.local_date = d.local_date
WHERE d.local_date >= m.since
""".strip()


def changes_sql(*, newer_than_file: int) -> str:
    """Meters whose features are out of date, and since when: ``meter_id, channel, since``.

    A day counts in the features of all days after it; so does the weather of a day, at all meters of its station.

    Args:
        newer_than_file: the newest file that the features are made of.
    """
    return f"""
SELECT meter_id, channel, min(since) AS since
FROM (
    SELECT meter_id, channel, min(local_date) AS since
    FROM marts.meter_days
    WHERE file_id > {newer_than_file}
    GROUP BY meter_id, channel
    UNION ALL
    SELECT m.meter_id, m.channel, CAST(min(w.observed_at_utc) AS DATE) - 1 AS since
    FROM lake.weather AS w
    JOIN lake.meters AS m USING (station_id)
    WHERE w.file_id > {newer_than_file}
    GROUP BY m.meter_id, m.channel
)
GROUP BY meter_id, channel
""".strip()


def _days_sql(days: str, meters: str, changes: str | None) -> str:
    """CTEs ``numbered`` (meters by number, with their span) and ``calendar`` (every day of each, with its energy)."""
    changed = f"JOIN {changes} AS changed USING (meter_id, channel)" if changes else ""
    since = "any_value(changed.since)" if changes else "min(local_date)"
    before = f"count(*) FILTER (completeness >= {COMPLETE_SHARE} AND local_date < changed.since - {_LONGEST_LAG})"
    return f"""spans AS (
    SELECT meter_id, channel, any_value(source) AS source, any_value(commodity) AS commodity,
        min(local_date) AS first_day, max(local_date) AS last_day, {since} AS since,
        greatest(min(local_date), {since} - {_LONGEST_LAG}) AS looks_back_to,
        {before if changes else "0"} AS known_before
    FROM {days}
    {changed}
    GROUP BY meter_id, channel
),
numbered AS (
    SELECT row_number() OVER (ORDER BY s.meter_id, s.channel) AS meter_no, s.*,
        m.country, m.station_id, m.time_zone
    FROM spans AS s
    JOIN {meters} AS m USING (meter_id, channel)
),
spine AS (
    SELECT meter_no, first_day, known_before,
        looks_back_to + CAST(unnest(range(0, last_day - looks_back_to + {HORIZON_DAYS + 1})) AS INTEGER) AS local_date
    FROM numbered
),
complete_days AS (
    SELECT n.meter_no, d.local_date, d.energy_kwh AS target_kwh
    FROM {days} AS d
    JOIN numbered AS n USING (meter_id, channel)
    WHERE d.completeness >= {COMPLETE_SHARE} AND d.local_date >= n.looks_back_to
),
calendar AS (
    SELECT spine.meter_no, spine.first_day, spine.known_before, spine.local_date, complete_days.target_kwh,
        CAST(complete_days.target_kwh AS FLOAT) AS kwh,
        CAST(round(complete_days.target_kwh * {_PARTS_PER_KWH}) AS BIGINT) AS parts
    FROM spine
    LEFT JOIN complete_days USING (meter_no, local_date)
)"""


def _weather_sql(weather: str, meters: str) -> str:
    """CTE ``weather_before``: temperature of the day and of the week before, by station, zone and day.

    Sums run over whole thousandths of a degree, so that their order, which threads decide, cannot show.
    """
    lags = ", ".join(f"lag(temperature, {lag}) OVER by_day AS t{lag}" for lag in range(1, 8))
    return f"""weather_days AS (
    SELECT z.station_id, z.time_zone,
        CAST((w.observed_at_utc AT TIME ZONE 'UTC') AT TIME ZONE z.time_zone AS DATE) AS local_date,
        CASE WHEN count(*) >= {_WEATHER_HOURS}
            THEN sum(CAST(round(w.temperature_c * 1000) AS BIGINT)) / (1000.0 * count(*)) END AS temperature
    FROM {weather} AS w
    JOIN (SELECT DISTINCT station_id, time_zone FROM {meters} WHERE station_id IS NOT NULL) AS z USING (station_id)
    GROUP BY ALL
),
weather_spine AS (
    SELECT station_id, time_zone,
        min(local_date) + CAST(unnest(range(0, max(local_date) - min(local_date) + 8)) AS INTEGER) AS local_date
    FROM weather_days
    GROUP BY station_id, time_zone
),
weather_lagged AS (
    SELECT s.station_id, s.time_zone, s.local_date, {lags}
    FROM weather_spine AS s
    LEFT JOIN weather_days AS w USING (station_id, time_zone, local_date)
    WINDOW by_day AS (PARTITION BY s.station_id, s.time_zone ORDER BY s.local_date)
),
weather_before AS (
    SELECT station_id, time_zone, local_date, t1, list_avg([{", ".join(f"t{lag}" for lag in range(1, 8))}]) AS t7
    FROM weather_lagged
)"""


def _rolling_sql() -> str:
    """Sums, squares, counts and extremes over the windows ``d7`` and ``d28``."""
    return ",\n        ".join(
        f"sum(parts) OVER d{days} AS sum_{days}, sum(CAST(parts AS HUGEINT) * parts) OVER d{days} AS squares_{days}, "
        f"count(kwh) OVER d{days} AS known_{days}, min(kwh) OVER d{days} AS min_{days}, max(kwh) OVER d{days} AS max_{days}"
        for days in ROLLING_DAYS
    )


def _expressions() -> dict[str, str]:
    """SQL of every history feature by its name, in the order of the contract."""
    sql: dict[str, str] = {f"lag_{lag}_kwh": f"k{lag}" for lag in LAG_DAYS}
    for days in ROLLING_DAYS:
        total, known = f"sum_{days}", f"known_{days}"
        # n Σx² - (Σx)² in whole numbers: exactly 0 for a constant load, never a small negative.
        spread = f"CAST({known} * squares_{days} - CAST({total} AS HUGEINT) * {total} AS DOUBLE)"
        sql[f"mean_{days}_kwh"] = f"{total} / ({_PARTS_PER_KWH}.0 * nullif({known}, 0))"
        sql[f"std_{days}_kwh"] = f"sqrt({spread} / nullif({known} * ({known} - 1), 0)) / {_PARTS_PER_KWH}"
        sql |= {f"min_{days}_kwh": f"min_{days}", f"max_{days}_kwh": f"max_{days}"}
    same_weekday = {lag: [f"k{n}" for n in range(lag, _LONGEST_LAG + 1, 7)] for lag in WEEKDAY_LAGS}
    sql |= {f"weekday_mean_{lag}_kwh": f"list_avg([{', '.join(same_weekday[lag])}])" for lag in WEEKDAY_LAGS}
    sql |= {f"weekday_last_{lag}_kwh": f"coalesce({', '.join(same_weekday[lag])})" for lag in WEEKDAY_LAGS}
    return sql | {
        "ratio_7_28": "(sum_7 / nullif(known_7, 0)) / nullif(sum_28 / nullif(known_28, 0), 0)",
        "zero_share_28": "zeros_28 / nullif(known_28, 0)",
        "missing_share_28": f"1 - known_28 / nullif(least({_LONGEST_LAG}, d.local_date - d.first_day), 0)",
        "days_of_history": "days_known",
        "temperature_1_c": "w.t1",
        "temperature_7_c": "w.t7",
    }
