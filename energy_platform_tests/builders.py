"""Seeded readings and a lake that holds them as the loader would: ledger, versions, day loads, meters, sites.

Belongs here: synthetic data with planted gaps, estimates and corrections. Does not belong here:
expected results; each test computes those its own way.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.domain.columns import DAY_LOADS, FILES, METERS, READING_ROWS, READINGS_TABLE, SITES

FIRST_LOAD_UTC = datetime(2014, 3, 1)


def local_midnight_utc(day: date, time_zone: str) -> datetime:
    """The moment at which a local day begins, naive UTC."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(time_zone))
    return midnight.astimezone(ZoneInfo("UTC")).replace(tzinfo=None)


def make_readings(
    *,
    seed: int,
    meter_id: str = "home-0",
    channel: str = "main",
    first_day: date = date(2013, 3, 25),
    days: int = 14,
    interval_minutes: int = 30,
    time_zone: str = "Europe/London",
    daily_kwh: float = 9.0,
    gap_share: float = 0.03,
    estimated_share: float = 0.05,
    file_id: int = 1,
    available_at_utc: datetime = FIRST_LOAD_UTC,
) -> pl.DataFrame:
    """Readings of one meter and channel over whole local days, as ``lake.readings`` holds them.

    Energy has a daily shape and three decimals, so that equal readings (ties) occur; ``gap_share`` of the
    intervals are left out and ``estimated_share`` of those left are estimated.
    """
    rng = np.random.default_rng(seed)
    start = local_midnight_utc(first_day, time_zone)
    end = local_midnight_utc(first_day + timedelta(days=days), time_zone)
    frame = pl.DataFrame(
        {"interval_start_utc": pl.datetime_range(start, end, f"{interval_minutes}m", closed="left", eager=True)}
    )
    rows = frame.height
    hours = frame["interval_start_utc"].dt.hour().to_numpy()
    shape = 1 + np.sin((hours - 10) / 24 * 2 * np.pi)
    energy = daily_kwh * interval_minutes / 1440 * shape * rng.gamma(2.0, 0.5, rows)
    local = pl.col("interval_start_utc").dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone)
    offset = (local.dt.base_utc_offset() + local.dt.dst_offset()).dt.total_minutes()
    return (
        frame.with_columns(
            meter_id=pl.lit(meter_id),
            channel=pl.lit(channel),
            interval_minutes=pl.lit(interval_minutes, pl.Int16),
            utc_offset_minutes=offset.cast(pl.Int16),
            energy_kwh=pl.Series(np.round(energy, 3)),
            quality=pl.Series(np.where(rng.random(rows) < estimated_share, "estimated", "measured")),
            file_id=pl.lit(file_id, pl.Int32),
            available_at_utc=pl.lit(available_at_utc, pl.Datetime("us")),
        )
        .filter(pl.Series(rng.random(rows) >= gap_share))
        .select(READINGS_TABLE.column_names)
        .cast(READINGS_TABLE.polars_schema)
    )


def make_corrections(
    readings: pl.DataFrame, *, seed: int, count: int, file_id: int, available_at_utc: datetime
) -> pl.DataFrame:
    """New versions of ``count`` of the readings, with other energy, known from ``available_at_utc`` on."""
    return readings.sample(count, seed=seed).with_columns(
        energy_kwh=(pl.col("energy_kwh") * 2 + 0.125).round(3),
        quality=pl.lit("measured"),
        file_id=pl.lit(file_id, pl.Int32),
        available_at_utc=pl.lit(available_at_utc, pl.Datetime("us")),
    )


def add_local_date(readings: pl.DataFrame) -> pl.DataFrame:
    """The readings with ``local_date``, by the offset that each row carries."""
    local = pl.col("interval_start_utc") + pl.duration(minutes=pl.col("utc_offset_minutes"))
    return readings.with_columns(local_date=local.dt.date())


