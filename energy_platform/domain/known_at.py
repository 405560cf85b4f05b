"""What was known at a cutoff: SQL over the lake and the marts, as text.

Belongs here: which version of a day, and which weather, somebody standing at the start of a day
had. Does not belong here: what is computed from it (features.py), how the text is run (adapters).

Two kinds of meters (``lake.meters.availability``): the first version of a *history* meter's day
counts as known when the day was over, however late it was loaded, because the bulk file stands for
what a live system would have had. A *live* meter's day is known when it arrived. Corrections are
known when they arrived, for both.
"""

from __future__ import annotations

from datetime import date

# First versions only: a later correction of the weather must not change what was foreseeable.
FIRST_WEATHER_SQL = """
SELECT station_id, observed_at_utc, arg_min(temperature_c, (available_at_utc, file_id)) AS temperature_c
FROM lake.weather
GROUP BY station_id, observed_at_utc
""".strip()


def moment_sql(cutoff: date) -> str:
    """The moment from which nothing more is known: midnight UTC at the start of the cutoff day.

    Example:
        >>> moment_sql(date(2013, 7, 1))
        "TIMESTAMP '2013-07-01 00:00:00'"
    """
    return f"TIMESTAMP '{cutoff.isoformat()} 00:00:00'"


def days_known_at_sql(cutoff: date) -> str:
    """Days before ``cutoff`` as they were known then; stands in for ``marts.meter_days`` in features.

    Gives meter_id, channel, source, commodity, local_date, energy_kwh, completeness: one row per meter,
    channel and day. Of a corrected day it takes the newest version that had arrived, or, for a history
    meter of which none had, the first version; of a live meter only what had arrived.
    """
    day, moment = f"DATE '{cutoff.isoformat()}'", moment_sql(cutoff)
    return f"""
WITH current_days AS (
    SELECT d.meter_id, d.channel, d.source, d.commodity, d.local_date, d.energy_kwh, d.completeness,
        d.available_at_utc, m.availability
    FROM marts.meter_days AS d
    JOIN lake.meters AS m USING (meter_id, channel)
    WHERE d.local_date < {day}
),
ranked AS (
    SELECT c.meter_id, c.channel, c.source, c.commodity, c.local_date, v.energy_kwh, v.completeness,
        row_number() OVER (
            PARTITION BY c.meter_id, c.channel, c.local_date
            ORDER BY
                v.available_at_utc <= {moment} DESC,
                CASE WHEN v.available_at_utc <= {moment} THEN v.available_at_utc END DESC NULLS LAST,
                v.available_at_utc
        ) AS place
    FROM current_days AS c
    JOIN marts.meter_day_versions AS v USING (meter_id, channel, local_date)
    WHERE c.availability = 'history' OR v.available_at_utc <= {moment}
)
SELECT meter_id, channel, source, commodity, local_date, energy_kwh, completeness
FROM ranked
WHERE place = 1
UNION ALL
SELECT c.meter_id, c.channel, c.source, c.commodity, c.local_date, c.energy_kwh, c.completeness
FROM current_days AS c
ANTI JOIN marts.meter_day_versions AS v USING (meter_id, channel, local_date)
WHERE c.availability = 'history' OR c.available_at_utc <= {moment}
""".strip()


def weather_known_at_sql(cutoff: date) -> str:
    """First versions of the weather; at stations of live meters only what had arrived at ``cutoff``."""
    return f"""
SELECT w.station_id, w.observed_at_utc, w.temperature_c
FROM (
    SELECT station_id, observed_at_utc,
        arg_min(temperature_c, (available_at_utc, file_id)) AS temperature_c,
        min(available_at_utc) AS available_at_utc
    FROM lake.weather
    GROUP BY station_id, observed_at_utc
) AS w
WHERE w.available_at_utc <= {moment_sql(cutoff)}
    OR w.station_id NOT IN (SELECT station_id FROM lake.meters WHERE availability = 'live' AND station_id IS NOT NULL)
""".strip()


def restated_meters_sql(cutoff: date) -> str:
    """Meters and channels whose days before ``cutoff`` look different today than they looked then.

    For all others ``features.meter_days`` is what was known at the cutoff already. The text asks only
    corrected days and live meters, so that it is cheap when there are none.
    """
    day, moment = f"DATE '{cutoff.isoformat()}'", moment_sql(cutoff)
    return f"""
SELECT meter_id, channel
FROM marts.meter_day_versions
WHERE local_date < {day} AND available_at_utc > {moment}
UNION
SELECT d.meter_id, d.channel
FROM marts.meter_days AS d
JOIN lake.meters AS m USING (meter_id, channel)
WHERE m.availability = 'live' AND d.local_date < {day} AND d.available_at_utc > {moment}
UNION
SELECT m.meter_id, m.channel
FROM lake.meters AS m
JOIN lake.weather AS w USING (station_id)
WHERE m.availability = 'live' AND w.observed_at_utc < {moment} AND w.available_at_utc > {moment}
""".strip()
