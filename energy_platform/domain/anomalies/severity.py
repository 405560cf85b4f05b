"""One severity of all detectors: how seldom a good day looks so bad, learned on planted faults.

Each detector's score becomes its *signal*: how few good, held-out days score at least as much (an empirical
p-value, as in conformal prediction), and how far beyond them it lies. The signals of a day and their means over the
last days are put together by gradient-boosted trees that may only rise with each of them, learned on faults planted
in weeks (and for judging: homes) that are not judged. Trees rather than a weighted sum: one detector that is sure
is enough, and several that are uneasy are too (F1 0.77 against 0.54 on the homes that this was chosen on). Trees
end at their last split; what is stranger than any good day counts once more by how much. What comes out is calibrated once more on good days that the trees
had not seen: ``false_alarm_share`` 0.01 means that one good day in a hundred looks so.

Belongs here: calibration, combination, limit, reasons. Does not belong here: the detectors, the measuring (records.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from energy_platform.domain.anomalies.days import Flags, Floats, Numbers
from energy_platform.domain.anomalies.detectors.level_shift import NAME as LEVEL_SHIFT
from energy_platform.domain.anomalies.detectors.level_shift import settled
from energy_platform.domain.anomalies.detectors.outliers import FittedOutliers, score_together
from energy_platform.domain.anomalies.protocol import DAY_KEY, FittedDetector

NAME = "severity"
# What a meter itself does wrong: no new level of use explains it.
METER_FAULTS = ("gap", "flatline", "meter_stopped", "unit_x1000", "sign")
# An alarm is what a meter should give falsely at most every ten weeks.
FALSE_ALARMS_PER_METER_WEEK = 0.1
# Fewer teach trees the homes rather than the faults: on three homes they gave 1.75 false alarms a meter-week.
LEAST_EVENTS = 100
_MOST_SIGNAL = 8.0
# A rule that good days never stir has no spread of its own: half a deviation is its least.
_SMALLEST_REACH = 0.5
# A leak is small every night; a mean over some days tells it from noise. A day that is very strange by itself
# counts no more there than one that is rather strange, or it would raise the alarm for a week.
RECENT_DAYS = (3, 7)
_MOST_RECENT = 1.5
# The end of a fault is a change too: so long after it, but no longer than it lasted, an alarm is neither right nor wrong.
EXCUSED_DAYS = 7
_TREES = 150
_LEAVES = 8


@dataclass(frozen=True, slots=True)
class Calibration:
    """Scores of good days that were not learned from, sorted: what a score is worth."""

    good: Floats

    @classmethod
    def of(cls, scores: Floats) -> Calibration:
        """From scores of good days; NaN (not judged) is left out."""
        return cls(np.sort(scores[~np.isnan(scores)]))

    def share(self, scores: Floats) -> Floats:
        """Share of good days that score at least as much, never 0; NaN where not judged.

        Example:
            >>> Calibration.of(np.arange(99.0)).share(np.array([98.0, 1000.0, 0.0])).tolist()
            [0.02, 0.01, 1.0]
        """
        beyond = len(self.good) - np.searchsorted(self.good, scores, side="left")
        return np.where(np.isnan(scores), np.nan, (1 + beyond) / (len(self.good) + 1))

    def signal(self, scores: Floats, is_anomalous: Flags | None = None) -> Floats:
        """Minus the decimal logarithm of the share, going on beyond the strangest good day; 0 where not judged.

        Args:
            scores: of the detector.
            is_anomalous: where the detector itself calls it so; elsewhere the signal does not go on beyond.
        """
        if not len(self.good):
            return np.zeros(len(scores))
        signal = -np.log10(self.share(scores))
        reach, median = self.good[-1], self.good[len(self.good) // 2]
        beyond = np.maximum(scores - reach, 0) / max(reach - median, _SMALLEST_REACH)
        if is_anomalous is not None:
            beyond = np.where(is_anomalous, beyond, 0)
        found: Floats = np.clip(np.nan_to_num(signal + np.log10(1 + beyond)), 0, _MOST_SIGNAL)
        return found


@dataclass(frozen=True, slots=True)
class Combination:
    """Signals to one score: trees where there were faults to learn from, else the largest signal.

    Args:
        names: of the detectors, in the order of the columns.
        trees: a LightGBM booster; None takes the largest signal.
        sure: a signal beyond it is beyond all good days.
    """

    names: tuple[str, ...]
    trees: Any = None
    sure: float = 0.0

    def score(self, signals: Mapping[str, Floats], keys: pl.DataFrame) -> Floats:
        """Larger is worse; shape (rows,)."""
        return self.of_matrix(inputs(signals, self.names, keys))

    def of_matrix(self, matrix: Floats) -> Floats:
        """The score of what ``inputs`` gives."""
        if not len(matrix):
            return np.empty(0)
        strongest: Floats = matrix[:, : len(self.names)].max(axis=1)
        if self.trees is None:
            return strongest
        odds: Floats = self.trees.predict(matrix, raw_score=True, num_threads=1)
        return odds + np.maximum(strongest - self.sure, 0)

    def gains(self) -> dict[str, float]:
        """Each detector's part in telling faults from good days, 0 to 1; none where nothing was learned."""
        if self.trees is None:
            return {}
        gain = self.trees.feature_importance("gain").reshape(-1, len(self.names)).sum(axis=0)
        return {name: float(part) for name, part in zip(self.names, gain / max(gain.sum(), 1e-9), strict=True)}

    def parts(self, matrix: Floats) -> Floats:
        """How much lower the score would be without each detector, shape (rows, detectors)."""
        whole = self.of_matrix(matrix)
        count = len(self.names)
        found = np.zeros((len(matrix), count))
        for column in range(count):
            without = matrix.copy()
            without[:, column::count] = 0
            found[:, column] = whole - self.of_matrix(without)
        return found


