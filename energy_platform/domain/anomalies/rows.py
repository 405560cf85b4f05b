"""``HOUSEHOLD_DAYS`` out of the warehouse: SQL for the days and for their readings, which become hours here.

Belongs here: which rows, and how readings become hours. Does not belong here: what detectors make of them.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from energy_platform.domain.anomalies.days import Singles
from energy_platform.domain.anomalies.protocol import HOURS, HOUSEHOLD_DAYS
from energy_platform.domain.calendar import calendar_of
from energy_platform.domain.known_at import FIRST_WEATHER_SQL

# Hours that a day's mean temperature needs.
_WEATHER_HOURS = 18
# Longer intervals than an hour have no hours of the day.
LONGEST_INTERVAL_MINUTES = 60
# Readings of a day more on each side are read, of which offsets make local hours at most another day away.
_SPARE_DAYS = 2
META = ("source", "commodity", "country", "file_id")


def household_days_sql(
    *,
    first: date,
    end: date,
    days: str = "marts.meter_days",
    meters: str = "lake.meters",
    clocks: str = "features.source_clocks",
    forecasts: str = "forecasts.meter_days",
    weather: str = f"({FIRST_WEATHER_SQL})",
) -> str:
    """Every local day from ``first`` up to ``end`` of each meter, also those without readings, and ``META``; no hours.

    A meter's days begin with its first reading ever and go on to the newest complete day of its source, so a meter that
    fell silent has days without readings.

    Args:
        first: first day.
        end: the day after the last.
        days: relation with the columns of ``marts.meter_days``.
        meters: relation with the columns of ``lake.meters``.
        clocks: relation with source, newest_complete_day.
        forecasts: relation with the columns of ``forecasts.meter_days``.
        weather: relation with station_id, observed_at_utc, temperature_c.
    """
    return f"""
