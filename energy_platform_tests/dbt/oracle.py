"""The marts once more, in polars and from the definitions, to hold the SQL against. Slow and plain on purpose."""

from zoneinfo import ZoneInfo

import polars as pl

from energy_platform.adapters.warehouse import Warehouse
from energy_platform_tests.builders import add_local_date, local_midnight_utc

DAY = ["meter_id", "channel", "local_date"]


def read(warehouse: Warehouse, table: str) -> pl.DataFrame:
    return warehouse.read(f"SELECT * FROM {table}")


def newest(readings: pl.DataFrame) -> pl.DataFrame:
    """The newest version of each reading."""
    return readings.sort("available_at_utc").unique(["meter_id", "channel", "interval_start_utc"], keep="last")


def day_minutes(local_date, time_zone: str) -> int:
    from datetime import timedelta

    start, end = (
        local_midnight_utc(local_date, time_zone),
        local_midnight_utc(local_date + timedelta(days=1), time_zone),
    )
    return int((end - start).total_seconds() // 60)


def totals(readings: pl.DataFrame, meters: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Day totals of these readings, with completeness over the real length of the local day."""
    zones = meters.select("meter_id", "channel", "time_zone")
    days = (
        readings.group_by(by)
        .agg(
            pl.col("energy_kwh").sum(),
            readings=pl.len().cast(pl.Int64),
            length=pl.col("interval_minutes").first(),
            estimated_share=(pl.col("quality") == "estimated").mean(),
            peak_kwh=pl.col("energy_kwh").max(),
            peak_interval_start_utc=pl.col("interval_start_utc")
            .sort_by("energy_kwh", "interval_start_utc", descending=[True, False])
            .first(),
            newest_file=pl.col("file_id").max(),
            newest_available=pl.col("available_at_utc").max(),
        )
        .join(zones, on=["meter_id", "channel"])
    )
    minutes = pl.struct("local_date", "time_zone").map_elements(
        lambda row: day_minutes(row["local_date"], row["time_zone"]), return_dtype=pl.Int64
    )
    return days.with_columns(expected_readings=minutes // pl.col("length")).with_columns(
        completeness=pl.col("readings") / pl.col("expected_readings")
    )


def meter_days(warehouse: Warehouse) -> pl.DataFrame:
    readings = add_local_date(read(warehouse, "lake.readings"))
    kept = readings.group_by(DAY).agg(kept=pl.len().cast(pl.Int64))
    meters = read(warehouse, "lake.meters")
    days = totals(newest(readings), meters, DAY).join(kept, on=DAY)
    names = meters.select("meter_id", "channel", "site_id", "source", "commodity")
    return days.join(names, on=["meter_id", "channel"]).with_columns(
        versions=pl.col("kept") - pl.col("readings"),
        file_id=pl.col("newest_file"),
        available_at_utc=pl.col("newest_available"),
    )


def meter_day_versions(warehouse: Warehouse) -> pl.DataFrame:
    readings = add_local_date(read(warehouse, "lake.readings"))
    corrected = meter_days(warehouse).filter(pl.col("versions") > 0).select(DAY)
    readings = readings.join(corrected, on=DAY)
    moments = readings.select(*DAY, known="available_at_utc").unique()
    parts = []
    for moment in moments["known"].unique():
        here = moments.filter(pl.col("known") == moment).select(DAY)
        known = newest(readings.join(here, on=DAY).filter(pl.col("available_at_utc") <= moment))
        days = totals(known, read(warehouse, "lake.meters"), DAY)
        parts.append(days.with_columns(available_at_utc=pl.lit(moment), file_id=pl.col("newest_file")))
    return pl.concat(parts)


def local_stamp(readings: pl.DataFrame, meters: pl.DataFrame) -> pl.DataFrame:
    """Local wall clock by the zone itself, not by the stored offset."""
    frame = readings.join(meters.select("meter_id", "channel", "time_zone"), on=["meter_id", "channel"])
    return frame.with_columns(
        local=pl.struct("interval_start_utc", "time_zone").map_elements(
            lambda row: (
                row["interval_start_utc"]
                .replace(tzinfo=ZoneInfo("UTC"))
                .astimezone(ZoneInfo(row["time_zone"]))
                .replace(tzinfo=None)
            ),
            return_dtype=pl.Datetime("us"),
        )
    )


def meter_hour_profiles(warehouse: Warehouse) -> pl.DataFrame:
    readings = local_stamp(newest(read(warehouse, "lake.readings")), read(warehouse, "lake.meters"))
    hours = readings.group_by("meter_id", "channel", pl.col("interval_start_utc").dt.truncate("1h")).agg(
        pl.col("energy_kwh").sum(), pl.col("local").min()
    )
    keys = {"is_weekend": pl.col("local").dt.weekday() >= 6, "local_hour": pl.col("local").dt.hour()}
    return hours.group_by("meter_id", "channel", **keys).agg(
        mean_kwh=pl.col("energy_kwh").mean(), hours=pl.len().cast(pl.Int64)
    )


def channel_summaries(warehouse: Warehouse) -> pl.DataFrame:
    readings = local_stamp(newest(read(warehouse, "lake.readings")), read(warehouse, "lake.meters"))
    hours = readings.group_by("meter_id", "channel", local_hour=pl.col("local").dt.hour()).agg(
        mean=pl.col("energy_kwh").mean().round(9)
    )
    peaks = hours.sort("mean", "local_hour", descending=[True, False]).unique(["meter_id", "channel"], keep="first")
    return (
        readings.group_by("meter_id", "channel")
        .agg(
            total_kwh=pl.col("energy_kwh").sum(),
            mean_kwh=pl.col("energy_kwh").mean(),
            std_kwh=pl.col("energy_kwh").std(),
            readings=pl.len().cast(pl.Int64),
            first_interval_start_utc=pl.col("interval_start_utc").min(),
            newest_interval_start_utc=pl.col("interval_start_utc").max(),
        )
        .join(peaks.select("meter_id", "channel", peak_hour="local_hour"), on=["meter_id", "channel"])
    )


def fleet_half_hours(warehouse: Warehouse) -> pl.DataFrame:
    readings = newest(read(warehouse, "lake.readings"))
    meters = read(warehouse, "lake.meters").select("meter_id", "channel", "source", "commodity")
    joined = readings.join(meters, on=["meter_id", "channel"])
    has_main = (pl.col("channel") == "main").any().over("source", "commodity")
    joined = joined.filter((pl.col("channel") == "main") | ~has_main)
    first_half = joined.with_columns(
        half=pl.col("interval_start_utc").dt.truncate("30m"),
        part=pl.when(pl.col("interval_minutes") == 60).then(pl.col("energy_kwh") / 2).otherwise(pl.col("energy_kwh")),
    )
    second_half = first_half.filter(pl.col("interval_minutes") == 60).with_columns(pl.col("half").dt.offset_by("30m"))
    return (
        pl.concat([first_half, second_half])
        .group_by("source", "commodity", interval_start_utc="half")
        .agg(energy_kwh=pl.col("part").sum(), meters=pl.col("meter_id").n_unique().cast(pl.Int64))
    )


def site_months(warehouse: Warehouse) -> pl.DataFrame:
    from datetime import date

    days = meter_days(warehouse)
    has_main = (pl.col("channel") == "main").any().over("site_id", "commodity")
    days = days.filter((pl.col("channel") == "main") | ~has_main)
    parts = []
    for (site, commodity, month), group in days.with_columns(month=pl.col("local_date").dt.truncate("1mo")).group_by(
        "site_id", "commodity", "month"
    ):
        zone = group["time_zone"][0]
        following = date(month.year + month.month // 12, month.month % 12 + 1, 1)
        minutes = (local_midnight_utc(following, zone) - local_midnight_utc(month, zone)).total_seconds() / 60
        covered = (group["readings"] * group["length"]).sum()
        parts.append(
            {
                "site_id": site,
                "commodity": commodity,
                "local_month": month,
                "energy_kwh": group["energy_kwh"].sum(),
                "days": group["local_date"].n_unique(),
                "completeness": covered / minutes / group.select("meter_id", "channel").n_unique(),
                "estimated_share": (group["estimated_share"] * group["readings"]).sum() / group["readings"].sum(),
            }
        )
    return pl.DataFrame(parts)
