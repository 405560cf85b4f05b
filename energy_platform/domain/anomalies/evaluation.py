"""Anomalies against what people know: labelled stretches and acknowledged episodes.

Belongs here: point-wise and event-wise figures of days that were judged. Does not belong here: planted faults
(records.py), reading a file of labels (commands/anomalies.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from energy_platform.domain.anomalies.planting import LABELS
from energy_platform.domain.anomalies.records import GRACE_DAYS, average_precision
from energy_platform.domain.anomalies.severity import follows_on, planted_days, starts

KEY = ("meter_id", "channel", "local_date")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How alarms compare with labels; None where there is nothing to divide by.

    Args:
        judged_days: meter-days that were judged.
        labelled_days: those in a label.
        alarm_days: those with an alarm.
        hit_days: labelled days with an alarm.
        events: labels with a judged day.
        detected: those with an alarm on one of their days or the day after.
        false_alarms: runs of alarm days outside of all labels.
        pr_auc: area under the precision-recall curve of the severity, by day.
        unused_labels: labels of meters or days that were not judged.
    """

    judged_days: int
    labelled_days: int
    alarm_days: int
    hit_days: int
    events: int
    detected: int
    false_alarms: int
    pr_auc: float | None
    unused_labels: int

    @property
    def point_precision(self) -> float | None:
        """Share of alarm days that are labelled."""
        return self.hit_days / self.alarm_days if self.alarm_days else None

    @property
    def point_recall(self) -> float | None:
        """Share of labelled days with an alarm."""
        return self.hit_days / self.labelled_days if self.labelled_days else None

    @property
    def event_precision(self) -> float | None:
        """Detected events over them and false alarms."""
        found = self.detected + self.false_alarms
        return self.detected / found if found else None

    @property
    def event_recall(self) -> float | None:
        """Share of events that are detected."""
        return self.detected / self.events if self.events else None

    @property
    def false_alarms_per_meter_week(self) -> float | None:
        """False alarms over judged weeks outside of labels."""
        weeks = (self.judged_days - self.labelled_days) / 7
        return self.false_alarms / weeks if weeks else None


def evaluate(days: pl.DataFrame, severities: pl.DataFrame, labels: pl.DataFrame) -> Evaluation:
    """Compare alarms with labels.

    Args:
        days: meter_id, channel, local_date of every day that was judged.
        severities: rows of ``anomalies.severities``; a judged day without one has no severity.
        labels: meter_id, channel, first_date, last_date of what people know to be anomalous.
    """
    rows = (
        days.select(KEY)
        .unique()
        .join(severities.select(*KEY, "severity", "is_anomalous"), on=KEY, how="left")
        .with_columns(pl.col("severity").fill_null(0.0), pl.col("is_anomalous").fill_null(value=False))
        .sort(KEY)
    )
    alarm = rows["is_anomalous"].to_numpy()
    labelled = planted_days(rows, labels)
    numbered = labels.with_row_index("event")
    inside = numbered.join(rows, on=["meter_id", "channel"]).filter(
        pl.col("local_date").is_between("first_date", pl.col("last_date") + pl.duration(days=GRACE_DAYS))
    )
    events = inside.group_by("event").agg(
        is_judged=(pl.col("local_date") <= pl.col("last_date")).any(), is_detected=pl.col("is_anomalous").any()
    )
    events = events.filter("is_judged")
    excused = planted_days(rows, labels, excused=True)
    return Evaluation(
        judged_days=rows.height,
        labelled_days=int(labelled.sum()),
        alarm_days=int(alarm.sum()),
        hit_days=int((alarm & labelled).sum()),
        events=events.height,
        detected=int(events["is_detected"].sum()),
        false_alarms=int(starts(alarm & ~excused, follows_on(rows)).sum()),
        pr_auc=average_precision(rows["severity"].to_numpy(), labelled),
        unused_labels=labels.height - events.height,
    )


def labels_of_verdicts(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Episodes that a person called real, as labels (``planting.LABELS``)."""
    return (
        verdicts.filter("is_real")
        .with_columns(fault=pl.lit("reported"), magnitude=pl.lit(float(np.nan)))
        .select(*(pl.col(name).cast(dtype) for name, dtype in LABELS.items()))
    )
