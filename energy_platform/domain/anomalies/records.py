"""How good detectors are on planted faults: precision, recall, false alarms, time to detect; who may page.

An *event* is one planted fault; it is found when a day of it, or one of ``GRACE_DAYS`` after it, is an alarm. A
*false alarm* is a run of alarm days of one meter that touches no event. All detectors are held to the same
number of false alarms a meter-week, with limits from good days that are not judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from energy_platform.domain.anomalies import severity
from energy_platform.domain.anomalies.days import Flags, Floats, Numbers
from energy_platform.domain.anomalies.planting import PlantedDays
from energy_platform.domain.anomalies.severity import (
    FALSE_ALARMS_PER_METER_WEEK,
    Severity,
    follows_on,
    limit_for,
    numbers,
    planted_days,
    starts,
)

ALL = "all"
GRACE_DAYS = 1
# What wakes somebody is right at least every other time and finds at least every other fault.
PAGE_PRECISION, PAGE_RECALL = 0.5, 0.5
PAGE_FALSE_ALARMS = 2 * FALSE_ALARMS_PER_METER_WEEK
LEAST_EVENTS = 20


@dataclass(frozen=True, slots=True)
class Examples:
    """Held-out days as detectors saw them, as they are and with faults planted.

    Args:
        keys: of the good days.
        good: scores of every detector on them.
        planted: what was planted, a world a turn.
        scores: of every detector on each of the worlds.
    """

    keys: pl.DataFrame
    good: Mapping[str, pl.DataFrame]
    planted: tuple[PlantedDays, ...]
    scores: tuple[Mapping[str, pl.DataFrame], ...]


@dataclass(frozen=True, slots=True)
class Alarms:
    """What one detector calls an alarm.

    Args:
        good: on the good days of the examples.
        worlds: on each world with planted faults.
    """

    good: Flags
    worlds: tuple[Flags, ...]


def alarms_at_limits(
    learned_on: Examples, judged: Examples, combined: Severity, *, per_meter_week: float = FALSE_ALARMS_PER_METER_WEEK
) -> dict[str, Alarms]:
    """Alarms of every detector and of their severity, each at the limit that ``learned_on`` gives it.

    Args:
        learned_on: good days that set the limits; those of ``combined`` are its own.
        judged: the examples to judge.
        combined: what was learned on ``learned_on``.
        per_meter_week: false alarms that each may give on the good days of ``learned_on``.
    """
    found: dict[str, Alarms] = {}
    for name, good in learned_on.good.items():
        limit = limit_for(numbers(good), learned_on.keys, per_meter_week=per_meter_week)
        worlds = tuple(_beyond(scores[name], limit) for scores in judged.scores)
        found[name] = Alarms(_beyond(judged.good[name], limit), worlds)
    worlds = tuple(combined.judge(scores).is_anomalous for scores in judged.scores)
    found[severity.NAME] = Alarms(combined.judge(judged.good).is_anomalous, worlds)
    return found


def _beyond(frame: pl.DataFrame, limit: float) -> Flags:
    found: Flags = np.nan_to_num(numbers(frame), nan=-np.inf) > limit
    return found


@dataclass(frozen=True, slots=True)
class Board:
    """All worlds of some examples side by side, ready to count alarms on.

    Args:
        order: places of the worlds' rows, one world after the other, by meter and day.
        follows: whether a row is the day after the row before, in order.
        explained: whether a fault lies in the day or shortly before it, or it is known to be anomalous, in order.
        unit: number of the row's meter and world, in order.
        events: labels with ``first`` and ``last`` place in order, ``unit``, ``of_unit`` (events there).
        good_order: places of the good days by meter and day.
        good_follows: as ``follows``.
    """

    order: Numbers
    follows: Flags
    explained: Flags
    unit: Numbers
    events: pl.DataFrame
    good_order: Numbers
    good_follows: Flags

    @classmethod
    def of(cls, judged: Examples) -> Board:
        """From examples."""
        keys = [
            one.rows.select("meter_id", "channel", "local_date").with_columns(
                world=pl.lit(number),
                explained=pl.Series(planted_days(one.rows, one.labels, excused=True)) | one.rows["is_known_anomalous"],
            )
            for number, one in enumerate(judged.planted)
        ]
        rows = pl.concat(keys).with_row_index("row").sort("world", "meter_id", "channel", "local_date")
        rows = rows.with_columns(unit=pl.struct("world", "meter_id", "channel").rle_id()).with_row_index("place")
        labels = pl.concat([one.labels.with_columns(world=pl.lit(number)) for number, one in enumerate(judged.planted)])
        inside = (
            labels.with_row_index("event")
            .join(rows, on=["world", "meter_id", "channel"])
            .filter(pl.col("local_date").is_between("first_date", pl.col("last_date") + pl.duration(days=GRACE_DAYS)))
        )
        events = (
            inside.group_by("event", "fault", "magnitude", "unit")
            .agg(first=pl.col("place").min(), last=pl.col("place").max())
            .with_columns(of_unit=pl.len().over("unit"))
            .sort("event")
        )
        good = judged.keys.with_row_index("row").sort("meter_id", "channel", "local_date")
        return cls(
            rows["row"].to_numpy(),
            follows_on(rows) & (np.diff(rows["unit"].to_numpy(), prepend=-1) == 0),
            rows["explained"].to_numpy(),
            rows["unit"].to_numpy(),
            events,
            good["row"].to_numpy(),
            follows_on(good),
        )

    def counted(self, alarms: Alarms) -> pl.DataFrame:
        """The events with ``days_to_detect`` (null: not found) and ``false_beside``, their part of the false alarms."""
        flags = np.concatenate(alarms.worlds)[self.order]
        false = np.bincount(
            self.unit[starts(flags & ~self.explained, self.follows)], minlength=int(self.unit.max()) + 1
        )
        # Place of the first alarm on or after each row.
        places = np.where(flags, np.arange(len(flags)), len(flags))
        following = np.minimum.accumulate(places[::-1])[::-1]
        first, last = self.events["first"].to_numpy(), self.events["last"].to_numpy()
        found = following[first]
        days = np.where(found <= last, (found - first).astype(np.float64), np.nan)
        return self.events.with_columns(
            days_to_detect=pl.Series(days).fill_nan(None),
            false_beside=pl.Series(false[self.events["unit"].to_numpy()] / self.events["of_unit"].to_numpy()),
        )

    def good_alarms(self, alarms: Alarms) -> int:
        """Runs of alarm days among the good days."""
        return int(starts(alarms.good[self.good_order], self.good_follows).sum())


def record_rows(judged: Examples, alarms: Mapping[str, Alarms]) -> pl.DataFrame:
    """How every detector did, by fault and magnitude.

    Returns:
        Rows by detector, fault (``all`` for all together) and magnitude (0 for all together): events, detected,
        false_alarms, meter_weeks, recall, precision, f1, false_alarms_per_meter_week (on the good days),
        median_days_to_detect, may_page, reason. None where nothing was planted.
    """
    if not any(one.labels.height for one in judged.planted):
        return pl.DataFrame()
    board = Board.of(judged)
    weeks = judged.keys.height / 7
    rows = []
    for name, one in alarms.items():
        counted, good = board.counted(one), board.good_alarms(one)
        every = counted.with_columns(fault=pl.lit(ALL), magnitude=pl.lit(0.0))
        kinds = counted.with_columns(magnitude=pl.lit(0.0))
        summed = (
            pl.concat([every, kinds, counted])
            .group_by("fault", "magnitude", maintain_order=True)
            .agg(
                events=pl.len().cast(pl.Int64),
                detected=pl.col("days_to_detect").count().cast(pl.Int64),
                false_alarms=pl.col("false_beside").sum(),
                median_days_to_detect=pl.col("days_to_detect").median(),
            )
        )
        rows += [_row(name, group, good, weeks) for group in summed.to_dicts()]
    return pl.DataFrame(rows, schema_overrides=_FLOATS, infer_schema_length=None)


_FLOATS = dict.fromkeys(
    ("magnitude", "median_days_to_detect", "recall", "precision", "f1", "false_alarms_per_meter_week"), pl.Float64
)


def _row(name: str, group: Mapping[str, Any], good: int, weeks: float) -> dict[str, object]:
    """One row of a record."""
    count, found, wrong = group["events"], group["detected"], group["false_alarms"]
    precision = found / (found + wrong) if found + wrong else None
    recall = found / count
    rate = good / weeks if weeks else None
    may, reason = may_page(count, recall, precision, rate)
    return {
        "detector": name,
        **group,
        "recall": recall,
        "precision": precision,
        "f1": 2 * found / (found + wrong + count),
        "false_alarms_per_meter_week": rate,
        "meter_weeks": weeks,
        "may_page": may,
        "reason": reason,
    }


def may_page(
    events: int, recall: float | None, precision: float | None, per_meter_week: float | None
) -> tuple[bool, str]:
    """Whether a record is good enough to wake somebody, and why not.

    Example:
        >>> may_page(40, 0.8, 0.9, 0.05)
        (True, 'measured on 40 planted faults: recall 80 %, precision 90 %, 0.05 false alarms a meter-week.')
        >>> may_page(3, 1.0, 1.0, 0.0)
        (False, 'measured on 3 planted faults; 20 are needed.')
    """
    if events < LEAST_EVENTS or recall is None or precision is None or per_meter_week is None:
        if events >= LEAST_EVENTS:
            return False, f"gave no alarm on {events} planted faults."
        return False, f"measured on {events} planted faults; {LEAST_EVENTS} are needed."
    told = (
        f"measured on {events} planted faults: recall {100 * recall:.0f} %, precision {100 * precision:.0f} %, "
        f"{per_meter_week:.2f} false alarms a meter-week."
    )
    short = []
    if recall < PAGE_RECALL:
        short.append(f"recall below {100 * PAGE_RECALL:.0f} %")
    if precision < PAGE_PRECISION:
        short.append(f"precision below {100 * PAGE_PRECISION:.0f} %")
    if per_meter_week > PAGE_FALSE_ALARMS:
        short.append(f"more than {PAGE_FALSE_ALARMS:g} false alarms a meter-week")
    return (True, told) if not short else (False, f"{told} May not page: {', '.join(short)}.")


def average_precision(scores: Floats, is_fault: Flags) -> float | None:
    """Area under the precision-recall curve (PR-AUC, as average precision); None without both kinds of rows."""
    if not is_fault.any() or is_fault.all():
        return None
    from sklearn.metrics import average_precision_score

    known = np.nan_to_num(scores, nan=np.nanmin(scores) if not np.isnan(scores).all() else 0.0)
    return float(average_precision_score(is_fault, known))