def load_file(
    warehouse: Warehouse,
    readings: pl.DataFrame,
    *,
    source: str = "lcl",
    commodity: str = "electricity",
    time_zone: str = "Europe/London",
    site_id: str | None = None,
) -> None:
    """Put the readings of one file into the lake with its ledger row, day loads, meters and sites.

    Args:
        site_id: site of all the meters; by default each meter is a site of its own.
    """
    slot = ["meter_id", "channel", "interval_start_utc"]
    day = ["file_id", "meter_id", "channel", "local_date"]
    warehouse.ensure_tables(schemas=["lake"])
    known = warehouse.read("SELECT DISTINCT meter_id, channel, interval_start_utc FROM lake.readings")
    marked = add_local_date(readings).join(known.with_columns(has_superseding=True), on=slot, how="left")
    energy, start = pl.col("energy_kwh"), pl.col("interval_start_utc")
    day_loads = marked.group_by(*day, "interval_minutes").agg(
        energy.sum(),
        estimated_readings=(pl.col("quality") == "estimated").sum().cast(pl.Int64),
        variance_kwh2=energy.var(ddof=0),
        peak_kwh=energy.max(),
        peak_interval_start_utc=start.filter(energy == energy.max()).min(),
        first_interval_start_utc=start.min(),
        newest_interval_start_utc=start.max(),
        readings=pl.len().cast(pl.Int64),
        slot_mask=pl.lit(None, pl.Int64),
        has_superseding=pl.col("has_superseding").fill_null(value=False).any(),
        available_at_utc=pl.col("available_at_utc").max(),
    )
    meters = readings.group_by("meter_id", "channel").agg(
        pl.col("interval_minutes").max(),
        site_id=pl.lit(site_id) if site_id else pl.col("meter_id").first(),
        source=pl.lit(source),
        commodity=pl.lit(commodity),
        time_zone=pl.lit(time_zone),
        country=pl.lit("GB-ENG"),
        station_id=pl.lit(None, pl.String),
        availability=pl.lit("history"),
    )
    meters = meters.with_columns(pl.col("site_id").fill_null(pl.col("meter_id")))
    sites = meters.select("site_id", "time_zone", "country", attributes=pl.lit("{}")).unique()
    file_id = int(readings["file_id"][0])
    loaded_at = readings["available_at_utc"].max()
    files = pl.DataFrame(
        {
            "file_id": [file_id],
            "uri": [f"landing/{source}/{file_id}.csv"],
            "content_sha256": [f"{file_id:064x}"],
            "source": [source],
            "bytes": [readings.height * 60],
            "landed_at_utc": [loaded_at],
            "loaded_at_utc": [loaded_at],
            "available_at_utc": [loaded_at],
            "rows_read": [readings.height],
            "rows_accepted": [readings.height],
            "rows_rejected": [0],
            "rows_duplicate": [0],
            "rows_superseding": [marked["has_superseding"].sum()],
            "energy_kwh": [readings["energy_kwh"].sum()],
            "status": ["loaded"],
            "error": [None],
        }
    )
    warehouse.replace(FILES, files, where="file_id = ?", params=[file_id])
    known = warehouse.read("SELECT meter_id, channel, meter_no FROM lake.meters")
    new = meters.join(known, on=METERS.key, how="anti").sort(METERS.key)
    numbered = new.with_columns(meter_no=known.height + 1 + pl.int_range(pl.len(), dtype=pl.Int32))
    warehouse.replace(METERS, numbered, where="false")
    old = warehouse.read("SELECT site_id FROM lake.sites")
    warehouse.replace(SITES, sites.join(old, on="site_id", how="anti"), where="false")
    numbers = warehouse.read("SELECT meter_id, channel, meter_no FROM lake.meters")
    warehouse.replace(DAY_LOADS, day_loads.join(numbers, on=METERS.key), where="false")
    store_readings(warehouse, readings)


def store_readings(warehouse: Warehouse, readings: pl.DataFrame) -> None:
    """Store rows of ``lake.readings`` of known meters; the ledger tells when each file was known."""
    numbers = warehouse.read("SELECT meter_id, channel, meter_no FROM lake.meters")
    rows = readings.join(numbers, on=["meter_id", "channel"]).with_columns(
        is_estimated=pl.col("quality") == "estimated"
    )
    assert rows.height == readings.height
    warehouse.replace(READING_ROWS, rows, where="false")
