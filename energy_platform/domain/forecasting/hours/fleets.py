"""Which fleets there are, and which of their half hours were known at a cutoff: SQL text.

Belongs here: the questions to the warehouse, with the rules of domain/known_at.py for whole fleets. Does not
belong here: running them (defs/forecasts/hours.py), what is made of the answers (local_days.py).

``marts.fleet_half_hours`` holds what is known today. For a cutoff of the past, the days that were corrected
after it, and days of live meters that arrived after it, are summed again from the readings there were: of a
history meter's reading the newest version that had arrived, else the first one; of a live meter's only what
had arrived.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from energy_platform.domain.known_at import moment_sql, weather_known_at_sql

# Nothing is finer than the mart's half hours; meters that are read once a day have no hours to forecast.
_HALF_HOUR, _HOUR = 30, 60
_LONGEST_READING = 62


@dataclass(frozen=True, slots=True)
class Fleet:
    """All meters of a source and commodity, as ``FLEETS_SQL`` finds them.

    Args:
        source: name of the source.
        commodity: electricity or gas.
        time_zone: IANA zone of most of its meters.
        country: whose public holidays apply.
        interval_minutes: 30 or 60, the grain it is forecast in.
        station_id: where its weather is measured; None without.
    """

    source: str
    commodity: str
    time_zone: str
    country: str
    interval_minutes: int
    station_id: str | None


# A fleet lives by the clock of most of its meters.
FLEETS_SQL = f"""
SELECT source, commodity, mode(time_zone) AS time_zone, mode(country) AS country,
    CASE WHEN max(interval_minutes) > {_HALF_HOUR} THEN {_HOUR} ELSE {_HALF_HOUR} END AS interval_minutes,
    mode(station_id) AS station_id
FROM lake.meters
WHERE (source, commodity) IN (SELECT DISTINCT (source, commodity) FROM marts.fleet_half_hours)
GROUP BY source, commodity
HAVING max(interval_minutes) <= {_HOUR}
ORDER BY source, commodity
""".strip()

# The first day with readings and the day after the newest reading of the source (parameters: source, commodity).
SPAN_SQL = """
SELECT CAST(min(interval_start_utc) FILTER (WHERE commodity = fleet.asked) AS DATE) AS first_day,
    CAST(max(interval_start_utc) AS DATE) + 1 AS last_cutoff
FROM marts.fleet_half_hours
JOIN (SELECT ? AS source, ? AS asked) AS fleet USING (source)
""".strip()

# Corrected days have their versions, live days their arrival.
_ARRIVALS_SQL = """
SELECT m.source, m.commodity, v.local_date, v.available_at_utc
FROM marts.meter_day_versions AS v
JOIN lake.meters AS m USING (meter_id, channel)
UNION
SELECT m.source, m.commodity, d.local_date, d.available_at_utc
FROM marts.meter_days AS d
JOIN lake.meters AS m USING (meter_id, channel)
WHERE m.availability = 'live'
""".strip()


def arrivals_sql() -> str:
    """Moments at which what is known of a fleet's past changed (parameters: source, commodity), oldest first.

    Two cutoffs with the same of them behind them know the same of every day that both look at.
    """
    return f"""
SELECT DISTINCT available_at_utc
FROM ({_ARRIVALS_SQL})
WHERE source = ? AND commodity = ?
ORDER BY available_at_utc
""".strip()


def half_hours_sql(cutoff: date, *, first_day: date, is_restated: bool) -> str:
    """Half hours of one fleet as known at ``cutoff`` (parameters: source, commodity).

    Args:
        cutoff: whose knowledge is asked for. Rows of it and later may be there: local_days.py leaves them out.
        first_day: how far back.
        is_restated: whether something arrived after the cutoff; else the mart is what was known.

    Returns:
        interval_start_utc, energy_kwh, meters, one row a half hour, in order.
    """
    now = f"""
SELECT interval_start_utc, energy_kwh, meters
FROM marts.fleet_half_hours
WHERE source = ? AND commodity = ?
    AND interval_start_utc BETWEEN DATE '{first_day}' - 1 AND DATE '{cutoff}' + 1
