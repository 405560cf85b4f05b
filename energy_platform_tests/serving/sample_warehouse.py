"""A small warehouse of real homes for tests of what is served: the samples that ship with opendsm, by plain SQL.

It fills the contract tables without the platform's own steps, so a fault in those cannot hide one
in what is served. The forecasters are simple on purpose: same weekday a week ago, and the mean of two.
"""

from __future__ import annotations

import importlib.util
from datetime import datetime
from pathlib import Path

from energy_platform.adapters.warehouse import Warehouse, create_table_sql
from energy_platform.domain.columns import TABLES

# Each home: its file's number, source, meter, site, commodity, minutes of an interval, sample.
HOMES = (
    (
        1,
        "uk_home_1",
        "uk-home-1-electricity",
        "uk-home-1",
        "electricity",
        60,
        "uk-electricity-hdd-only-hourly-sample-0",
    ),
    (2, "uk_home_1", "uk-home-1-gas", "uk-home-1", "gas", 60, "uk-gas-hdd-only-hourly-sample-0"),
    (
        3,
        "uk_home_2",
        "uk-home-2-electricity",
        "uk-home-2",
        "electricity",
        30,
        "uk-electricity-hdd-only-hourly-sample-1",
    ),
)
NOW = datetime(2026, 3, 4, 5, 30)


def samples_folder() -> Path:
    """Where opendsm keeps its samples; importing it would cost seconds."""
    found = importlib.util.find_spec("opendsm")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "eemeter" / "samples"


def build_sample_warehouse(path: Path, *, days: int = 100_000) -> Warehouse:
    """The warehouse with the newest ``days`` of each home in every contract table."""
    warehouse = Warehouse(path, threads=1)
    with warehouse.transaction() as connection:
        for table in TABLES:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.schema}")
            connection.execute(create_table_sql(table))
        for home in HOMES:
            for statement in _home_sql(*home, days):
                connection.execute(statement)
        connection.execute(_FAULTS)
        for statement in (*_MARTS, *_FORECASTS):
            connection.execute(statement)
    return warehouse


def _home_sql(file_id, source, meter, site, commodity, minutes, sample, days):
    path = samples_folder() / f"{sample}.csv.gz"
    yield f"""
    CREATE TEMP TABLE raw AS SELECT * FROM (SELECT *, max(began) OVER () AS newest FROM (
        SELECT start::TIMESTAMP AS began, value::DOUBLE AS kwh FROM read_csv('{path}', all_varchar=true)
        )) WHERE began >= date_trunc('day', newest) - INTERVAL {days} DAY"""
    yield f"""
    INSERT INTO lake.reading_rows SELECT {file_id}, began, {minutes},
        (epoch(timezone('UTC', timezone('Europe/London', timezone('UTC', began)))) - epoch(began)) / 60,
        any_value(kwh), false, {file_id} FROM raw GROUP BY began ORDER BY began"""
    yield f"""
    INSERT INTO lake.files SELECT {file_id}, 'landing/{sample}.csv.gz', md5('{sample}'), '{source}', 1000,
        TIMESTAMP '2026-03-04 05:00:00', TIMESTAMP '2026-03-04 05:01:00', TIMESTAMP '2026-03-04 05:01:00', (SELECT count(*) FROM raw),
        (SELECT count(DISTINCT began) FROM raw), 0, (SELECT count(*) - count(DISTINCT began) FROM raw), 0,
        (SELECT sum(energy_kwh) FROM lake.reading_rows WHERE file_id = {file_id}), 'loaded', NULL"""
    yield f"""INSERT INTO lake.meters VALUES ('{meter}', 'main', {file_id}, '{site}', '{source}', '{commodity}', {minutes},
        'Europe/London', 'GB-ENG', NULL, 'history')"""
    yield f"""INSERT INTO lake.sites SELECT '{site}', 'Europe/London', 'GB-ENG', '{{}}'
        WHERE '{site}' NOT IN (SELECT site_id FROM lake.sites)"""
    yield "DROP TABLE raw"


# One file with rejected rows and one that failed, so that the report's words about them are exercised.
_FAULTS = """
INSERT INTO lake.files VALUES
  (4, 'landing/half_broken.csv', 'b4', 'uk_home_2', 90, TIMESTAMP '2026-03-04 05:00:00', TIMESTAMP '2026-03-04 05:02:00', TIMESTAMP '2026-03-04 05:02:00', 2, 0, 2, 0, 0, 0.0, 'loaded', NULL),
  (5, 'landing/truncated.csv.gz', 'b5', 'uk_home_2', 12, TIMESTAMP '2026-03-04 05:00:00', TIMESTAMP '2026-03-04 05:02:00', NULL, 0, 0, 0, 0, 0, NULL, 'failed',
   'landing/truncated.csv.gz, line 1: the gzip stream ends early. Land the file again.');
INSERT INTO lake.rejected VALUES
  (4, 2, '2014-01-20 00:07:00,0.1', 'off_grid', 'start', '00:07 is not on the half-hour grid', TIMESTAMP '2026-03-04 05:02:00'),
  (4, 3, '2014-01-20 00:30:00,<abc>', 'not_a_number', 'value', '<abc> is not a number', TIMESTAMP '2026-03-04 05:02:00');
"""