@dataclass(frozen=True, slots=True)
class Severity:
    """Fitted detectors, what their scores are worth, and how they are put together.

    Args:
        detectors: by name.
        calibrations: by name.
        combination: of the signals.
        combined: scores of good days that the combination had not seen.
        limit: beyond it a day is an alarm.
        note: how it was learned.
    """

    detectors: Mapping[str, FittedDetector]
    calibrations: Mapping[str, Calibration]
    combination: Combination
    combined: Calibration
    limit: float
    note: str

    def score(self, rows: pl.DataFrame, since: date | None = None) -> Judged:
        """Judge rows of ``HOUSEHOLD_DAYS``; with the days before them, what lasts is seen better.

        Args:
            rows: to judge, and those before them.
            since: the first day that matters. Of the days before it only those in the means of the last days are judged
                (``recent``), the others serve to find the level.
        """
        kept = recent(rows, since)
        shift = self.detectors.get(LEVEL_SHIFT)
        if shift is None or kept.all():
            return self.judge(scores_of(self.detectors, rows.filter(kept)))
        shifts = shift.score(rows)
        others = {name: detector for name, detector in self.detectors.items() if name != LEVEL_SHIFT}
        scores = scores_of(others, rows.filter(kept)) | {LEVEL_SHIFT: shifts.filter(kept)}
        return self.judge(scores, settled(shifts)[kept.to_numpy()])

    def judge(self, scores: Mapping[str, pl.DataFrame], is_settled: Flags | None = None) -> Judged:
        """Judge what the detectors said of some rows.

        Args:
            scores: by detector.
            is_settled: where a level that was told before is the usual one; None finds it in these rows.
        """
        signals = signals_of(scores, self.calibrations)
        matrix = inputs(signals, self.combination.names, next(iter(scores.values())))
        if LEVEL_SHIFT in scores:
            # After a shift was told, days at the new level are good days; faults of the meter still are faults.
            use = np.array([name not in METER_FAULTS for name in self.combination.names] * (1 + len(RECENT_DAYS)))
            matrix[np.ix_(settled(scores[LEVEL_SHIFT]) if is_settled is None else is_settled, use)] = 0
        combined = self.combination.of_matrix(matrix)
        return Judged(scores, signals, matrix, combined, self.combined.share(combined), combined > self.limit)


