"""Contracts of the forecasts of whole fleets, by the half hour or hour, and of their scores."""

import polars as pl

from energy_platform.domain.columns.model import Table, bounded, column
from energy_platform.domain.columns.shared import (
    COMMODITY,
    COVERAGE,
    CUTOFF_DATE,
    INTERVAL_MINUTES,
    INTERVAL_START_UTC,
    ISSUED_AT_UTC,
    MAE_KWH,
    MODEL,
    P10_KWH,
    P50_KWH,
    P90_KWH,
    PINBALL_KWH,
    SKILL,
    SOURCE,
    WHY_ISSUED,
)

SEGMENT = column("segment", pl.String, "", "Part of the source's meters that is summed; all of them: all.")
LEAD_HOURS = bounded(
    column("lead_hours", pl.Float64, "h", "From the start of the cutoff day to the start of the interval."),
    minimum=0,
    maximum=49,
)
FLEET_HOURS = Table(
    "forecasts",
    "fleet_hours",
    "model, cutoff, source, commodity, segment and half hour or hour ahead",
    ("model", "cutoff_date", "source", "commodity", "segment", "interval_start_utc"),
    (
        MODEL,
        CUTOFF_DATE,
        SOURCE,
        COMMODITY,
        SEGMENT,
        INTERVAL_START_UTC,
        INTERVAL_MINUTES,
        LEAD_HOURS,
        bounded(column("meters", pl.Float64, "", "Meters expected to report: those of the last known day."), minimum=0),
        P10_KWH,
        P50_KWH,
        P90_KWH,
        column("is_issued", pl.Boolean, "", "Whether this is the forecast that users are given for the interval."),
        column("is_fallback", pl.Boolean, "", "Whether it is issued because the first choice could not be made."),
        WHY_ISSUED,
        ISSUED_AT_UTC,
    ),
)
FLEET_SCORES = Table(
    "forecasts",
    "fleet_scores",
    "model, source, commodity, segment, cutoff and six hours of lead",
    ("model", "source", "commodity", "segment", "cutoff_date", "lead_hours_from"),
    (
        MODEL,
        SOURCE,
        COMMODITY,
        SEGMENT,
        CUTOFF_DATE,
        bounded(
            column("lead_hours_from", pl.Int16, "h", "First lead of the block: 0, 6, …, 42; 48 on a day of 25 hours."),
            minimum=0,
            maximum=48,
        ),
        column("intervals", pl.Int64, "", "Forecasts whose outcome is known; the scores are means over them."),
        column("actual_kwh", pl.Float64, "kWh", "Mean outcome, of as many meters as were forecast."),
        MAE_KWH,
        column("bias_kwh", pl.Float64, "kWh", "Mean of forecast minus outcome; above 0 is forecast too high."),
        PINBALL_KWH,
        COVERAGE,
        SKILL,
    ),
)