_LOCAL = "interval_start_utc + to_minutes(utc_offset_minutes)"
_MARTS = (
    f"""
    INSERT INTO marts.meter_days
    SELECT meter_id, channel, site_id, source, commodity, ({_LOCAL})::DATE AS local_date, sum(energy_kwh), count(*),
        1440 // any_value(meters.interval_minutes), least(1, count(*) / (1440 // any_value(meters.interval_minutes))), 0,
        max(energy_kwh), arg_max(interval_start_utc, energy_kwh), 0, max(file_id), max(available_at_utc)
    FROM lake.readings JOIN lake.meters AS meters USING (meter_id, channel) GROUP BY ALL""",
    f"""
    INSERT INTO marts.meter_hour_profiles
    SELECT meter_id, channel, site_id, source, commodity, isodow(day) >= 6, hour, avg(kwh), count(*) FROM (
        SELECT meter_id, channel, ({_LOCAL})::DATE AS day, hour({_LOCAL}) AS hour, sum(energy_kwh) AS kwh
        FROM lake.readings GROUP BY ALL) JOIN lake.meters USING (meter_id, channel) GROUP BY ALL""",
    """
    INSERT INTO marts.site_months
    SELECT site_id, source, commodity, date_trunc('month', local_date), sum(energy_kwh), count(*), avg(completeness), 0
    FROM marts.meter_days GROUP BY ALL""",
    """
    INSERT INTO marts.channel_summaries
    SELECT meter_id, channel, site_id, source, commodity, any_value(meters.interval_minutes), sum(energy_kwh), avg(energy_kwh),
        stddev_samp(energy_kwh), count(*), 18, min(interval_start_utc), max(interval_start_utc)
    FROM lake.readings JOIN lake.meters AS meters USING (meter_id, channel) GROUP BY ALL""",
    """
    INSERT INTO marts.fleet_half_hours
    SELECT source, commodity, interval_start_utc, sum(energy_kwh), count(DISTINCT meter_id)
    FROM lake.readings JOIN lake.meters USING (meter_id, channel) GROUP BY ALL""",
    """
    INSERT INTO features.source_clocks
    SELECT source, max(local_date) FILTER (WHERE readings >= expected_readings), count(DISTINCT meter_id), max(file_id)
    FROM marts.meter_days GROUP BY source""",
)

