"""Contracts of the lake: the ledger, readings in all their versions, what was rejected, who and where."""

import polars as pl

from energy_platform.domain.columns.model import UTC_TIME, Table, bounded, column, one_of, optional
from energy_platform.domain.columns.shared import (
    AVAILABLE_AT_UTC,
    CHANNEL,
    COMMODITY,
    ENERGY_KWH,
    FILE_ID,
    INTERVAL_MINUTES,
    INTERVAL_START_UTC,
    LOCAL_DATE,
    METER_ID,
    METER_NO,
    QUALITY,
    READINGS,
    SITE_ID,
    SOURCE,
    STATION_ID,
    TEMPERATURE_C,
    TIME_ZONE,
    UTC_OFFSET_MINUTES,
)

FILES = Table(
    "lake",
    "files",
    "landed file",
    ("file_id",),
    (
        FILE_ID,
        column("uri", pl.String, "", "Where the landed file is."),
        column("content_sha256", pl.String, "", "SHA-256 of the bytes; the same bytes are loaded once."),
        SOURCE,
        column("bytes", pl.Int64, "B", "Size of the file."),
        column("landed_at_utc", UTC_TIME, "UTC", "When the file arrived."),
        column("loaded_at_utc", UTC_TIME, "UTC", "When its rows were committed."),
        optional(AVAILABLE_AT_UTC),
        bounded(
            column("rows_read", pl.Int64, "", "Data rows in the file; = accepted + rejected + duplicate."), minimum=0
        ),
        bounded(
            column("rows_accepted", pl.Int64, "", "Rows that became readings or weather, superseding ones included."),
            minimum=0,
        ),
        bounded(column("rows_rejected", pl.Int64, "", "Rows kept in lake.rejected with a reason."), minimum=0),
        bounded(column("rows_duplicate", pl.Int64, "", "Rows that say again what is known already."), minimum=0),
        bounded(column("rows_superseding", pl.Int64, "", "Accepted rows that correct an earlier reading."), minimum=0),
        optional(ENERGY_KWH),
        one_of(column("status", pl.String, "", "loaded or failed."), "loaded", "failed"),
        optional(column("error", pl.String, "", "Why the file failed: path, line, column, remedy.")),
    ),
)
# A number in place of two names, a flag in place of a word, and when a row was known in the ledger: with the three
# texts and the time, loading took 1.6 times the CPU time and every sum by meter and day 1.3 times.
READING_ROWS = Table(
    "lake",
    "reading_rows",
    "meter, channel, interval and file that tells it, as stored",
    ("meter_no", "interval_start_utc", "file_id"),
    (
        METER_NO,
        INTERVAL_START_UTC,
        INTERVAL_MINUTES,
        UTC_OFFSET_MINUTES,
        ENERGY_KWH,
        column("is_estimated", pl.Boolean, "", "Whether the reading is estimated; else it was measured."),
        FILE_ID,
    ),
)
READINGS_TABLE = Table(
    "lake",
    "readings",
    "meter, channel, interval and version of it",
    ("meter_id", "channel", "interval_start_utc", "available_at_utc"),
    (
        METER_ID,
        CHANNEL,
        INTERVAL_START_UTC,
        INTERVAL_MINUTES,
        UTC_OFFSET_MINUTES,
        ENERGY_KWH,
        QUALITY,
        FILE_ID,
        AVAILABLE_AT_UTC,
    ),
    view_sql="""
        SELECT meters.meter_id, meters.channel, stored.interval_start_utc, stored.interval_minutes,
            stored.utc_offset_minutes, stored.energy_kwh,
            CASE WHEN stored.is_estimated THEN 'estimated' ELSE 'measured' END AS quality,
            stored.file_id, files.available_at_utc
        FROM lake.reading_rows AS stored
        JOIN lake.meters AS meters USING (meter_no)
        JOIN lake.files AS files USING (file_id)""",
    rows_of=("lake.reading_rows",),
)
# The sums of a day are taken while its rows are at hand: marts then add up loads, and read readings again only where
# one was corrected.
DAY_LOADS = Table(
    "lake",
    "day_loads",
    "loaded file, meter, channel, local day that the file gave readings for, and length of its intervals",
    ("file_id", "meter_no", "local_date", "interval_minutes"),
    (
        FILE_ID,
        METER_NO,
        LOCAL_DATE,
        column("interval_minutes", pl.Int16, "min", "Length of the intervals."),
        READINGS,
        optional(column("slot_mask", pl.Int64, "", "Bit per interval present (interval number modulo 63).")),
        column("has_superseding", pl.Boolean, "", "Whether a row of it corrects an earlier reading."),
        column("energy_kwh", pl.Float64, "kWh", "Energy of these readings."),
        column("estimated_readings", pl.Int64, "", "Readings of these that are estimated."),
        column("variance_kwh2", pl.Float64, "kWh²", "Population variance of these readings."),
        column("peak_kwh", pl.Float64, "kWh", "Largest of these readings."),
        column(
            "peak_interval_start_utc", UTC_TIME, "UTC", "When the largest began; of equal ones to 10⁻⁶ kWh, the first."
        ),
        column("first_interval_start_utc", UTC_TIME, "UTC", "Start of the oldest of these readings."),
        column("newest_interval_start_utc", UTC_TIME, "UTC", "Start of the newest of these readings."),
        AVAILABLE_AT_UTC,
    ),
)
REJECTED = Table(
    "lake",
    "rejected",
    "row of a landed file (a cell of a wide table) that could not be used",
    ("file_id", "line_number", "column_name"),
    (
        FILE_ID,
        bounded(column("line_number", pl.Int64, "", "Line in the file, the first line is 1."), minimum=1),
        column("raw_text", pl.String, "", "The line as it stood in the file."),
        column("reason", pl.String, "", "One of the words in domain/readings: Reason."),
        optional(column("column_name", pl.String, "", "Column of the file that is at fault.")),
        column("detail", pl.String, "", "What was found there and what would be right."),
        column("rejected_at_utc", UTC_TIME, "UTC", "When the row was rejected."),
    ),
)
METERS = Table(
    "lake",
    "meters",
    "meter and channel",
    ("meter_id", "channel"),
    (
        METER_ID,
        CHANNEL,
        METER_NO,
        SITE_ID,
        SOURCE,
        COMMODITY,
        INTERVAL_MINUTES,
        TIME_ZONE,
        column("country", pl.String, "", "ISO country (with subdivision, GB-ENG) whose public holidays apply."),
        optional(STATION_ID),
        column(
            "availability",
            pl.String,
            "",
            "history: first versions count as known when their interval ended; live: when they arrived.",
        ),
    ),
)
SITES = Table(
    "lake",
    "sites",
    "site",
    ("site_id",),
    (
        SITE_ID,
        TIME_ZONE,
        column("country", pl.String, "", "ISO country (with subdivision, GB-ENG) whose public holidays apply."),
        column("attributes", pl.String, "", "What the source tells of the site, as a JSON object."),
    ),
)
WEATHER = Table(
    "lake",
    "weather",
    "station and hour",
    ("station_id", "observed_at_utc", "available_at_utc"),
    (
        STATION_ID,
        column("observed_at_utc", UTC_TIME, "UTC", "Hour of the observation."),
        TEMPERATURE_C,
        FILE_ID,
        AVAILABLE_AT_UTC,
    ),
)
TELEMETRY_VALUES = ("voltage_v", "current_a", "apparent_power_va", "active_power_w", "register_kwh")
"""What telemetry may tell of an instant; lake.telemetry has a column of each."""
TELEMETRY = Table(
    "lake",
    "telemetry",
    "meter, channel, instant and version of it",
    ("meter_id", "channel", "measured_at_utc", "available_at_utc"),
    (
        METER_ID,
        CHANNEL,
        column("measured_at_utc", UTC_TIME, "UTC", "When it was measured."),
        optional(column("voltage_v", pl.Float64, "V", "Voltage.")),
        optional(column("current_a", pl.Float64, "A", "Current.")),
        optional(column("apparent_power_va", pl.Float64, "VA", "Apparent power: no energy without a power factor.")),
        optional(column("active_power_w", pl.Float64, "W", "Active power; energy is computed from samples of it.")),
        optional(column("register_kwh", pl.Float64, "kWh", "What a cumulative register showed.")),
        FILE_ID,
        AVAILABLE_AT_UTC,
    ),
)
