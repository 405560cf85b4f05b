"""Household days of the real homes of a Low Carbon London folder, for the benchmarks of anomalies.

Belongs here: reading CSV files and weather into ``HOUSEHOLD_DAYS``. Does not belong here: what is measured.
"""

from __future__ import annotations

import gzip
import io
from datetime import date
from pathlib import Path

import duckdb
import polars as pl

from energy_platform.domain.anomalies.protocol import HOURS, HOUSEHOLD_DAYS
from energy_platform.domain.calendar import calendar_features

ZONE, COUNTRY = "Europe/London", "GB-ENG"


def household_days(folder: Path, *, weather: Path | None = None) -> pl.DataFrame:
    """Every local day of every home, also those without readings between its first and last.

    The forecast is the mean of the same weekday in the four weeks before: what stands for an issued one here.
    """
    connection = duckdb.connect()
    names = ("meter_id", "tariff", "at", "kwh", "acorn", "acorn_grouped")
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
    hours = connection.execute(f"""
        WITH readings AS (
            SELECT DISTINCT meter_id, CAST(left("at", 19) AS TIMESTAMP) AS at_utc, CAST(trim(kwh) AS FLOAT) AS kwh
            FROM read_csv('{folder}/*.csv*', header = true, auto_detect = false, delim = ',', nullstr = 'Null',
                columns = {{{columns}}})
            WHERE kwh IS NOT NULL
        ),
        wall AS (SELECT *, (at_utc AT TIME ZONE 'UTC') AT TIME ZONE '{ZONE}' AS began FROM readings),
        hours AS (
            SELECT meter_id, CAST(began AS DATE) AS local_date, hour(began) AS hour, count(*) AS readings,
                CASE WHEN count(*) >= 2 THEN sum(kwh) * 2 / count(*) END AS kwh, sum(kwh) AS total
            FROM wall GROUP BY ALL
        )
        SELECT meter_id, local_date, CAST(sum(readings) AS INTEGER) AS readings, CAST(sum(total) AS FLOAT) AS energy_kwh,
            [{", ".join(f"CAST(max(kwh) FILTER (hour = {hour}) AS FLOAT)" for hour in range(HOURS))}] AS hours_kwh
        FROM hours GROUP BY ALL""").pl()
    every = (
        hours.group_by("meter_id")
        .agg(first=pl.col("local_date").min(), last=pl.col("local_date").max())
        .select("meter_id", local_date=pl.date_ranges("first", "last"))
        .explode("local_date")
        .join(hours, on=["meter_id", "local_date"], how="left")
        .sort("meter_id", "local_date")
    )
    dates: list[date] = every["local_date"].unique().to_list()
    calendar = calendar_features(COUNTRY, dates).select(
        "local_date", is_day_off=(pl.col("is_weekend") + pl.col("is_holiday")) > 0
    )
    unknown = pl.lit([float("nan")] * HOURS, dtype=pl.List(pl.Float32))
    same_weekday = [pl.col("energy_kwh").shift(7 * week).over("meter_id") for week in range(1, 5)]
    rows = (
        every.join(calendar, on="local_date", how="left")
        .join(_temperatures(weather), on="local_date", how="left")
        .with_columns(
            channel=pl.lit("main"),
            readings=pl.col("readings").fill_null(0),
            # The hour that the clock change leaves out or repeats.
            expected_readings=pl.when(pl.col("readings").is_in([46, 50])).then("readings").otherwise(48),
            estimated_share=pl.lit(0.0),
            hours_kwh=pl.col("hours_kwh").list.eval(pl.element().fill_null(float("nan"))).fill_null(unknown),
            forecast_kwh=pl.mean_horizontal(same_weekday),
            is_known_anomalous=pl.lit(value=False),
        )
        .with_columns(pl.col("hours_kwh").cast(pl.Array(pl.Float32, HOURS)))
    )
    return rows.select(HOUSEHOLD_DAYS.names()).cast(HOUSEHOLD_DAYS)  # type: ignore[arg-type]


def _temperatures(folder: Path | None) -> pl.DataFrame:
    """Mean outdoor temperature of each day from MIDAS Open files (BADC-CSV); none without a folder."""
    parts = [pl.DataFrame(schema={"local_date": pl.Date, "temperature_c": pl.Float64})]
    for path in sorted(folder.glob("*.csv*")) if folder else []:
        text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
        body = text.split("\ndata\n", 1)[1].split("\nend data", 1)[0]
        observed = pl.read_csv(io.StringIO(body), infer_schema=False, null_values="NA")
        parts.append(
            observed.group_by(local_date=pl.col("ob_time").str.to_datetime().dt.date()).agg(
                temperature_c=pl.col("air_temperature").cast(pl.Float64).mean()
            )
        )
    return pl.concat(parts).group_by("local_date").agg(pl.col("temperature_c").mean())
