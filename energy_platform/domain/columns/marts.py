"""Contracts of the marts, which dbt builds; a test holds the dbt yml against them."""

import polars as pl

from energy_platform.domain.columns.model import UTC_TIME, Table, column, optional
from energy_platform.domain.columns.shared import (
    AVAILABLE_AT_UTC,
    CHANNEL,
    COMMODITY,
    COMPLETENESS,
    ENERGY_KWH,
    ESTIMATED_SHARE,
    EXPECTED_READINGS,
    FILE_ID,
    INTERVAL_MINUTES,
    INTERVAL_START_UTC,
    LOCAL_DATE,
    METER_ID,
    READINGS,
    SITE_ID,
    SOURCE,
)

METER_DAYS = Table(
    "marts",
    "meter_days",
    "meter, channel and local day of the site",
    ("meter_id", "channel", "local_date"),
    (
        METER_ID,
        CHANNEL,
        SITE_ID,
        SOURCE,
        COMMODITY,
        LOCAL_DATE,
        ENERGY_KWH,
        READINGS,
        EXPECTED_READINGS,
        COMPLETENESS,
        ESTIMATED_SHARE,
        column("peak_kwh", pl.Float64, "kWh", "Largest reading of the day."),
        column("peak_interval_start_utc", UTC_TIME, "UTC", "When the largest reading began (the first, if several)."),
        column("versions", pl.Int64, "", "Readings kept for the day over those in use; 0 when nothing was corrected."),
        FILE_ID,
        AVAILABLE_AT_UTC,
    ),
)
METER_DAY_VERSIONS = Table(
    "marts",
    "meter_day_versions",
    "meter, channel, local day and moment at which its total was first known so (corrected days only)",
    ("meter_id", "channel", "local_date", "available_at_utc"),
    (
        METER_ID,
        CHANNEL,
        LOCAL_DATE,
        AVAILABLE_AT_UTC,
        ENERGY_KWH,
        READINGS,
        EXPECTED_READINGS,
        COMPLETENESS,
        ESTIMATED_SHARE,
        FILE_ID,
    ),
)
METER_HOUR_PROFILES = Table(
    "marts",
    "meter_hour_profiles",
    "meter, channel, kind of day and local hour",
    ("meter_id", "channel", "is_weekend", "local_hour"),
    (
        METER_ID,
        CHANNEL,
        SITE_ID,
        SOURCE,
        COMMODITY,
        column("is_weekend", pl.Boolean, "", "Saturday or Sunday at the site."),
        column("local_hour", pl.Int8, "h", "Hour of the day at the site, 0 to 23."),
        column("mean_kwh", pl.Float64, "kWh", "Mean energy of one such hour."),
        column("hours", pl.Int64, "", "Hours (with any reading) that the mean is taken over."),
    ),
)
SITE_MONTHS = Table(
    "marts",
    "site_months",
    "site, commodity and local month",
    ("site_id", "commodity", "local_month"),
    (
        SITE_ID,
        SOURCE,
        COMMODITY,
        column("local_month", pl.Date, "", "First day of the month at the site."),
        ENERGY_KWH,
        column("days", pl.Int64, "", "Local days with any reading."),
        COMPLETENESS,
        ESTIMATED_SHARE,
    ),
)
CHANNEL_SUMMARIES = Table(
    "marts",
    "channel_summaries",
    "meter and channel",
    ("meter_id", "channel"),
    (
        METER_ID,
        CHANNEL,
        SITE_ID,
        SOURCE,
        COMMODITY,
        INTERVAL_MINUTES,
        column("total_kwh", pl.Float64, "kWh", "Energy over all readings in use."),
        column("mean_kwh", pl.Float64, "kWh", "Mean reading."),
        optional(column("std_kwh", pl.Float64, "kWh", "Sample standard deviation; null with one reading.")),
        READINGS,
        column("peak_hour", pl.Int8, "h", "Local hour with the largest mean reading (the earliest, if several)."),
        column("first_interval_start_utc", UTC_TIME, "UTC", "Start of the oldest reading."),
        column("newest_interval_start_utc", UTC_TIME, "UTC", "Start of the newest reading."),
    ),
)
FLEET_HALF_HOURS = Table(
    "marts",
    "fleet_half_hours",
    "source, commodity and half-hour",
    ("source", "commodity", "interval_start_utc"),
    (
        SOURCE,
        COMMODITY,
        INTERVAL_START_UTC,
        ENERGY_KWH,
        column("meters", pl.Int64, "", "Meters that have a reading in it."),
    ),
)