_FORECASTS = (
    """
    INSERT INTO models.decisions
    SELECT 'lightgbm', cutoff::DATE, '1', true, 1.0, 1.2, 100, 1000, 'feed', 'run-1', 'beat seasonal naive on 100 meter-days', TIMESTAMP '2026-03-04 05:10:00'
    FROM (SELECT DISTINCT date_trunc('week', newest_complete_day - (7 * back)::INTEGER) AS cutoff FROM features.source_clocks, range(4) AS steps(back))""",
    """
    INSERT INTO forecasts.meter_days
    WITH cutoffs AS (
        SELECT source, newest_complete_day + (1 - 7 * back)::INTEGER AS cutoff FROM features.source_clocks, range(5) AS steps(back)),
    pairs AS (
        SELECT cutoffs.source, cutoff, meter_id, channel, commodity, cutoff + (lead - 1)::INTEGER AS day, lead
        FROM cutoffs JOIN lake.meters USING (source), range(1, 8) AS leads(lead)),
    values_at AS (
        SELECT pairs.*, week.energy_kwh AS naive, (week.energy_kwh + coalesce(earlier.energy_kwh, week.energy_kwh)) / 2 AS mean_of_two
        FROM pairs JOIN marts.meter_days AS week ON week.meter_id = pairs.meter_id AND week.local_date = pairs.day - 7
        LEFT JOIN marts.meter_days AS earlier ON earlier.meter_id = pairs.meter_id AND earlier.local_date = pairs.day - 14)
    SELECT model, NULL, cutoff, meter_id, channel, source, commodity, day, lead, 0.7 * p50, p50, 1.3 * p50, model = 'lightgbm', false,
        CASE WHEN model = 'lightgbm' THEN 'champion of the week' END, TIMESTAMP '2026-03-04 05:20:00'
    FROM (SELECT 'lightgbm' AS model, * EXCLUDE (naive, mean_of_two), mean_of_two AS p50 FROM values_at
          UNION ALL SELECT 'seasonal_naive', * EXCLUDE (naive, mean_of_two), naive FROM values_at)""",
    """
    INSERT INTO forecasts.fleet_hours
    WITH newest AS (SELECT source, commodity, max(interval_start_utc)::DATE AS cutoff FROM marts.fleet_half_hours GROUP BY ALL)
    SELECT 'combination', cutoff, source, commodity, 'all', interval_start_utc + INTERVAL 7 DAY, 30,
        epoch(interval_start_utc + INTERVAL 7 DAY - cutoff::TIMESTAMP) / 3600, meters, 0.7 * energy_kwh, energy_kwh, 1.3 * energy_kwh,
        true, false, 'better than naive on earlier issues', TIMESTAMP '2026-03-04 05:20:00'
    FROM marts.fleet_half_hours JOIN newest USING (source, commodity)
    WHERE interval_start_utc >= cutoff - 7 AND interval_start_utc < cutoff - 5""",
    """
    INSERT INTO forecasts.scores
    WITH errors AS (
        SELECT f.model, f.source, f.commodity, f.cutoff_date, f.lead_days, abs(f.p50_kwh - a.energy_kwh) AS error,
               a.energy_kwh BETWEEN f.p10_kwh AND f.p90_kwh AS inside
        FROM forecasts.meter_days AS f JOIN marts.meter_days AS a USING (meter_id, channel, local_date)
        WHERE a.readings >= a.expected_readings),
    scored AS (
        SELECT model, source, commodity, cutoff_date, lead_days, count(*) AS n, avg(error) AS mae, sqrt(avg(error ^ 2)) AS rmse,
               avg(inside::INT) AS coverage FROM errors GROUP BY ALL)
    SELECT model, source, commodity, cutoff_date, lead_days, n, mae, rmse, mae / 2, mae / 2.5, coverage, NULL,
        1 - mae / max(mae) FILTER (WHERE model = 'seasonal_naive') OVER (PARTITION BY source, commodity, cutoff_date, lead_days)
    FROM scored""",
    """
    INSERT INTO anomalies.channel_limits
    SELECT meter_no, meter_id, channel, source, commodity, avg(energy_kwh) AS mean, stddev_samp(energy_kwh) AS std, mean + 2 * std,
        printf('above %.2f kWh, the mean plus 2 standard deviations', mean + 2 * std)
    FROM lake.reading_rows JOIN lake.meters USING (meter_no) GROUP BY ALL""",
    """
    INSERT INTO anomalies.readings_above_limit
    SELECT meter_no, interval_start_utc::DATE, interval_start_utc, interval_minutes, energy_kwh
    FROM lake.reading_rows JOIN anomalies.channel_limits USING (meter_no) WHERE energy_kwh > threshold_kwh""",
    """
    INSERT INTO anomalies.days_off_forecast
    SELECT f.meter_id, f.channel, f.source, f.commodity, f.local_date, f.local_date::TIMESTAMP, 1440, a.energy_kwh,
        f.p50_kwh, f.p90_kwh, (a.energy_kwh - f.p50_kwh) / (f.p90_kwh - f.p50_kwh) * 1.28, 'above the P90 of the forecast issued for the day'
    FROM forecasts.meter_days AS f JOIN marts.meter_days AS a USING (meter_id, channel, local_date)
    WHERE f.is_issued AND f.lead_days = 1 AND a.energy_kwh > f.p90_kwh""",
    """
    INSERT INTO anomalies.severities
    SELECT meter_id, channel, source, commodity, local_date, date_trunc('week', local_date)::DATE, NULL, 2.5 + energy_kwh / 1000, 0.003,
        true, md5(meter_id)[:16], 'level_shift', 'level_shift', energy_kwh, energy_kwh / 2, NULL, NULL, 'twice the usual', NULL, 0, true,
        TIMESTAMP '2026-03-04 05:20:00'
    FROM (SELECT *, row_number() OVER (PARTITION BY meter_id ORDER BY local_date DESC) AS back FROM marts.meter_days) WHERE back <= 2""",
    """
    INSERT INTO anomalies.episodes
    SELECT episode_id, meter_id, channel, source, commodity, 'use', 'level_shift', min(local_date), max(local_date), count(*),
        arg_max(local_date, severity), max(severity), max(value), max(expected), 'twice the usual', true
    FROM anomalies.severities GROUP BY ALL""",
)