@dataclass(frozen=True, slots=True)
class Judged:
    """What was made of rows, in their order.

    Args:
        scores: of each detector.
        signals: of each detector, shape (rows,).
        matrix: what was put together, shape (rows, detectors × (1 + RECENT_DAYS)).
        combined: the score.
        false_alarm_share: share of good days that look at least so bad.
        is_anomalous: whether it is an alarm.
    """

    scores: Mapping[str, pl.DataFrame]
    signals: Mapping[str, Floats]
    matrix: Floats
    combined: Floats
    false_alarm_share: Floats
    is_anomalous: Flags


def recent(rows: pl.DataFrame, since: date | None) -> pl.Series:
    """Which rows the means of the last days need, to judge the days from ``since`` on; all without one."""
    if since is None:
        return pl.Series(np.ones(rows.height, dtype=np.bool_))
    return rows["local_date"] > since - timedelta(days=max(RECENT_DAYS))


def scores_of(detectors: Mapping[str, FittedDetector], rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """What every detector says of some rows; those that share their inputs have them worked out once."""
    sharing: dict[int, dict[str, FittedOutliers]] = {}
    for name, detector in detectors.items():
        if isinstance(detector, FittedOutliers):
            sharing.setdefault(id(detector.inputs), {})[name] = detector
    found = {name: frame for some in sharing.values() for name, frame in score_together(some, rows).items()}
    return {name: found[name] if name in found else detector.score(rows) for name, detector in detectors.items()}


def signals_of(scores: Mapping[str, pl.DataFrame], calibrations: Mapping[str, Calibration]) -> dict[str, Floats]:
    """What every detector's score is worth, by detector; shape (rows,)."""
    return {
        name: calibrations[name].signal(numbers(scores[name]), scores[name]["is_anomalous"].to_numpy())
        for name in calibrations
    }


def numbers(frame: pl.DataFrame) -> Floats:
    """The scores as numbers, NaN where not judged."""
    return frame["score"].fill_null(float("nan")).to_numpy()


def inputs(signals: Mapping[str, Floats], names: Sequence[str], keys: pl.DataFrame) -> Floats:
    """Signals, and their means over the last days of the meter; shape (rows, names × (1 + RECENT_DAYS)).

    Args:
        signals: by detector, in the order of ``keys``.
        names: the order of the columns.
        keys: meter_id, channel, local_date of the rows.
    """
    order = keys.select(DAY_KEY).with_row_index("row").sort("meter_id", "channel", "local_date")
    rows = order["row"].to_numpy()
    now = np.stack([signals[name] for name in names], axis=1)[rows] if len(rows) else np.empty((0, len(names)))
    nth = _nth_of_meter(order)
    total, parts = np.minimum(now, _MOST_RECENT), [now]
    # Day after day rather than by differences of a running sum, so that a mean does not depend, in its last digit and at a
    # tree's split, on how many days stand before it.
    for lag in range(1, max(RECENT_DAYS)):
        if lag in RECENT_DAYS:
            parts.append(total / lag)
        total[lag:] += np.where((nth >= lag)[lag:, None], np.minimum(now[:-lag], _MOST_RECENT), 0)
    parts.append(total / max(RECENT_DAYS))
    found = np.empty((len(rows), len(names) * len(parts)))
    found[rows] = np.concatenate(parts, axis=1)
    return found


def _nth_of_meter(ordered: pl.DataFrame) -> Numbers:
    """How many rows of its meter stand before each row."""
    number = ordered.select(pl.struct("meter_id", "channel").rle_id()).to_series().to_numpy()
    found: Numbers = np.arange(len(number)) - np.searchsorted(number, number)
    return found


def learn_combination(
    names: Sequence[str], matrix: Floats, weight: Floats, is_fault: Flags, *, sure: float, events: int
) -> Combination:
    """Trees that tell planted days from good ones.

    Args:
        names: of the detectors.
        matrix: as ``inputs`` gives it.
        weight: of each row.
        is_fault: whether a fault was planted in it.
        sure: the signal that all good days stay below.
        events: how many faults the planted days are of.

    Returns:
        With less than ``LEAST_EVENTS`` faults: the largest signal, nothing learned.
    """
    if events < LEAST_EVENTS or is_fault.all() or not is_fault.any():
        return Combination(tuple(names))
    import lightgbm

    options = {
        "objective": "binary",
        "learning_rate": 0.1,
        "num_leaves": _LEAVES,
        "min_data_in_leaf": 10,
        "lambda_l2": 1.0,
        "monotone_constraints": [1] * matrix.shape[1],
        "max_bin": 63,
        "num_threads": 1,
        "deterministic": True,
        "seed": 0,
        "verbose": -1,
    }
    rows = lightgbm.Dataset(matrix, is_fault.astype(np.float32), weight=weight, params=options)
    return Combination(tuple(names), lightgbm.train(options, rows, _TREES), sure)


def limit_for(scores: Floats, keys: pl.DataFrame, *, per_meter_week: float = FALSE_ALARMS_PER_METER_WEEK) -> float:
    """The lowest score beyond which good days give at most so many alarms a meter-week.

    Days in a row are one alarm, as they are for whoever is told.

    Args:
        scores: of good days; NaN is never an alarm.
        keys: their meter_id, channel, local_date.
        per_meter_week: alarms allowed.
    """
    if not len(scores):
        return float("inf")
    allowed = per_meter_week * len(scores) / 7
    order = keys.with_row_index("row").sort("meter_id", "channel", "local_date")
    ordered = np.nan_to_num(scores[order["row"].to_numpy()], nan=-np.inf)
    follows = follows_on(order)
    candidates = np.unique(ordered[np.isfinite(ordered)])
    low, high = 0, len(candidates)
    while low < high:  # the fewest alarms are beyond the largest score: none
        middle = (low + high) // 2
        if starts(ordered > candidates[middle], follows).sum() <= allowed:
            high = middle
        else:
            low = middle + 1
    return float(candidates[low]) if low < len(candidates) else float("inf")


def follows_on(ordered: pl.DataFrame) -> Flags:
    """Whether each row is the day after the row before, of the same meter; rows in order."""
    found = ordered.select(
        (
            (pl.col("meter_id") == pl.col("meter_id").shift())
            & (pl.col("channel") == pl.col("channel").shift())
            & ((pl.col("local_date") - pl.col("local_date").shift()) == pl.duration(days=1))
        ).fill_null(value=False)
    )
    return found.to_series().to_numpy()


def starts(flags: Flags, follows: Flags) -> Flags:
    """Where runs of flagged days begin."""
    before = np.concatenate([[False], flags[:-1]]) & follows
    found: Flags = flags & ~before
    return found


def planted_days(keys: pl.DataFrame, labels: pl.DataFrame, *, excused: bool = False) -> Flags:
    """Which rows lie in a label, and if ``excused`` also the days after one; in the rows' order."""
    if labels.is_empty():
        return np.zeros(keys.height, dtype=np.bool_)
    length = (pl.col("last_date") - pl.col("first_date")).dt.total_days() + 1
    after = pl.min_horizontal(length, EXCUSED_DAYS) if excused else pl.lit(0)
    days = labels.select(
        "meter_id",
        "channel",
        local_date=pl.date_ranges("first_date", pl.col("last_date") + pl.duration(days=after)),
    ).explode("local_date")
    found = keys.select(DAY_KEY).join(
        days.unique().with_columns(is_planted=pl.lit(value=True)), on=list(DAY_KEY), how="left", maintain_order="left"
    )
    return found["is_planted"].fill_null(value=False).to_numpy()


def fault_days(keys: pl.DataFrame, labels: pl.DataFrame) -> Floats:
    """How many days the fault lasts that a row lies in; 1 outside any."""
    days = labels.select(
        "meter_id",
        "channel",
        length=(pl.col("last_date") - pl.col("first_date")).dt.total_days() + 1,
        local_date=pl.date_ranges("first_date", "last_date"),
    ).explode("local_date")
    found = keys.select(DAY_KEY).join(days, on=list(DAY_KEY), how="left", maintain_order="left")
    return found["length"].fill_null(1).cast(pl.Float64).to_numpy()