WITH {_every_day_sql(first, end, days, meters, clocks)},
{_temperatures_sql(first, end, meters, weather)}
SELECT e.meter_no, e.meter_id, e.channel, e.local_date, e.source, e.commodity, e.country, d.file_id,
    CAST(coalesce(d.readings, 0) AS INTEGER) AS readings,
    CAST(coalesce(d.expected_readings, 1440 // e.interval_minutes) AS INTEGER) AS expected_readings,
    CAST(coalesce(d.estimated_share, 0) AS FLOAT) AS estimated_share, CAST(d.energy_kwh AS FLOAT) AS energy_kwh,
    CAST(t.temperature_c AS FLOAT) AS temperature_c, CAST(f.p50_kwh AS FLOAT) AS forecast_kwh
FROM every_day AS e
LEFT JOIN {days} AS d ON d.meter_id = e.meter_id AND d.channel = e.channel AND d.local_date = e.local_date
LEFT JOIN temperatures AS t
    ON t.station_id = e.station_id AND t.time_zone = e.time_zone AND t.local_date = e.local_date
LEFT JOIN {forecasts} AS f
    ON f.meter_id = e.meter_id AND f.channel = e.channel AND f.local_date = e.local_date
    AND f.is_issued AND f.lead_days = 1
ORDER BY e.meter_id, e.channel, e.local_date
""".strip()


def hour_readings_sql(*, first: date, end: date, readings: str = "intermediate.int_readings_in_use") -> str:
    """Readings from ``first`` up to ``end``, and some around them, of the meters between two numbers (bound).

    ``hour_no`` counts hours on the wall from ``_SPARE_DAYS`` before ``first``. To leave out here what no local day needs
    doubled the time of this, and whole numbers take a third of what intervals and dates did.

    Args:
        first: first local day.
        end: the day after the last.
        readings: relation with meter_no, interval_start_utc, interval_minutes, utc_offset_minutes, energy_kwh.
    """
    begin = ((first - date(1970, 1, 1)).days - _SPARE_DAYS) * 86_400_000_000
    since = f"epoch_us(interval_start_utc) + utc_offset_minutes * 60000000::BIGINT - {begin}"
    return f"""
SELECT meter_no, ({since}) // 3600000000 AS hour_no, interval_minutes, energy_kwh
FROM {readings}
WHERE meter_no BETWEEN ? AND ? AND interval_start_utc BETWEEN DATE '{first}' - 1 AND DATE '{end}' + 1
""".strip()


def hours_of(readings: pl.DataFrame, *, first_meter: int, meters: int, days: int) -> Singles:
    """Energy of each hour on the wall, kWh, shape (meters, days, 24); NaN where readings do not cover one.

    The hour that the clock change repeats is the mean of the two.

    Args:
        readings: as ``hour_readings_sql`` gives them.
        first_meter: number of the first meter.
        meters: how many numbers.
        days: how many days.
    """
    all_days = days + 2 * _SPARE_DAYS
    size = meters * all_days * HOURS
    cells = (readings["meter_no"].to_numpy().astype(np.int64) - first_meter) * (all_days * HOURS)
    cells += readings["hour_no"].to_numpy()
    sums = _added_up(cells, readings["energy_kwh"].to_numpy(), size)
    lengths = readings["interval_minutes"].to_numpy()
    if lengths.size and lengths.min() == lengths.max():  # counting takes a sixth of the time of adding up
        minutes = np.bincount(cells, minlength=size).astype(np.float64)
        minutes *= lengths[0]
    else:
        minutes = _added_up(cells, lengths, size)
    is_partial = minutes < 60
    sums *= 60
    sums /= np.maximum(minutes, 60, out=minutes)
    sums[is_partial] = np.nan
    found: Singles = sums.astype(np.float32)
    return found.reshape(meters, all_days, HOURS)[:, _SPARE_DAYS:-_SPARE_DAYS]


def _added_up(cells: npt.NDArray[np.int64], weights: npt.NDArray[Any], size: int) -> npt.NDArray[np.float64]:
    return np.bincount(cells, weights=weights, minlength=size).astype(np.float64, copy=False)


def _every_day_sql(first: date, end: date, days: str, meters: str, clocks: str) -> str:
    """CTEs ``spans`` (meters with their first and last day) and ``every_day``."""
    return f"""spans AS (
    SELECT m.*, greatest(min(d.local_date), DATE '{first}') AS first_day,
        least(any_value(c.newest_complete_day), DATE '{end}' - 1) AS last_day
    FROM {meters} AS m
    JOIN {days} AS d USING (meter_id, channel)
    JOIN {clocks} AS c ON c.source = m.source
    WHERE m.interval_minutes <= {LONGEST_INTERVAL_MINUTES} AND d.local_date < DATE '{end}'
    GROUP BY ALL
    HAVING max(d.local_date) >= DATE '{first}'
),
every_day AS (
    SELECT s.*, first_day + CAST(unnest(range(0, last_day - first_day + 1)) AS INTEGER) AS local_date FROM spans AS s
)"""


def _temperatures_sql(first: date, end: date, meters: str, weather: str) -> str:
    """CTE ``temperatures``: mean of each local day by station and zone."""
    return f"""temperatures AS (
    SELECT z.station_id, z.time_zone,
        CAST((w.observed_at_utc AT TIME ZONE 'UTC') AT TIME ZONE z.time_zone AS DATE) AS local_date,
        CASE WHEN count(*) >= {_WEATHER_HOURS} THEN avg(w.temperature_c) END AS temperature_c
    FROM (SELECT * FROM {weather} WHERE observed_at_utc BETWEEN DATE '{first}' - 1 AND DATE '{end}' + 1) AS w
    JOIN (SELECT DISTINCT station_id, time_zone FROM {meters} WHERE station_id IS NOT NULL) AS z USING (station_id)
    GROUP BY ALL
)"""


def household_days(rows: pl.DataFrame, hours_kwh: Singles, known: pl.DataFrame) -> pl.DataFrame:
    """``HOUSEHOLD_DAYS`` and ``META`` of what ``household_days_sql`` gave.

    Args:
        rows: its rows.
        hours_kwh: their hours, shape (rows, 24).
        known: meter_id, channel, local_date of days that are known to be anomalous.
    """
    calendar = calendar_of(rows.select("country", "local_date")).select(
        "country", "local_date", is_day_off=(pl.col("is_weekend") + pl.col("is_holiday")) > 0
    )
    marked = (
        known.select("meter_id", "channel", "local_date").unique().with_columns(is_known_anomalous=pl.lit(value=True))
    )
    made = (
        rows.join(calendar, on=["country", "local_date"], how="left", maintain_order="left")
        .join(marked, on=["meter_id", "channel", "local_date"], how="left", maintain_order="left")
        .with_columns(
            pl.col("is_known_anomalous").fill_null(value=False),
            pl.Series("hours_kwh", hours_kwh, dtype=pl.Array(pl.Float32, HOURS)),
        )
    )
    return made.select(*(pl.col(name).cast(dtype) for name, dtype in HOUSEHOLD_DAYS.items()), *META)
