"""Contracts of anomalies with a record: detectors at a cutoff, their records, severities of days, episodes.

What single rules say (``anomalies.scores``) is in rules.py.
"""

import polars as pl

from energy_platform.domain.columns.model import Table, bounded, column, one_of, optional
from energy_platform.domain.columns.shared import (
    CHANNEL,
    COMMODITY,
    CUTOFF_DATE,
    DETECTOR,
    ESTIMATED_SHARE,
    ISSUED_AT_UTC,
    LOCAL_DATE,
    METER_ID,
    MODEL_VERSION,
    SOURCE,
)

_MAY_PAGE = column("may_page", pl.Boolean, "", "Whether its record on planted faults is good enough to wake somebody.")
_EPISODE_ID = column("episode_id", pl.String, "", "Name of the episode; the same as long as it begins on the same day.")
_SEVERITY = bounded(
    column("severity", pl.Float64, "", "2: one good day in 100 looks so bad; 3: one in 1,000 (minus the logarithm)."),
    minimum=0,
)
_CAUSE = column("cause", pl.String, "", "The detector that contributes most.")
_VALUE = column("value", pl.Float64, "", "What that detector judged, in the unit that its reason names.")
_EXPECTED = column("expected", pl.Float64, "", "What it should have been.")

DETECTORS = Table(
    "anomalies",
    "detectors",
    "detector and weekly cutoff",
    ("cutoff_date", "detector"),
    (
        CUTOFF_DATE,
        DETECTOR,
        column("is_fitted", pl.Boolean, "", "Whether there was enough to learn from."),
        column("note", pl.String, "", "How it was fitted, by which method; or why it could not be."),
        optional(column("gain", pl.Float64, "share", "Its part in telling planted faults from good days, 0 to 1.")),
        column("meters", pl.Int64, "", "Meters and channels with days before the cutoff."),
        column("good_days", pl.Int64, "", "Good held-out days that it is calibrated on."),
        optional(MODEL_VERSION),
        optional(column("mlflow_run_id", pl.String, "", "The run that holds all detectors of the cutoff.")),
        ISSUED_AT_UTC,
    ),
)
RECORDS = Table(
    "anomalies",
    "records",
    "detector, fault, magnitude and weekly cutoff; fault all and magnitude 0 stand for all together",
    ("cutoff_date", "detector", "fault", "magnitude"),
    (
        CUTOFF_DATE,
        DETECTOR,
        column("fault", pl.String, "", "What was planted: spike, stuck, gap, night_leak …; all for all of them."),
        column("magnitude", pl.Float64, "", "How much of it, as domain/anomalies/planting.py says; 0 for all."),
        column("events", pl.Int64, "", "Planted faults."),
        column("detected", pl.Int64, "", "Those with an alarm on one of their days or the day after."),
        column("false_alarms", pl.Float64, "", "Runs of alarm days beside them that no fault explains."),
        optional(column("recall", pl.Float64, "share", "Detected over events.")),
        optional(column("precision", pl.Float64, "share", "Detected over detected and false alarms.")),
        optional(column("f1", pl.Float64, "share", "Harmonic mean of precision and recall.")),
        optional(column("false_alarms_per_meter_week", pl.Float64, "", "Runs of alarm days on days without a fault.")),
        column("meter_weeks", pl.Float64, "", "Days without a fault that this is counted on, over 7."),
        optional(column("median_days_to_detect", pl.Float64, "d", "From the first day of a fault; 0 is the same day.")),
        _MAY_PAGE,
        column("reason", pl.String, "", "The record in words, and why it may not page."),
    ),
)
SEVERITIES = Table(
    "anomalies",
    "severities",
    "meter, channel and local day that looks worse than 19 of 20 good days",
    ("meter_id", "channel", "local_date"),
    (
        METER_ID,
        CHANNEL,
        SOURCE,
        COMMODITY,
        LOCAL_DATE,
        CUTOFF_DATE,
        optional(MODEL_VERSION),
        _SEVERITY,
        bounded(
            column("false_alarm_share", pl.Float64, "share", "Share of good held-out days that look at least so bad."),
            minimum=0,
            maximum=1,
        ),
        column("is_anomalous", pl.Boolean, "", "Whether it is an alarm: as bad as a meter falsely is every ten weeks."),
        optional(_EPISODE_ID),
        _CAUSE,
        column("detectors", pl.String, "", "All detectors that call the day anomalous, strongest first."),
        optional(_VALUE),
        optional(_EXPECTED),
        optional(column("lower", pl.Float64, "", "The value is fine from here.")),
        optional(column("upper", pl.Float64, "", "The value is fine up to here.")),
        column("reason", pl.String, "", "Why, in words, with the numbers."),
        optional(column("similar_days", pl.String, "", "Good days that were most like it should have been.")),
        optional(ESTIMATED_SHARE),
        _MAY_PAGE,
        ISSUED_AT_UTC,
    ),
)
EPISODES = Table(
    "anomalies",
    "episodes",
    "run of anomalous days of one meter and one kind of cause",
    ("episode_id",),
    (
        _EPISODE_ID,
        METER_ID,
        CHANNEL,
        SOURCE,
        COMMODITY,
        one_of(column("kind", pl.String, "", "meter (a fault of the meter) or use."), "meter", "use"),
        _CAUSE,
        column("first_date", pl.Date, "", "First anomalous day."),
        column("last_date", pl.Date, "", "Last anomalous day so far."),
        column("anomalous_days", pl.Int64, "", "Anomalous days in it."),
        column("worst_date", pl.Date, "", "The day with the highest severity."),
        _SEVERITY,
        optional(_VALUE),
        optional(_EXPECTED),
        column("reason", pl.String, "", "Why, in words: of the worst day."),
        _MAY_PAGE,
    ),
)

ANOMALY_TABLES = (DETECTORS, RECORDS, SEVERITIES, EPISODES)