""".strip()
    if not is_restated:
        return f"{now}\nORDER BY interval_start_utc"
    return f"""
WITH mart AS (
    {now}
),
{_restated_sql(cutoff, first_day=first_day)},
{_known_then_sql(cutoff, first_day=first_day)},
zone AS (
    SELECT mode(time_zone) AS time_zone
    FROM lake.meters
    SEMI JOIN restated USING (source, commodity)
)
SELECT mart.interval_start_utc, mart.energy_kwh, mart.meters
FROM mart
ANTI JOIN restated
    ON restated.local_date
    = CAST((mart.interval_start_utc AT TIME ZONE 'UTC') AT TIME ZONE (SELECT time_zone FROM zone) AS DATE)
UNION ALL
SELECT interval_start_utc, energy_kwh, meters
FROM known_then
ORDER BY interval_start_utc
""".strip()


def _restated_sql(cutoff: date, *, first_day: date) -> str:
    """``asked``: meters with whether they count in their fleet's total; ``restated``: days that looked different then."""
    return f"""
asked AS (
    SELECT meter_id, channel, source, commodity, availability,
        channel = 'main' OR NOT bool_or(channel = 'main') OVER (PARTITION BY source, commodity) AS is_in_total
    FROM lake.meters
),
restated AS (
    SELECT DISTINCT a.source, a.commodity, a.local_date
    FROM ({_ARRIVALS_SQL}) AS a
    SEMI JOIN (SELECT ? AS source, ? AS commodity) AS fleet USING (source, commodity)
    WHERE a.available_at_utc > {moment_sql(cutoff)} AND a.local_date BETWEEN DATE '{first_day}' AND DATE '{cutoff}'
)
""".strip()


def _known_then_sql(cutoff: date, *, first_day: date) -> str:
    """``known_then``: half hours of the restated days, summed from the readings that had arrived."""
    return f"""
versions AS (
    SELECT r.meter_id, r.interval_start_utc, r.interval_minutes, r.energy_kwh, d.local_date, r.available_at_utc,
        m.availability,
        row_number() OVER (
            PARTITION BY r.meter_id, r.channel, r.interval_start_utc
            ORDER BY
                r.available_at_utc <= {moment_sql(cutoff)} DESC,
                CASE WHEN r.available_at_utc <= {moment_sql(cutoff)} THEN r.file_id ELSE -r.file_id END DESC
        ) AS place
    FROM lake.readings AS r
    JOIN asked AS m USING (meter_id, channel)
    JOIN restated AS d
        ON d.source = m.source AND d.commodity = m.commodity
        AND d.local_date = CAST(r.interval_start_utc + to_minutes(CAST(r.utc_offset_minutes AS BIGINT)) AS DATE)
    WHERE m.is_in_total
        AND r.interval_start_utc >= DATE '{first_day}' - {_LONGEST_READING}
        AND (m.availability = 'history' OR r.available_at_utc <= {moment_sql(cutoff)})
),
parts AS (
    SELECT meter_id,
        unnest(
            range(
                time_bucket(INTERVAL {_HALF_HOUR} MINUTE, interval_start_utc),
                interval_start_utc + to_minutes(CAST(interval_minutes AS BIGINT)),
                INTERVAL {_HALF_HOUR} MINUTE
            )
        ) AS interval_start_utc,
        energy_kwh / greatest(ceil(interval_minutes / {_HALF_HOUR}), 1) AS energy_kwh
    FROM versions
    WHERE place = 1
),
known_then AS (
    SELECT interval_start_utc, sum(energy_kwh) AS energy_kwh, count(DISTINCT meter_id) AS meters
    FROM parts
    GROUP BY interval_start_utc
)
""".strip()


def weather_sql(cutoff: date, *, first_day: date) -> str:
    """Hourly temperatures of one station as known at ``cutoff`` (parameter: station)."""
    return f"""
SELECT observed_at_utc, temperature_c
FROM ({weather_known_at_sql(cutoff)})
WHERE station_id = ? AND observed_at_utc BETWEEN DATE '{first_day}' - 1 AND DATE '{cutoff}' + 1
ORDER BY observed_at_utc
""".strip()
