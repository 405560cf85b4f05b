"""Contracts of what single rules call anomalous: as stored by number, and ``anomalies.scores``, all of it with its names.

Anomalies with a record, judged by detectors at a cutoff, are in anomalies.py.
"""

import polars as pl

from energy_platform.domain.columns.model import Table, column
from energy_platform.domain.columns.shared import (
    CHANNEL,
    COMMODITY,
    DETECTOR,
    ENERGY_KWH,
    INTERVAL_MINUTES,
    INTERVAL_START_UTC,
    LOCAL_DATE,
    METER_ID,
    METER_NO,
    SOURCE,
)

_THRESHOLD_KWH = column("threshold_kwh", pl.Float64, "kWh", "Bound that the value crossed.")
_EXPECTED_KWH = column("expected_kwh", pl.Float64, "kWh", "What the detector expected.")
_SCORE = column("score", pl.Float64, "", "Distance from expected in the detector's own standard deviations.")
_REASON = column("reason", pl.String, "", "The evidence in words.")

# Millions of readings lie above the limits of thousands of channels: with the names, the limit and the sentence of its
# channel in every row, finding them took 2.3 times and publishing them 10 times the CPU time.
CHANNEL_LIMITS = Table(
    "anomalies",
    "channel_limits",
    "meter and channel whose readings vary: the limit that mean_plus_2_sigma holds them against",
    ("meter_no",),
    (
        METER_NO,
        METER_ID,
        CHANNEL,
        SOURCE,
        COMMODITY,
        column("mean_kwh", pl.Float64, "kWh", "Mean energy of the channel's readings in use when the limit was set."),
        column("std_kwh", pl.Float64, "kWh", "Their standard deviation; above 0."),
        column("threshold_kwh", pl.Float64, "kWh", "Readings above it are anomalous."),
        _REASON,
    ),
)
READINGS_ABOVE_LIMIT = Table(
    "anomalies",
    "readings_above_limit",
    "reading in use above the limit of its channel, as stored",
    ("meter_no", "interval_start_utc"),
    (METER_NO, LOCAL_DATE, INTERVAL_START_UTC, INTERVAL_MINUTES, ENERGY_KWH),
)
DAYS_OFF_FORECAST = Table(
    "anomalies",
    "days_off_forecast",
    "meter, channel and complete local day that forecast_residual finds far from the forecast issued for it",
    ("meter_id", "channel", "local_date"),
    (
        METER_ID,
        CHANNEL,
        SOURCE,
        COMMODITY,
        LOCAL_DATE,
        INTERVAL_START_UTC,
        INTERVAL_MINUTES,
        ENERGY_KWH,
        _EXPECTED_KWH,
        _THRESHOLD_KWH,
        _SCORE,
        _REASON,
    ),
)
ANOMALIES = Table(
    "anomalies",
    "scores",
    "detector, meter, channel and interval that the detector calls anomalous",
    ("detector", "meter_id", "channel", "interval_start_utc", "interval_minutes"),
    (
        DETECTOR,
        METER_ID,
        CHANNEL,
        SOURCE,
        COMMODITY,
        LOCAL_DATE,
        INTERVAL_START_UTC,
        INTERVAL_MINUTES,
        ENERGY_KWH,
        _EXPECTED_KWH,
        _THRESHOLD_KWH,
        _SCORE,
        _REASON,
    ),
    view_sql="""
        SELECT 'mean_plus_2_sigma' AS detector, limits.meter_id, limits.channel, limits.source, limits.commodity,
            stored.local_date, stored.interval_start_utc, stored.interval_minutes, stored.energy_kwh,
            limits.mean_kwh AS expected_kwh, limits.threshold_kwh,
            (stored.energy_kwh - limits.mean_kwh) / limits.std_kwh AS score, limits.reason
        FROM anomalies.readings_above_limit AS stored
        JOIN anomalies.channel_limits AS limits USING (meter_no)
        UNION ALL BY NAME
        SELECT 'forecast_residual' AS detector, * FROM anomalies.days_off_forecast""",
    rows_of=("anomalies.readings_above_limit", "anomalies.days_off_forecast"),
)

RULE_TABLES = (CHANNEL_LIMITS, READINGS_ABOVE_LIMIT, DAYS_OFF_FORECAST, ANOMALIES)
