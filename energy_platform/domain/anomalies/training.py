"""Detectors and their severity as they stand at a cutoff: fitted, calibrated and put together on days before it.

The history is cut in two. Detectors fitted on the older part score the newer weeks: as they are for the good
days that calibrate, and with faults planted for the combination. Then they are fitted again on all of it. So no
number is learned from the days it is held against.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil

import numpy as np
import polars as pl

from energy_platform.domain.anomalies.days import Flags, Floats, Numbers, Singles
from energy_platform.domain.anomalies.detectors.level_shift import LevelShift
from energy_platform.domain.anomalies.detectors.outliers import Outliers
from energy_platform.domain.anomalies.detectors.shape import Inputs
from energy_platform.domain.anomalies.history import DayHistory
from energy_platform.domain.anomalies.planting import PlantedDays, plant_days
from energy_platform.domain.anomalies.protocol import Detector, FittedDetector, Grain
from energy_platform.domain.anomalies.records import Examples, alarms_at_limits, record_rows
from energy_platform.domain.anomalies.severity import (
    FALSE_ALARMS_PER_METER_WEEK,
    LEAST_EVENTS,
    Calibration,
    Combination,
    Severity,
    fault_days,
    inputs,
    learn_combination,
    limit_for,
    numbers,
    planted_days,
    scores_of,
    signals_of,
)
from energy_platform.domain.errors import DetectorInput

HISTORY_DAYS = 182
# Two stretches of planting; the rest is what detectors learn from while they are calibrated.
HELD_OUT_DAYS = 56
STRETCH_DAYS = 28
TURNS = 6
FOLDS = 3
FEW = "the strongest detector, as {events} planted faults are too few to learn more"
# Planted faults wanted to learn from; few homes are planted in several worlds.
WANTED_EVENTS, LEAST_TURNS, MOST_TURNS = 240, 3, 6
MOST_METERS = 60
# Meters whose earlier part is learned from, to be calibrated with: models of all meters draw 30,000 days, medians are each
# meter's own. Of 5,566 made-up homes 150, 300, 1,000 and all gave the severity an F1 of 0.88 to 0.89 (one seed).
TAUGHT_METERS = 300
# So long after a shift its level is learned; before, the shift was told and its level is the usual one (severity.py).
ADAPTING_DAYS = 84


def fit_all(
    detectors: Mapping[str, Detector], history: pl.DataFrame
) -> tuple[dict[str, FittedDetector], dict[str, str]]:
    """Every detector that can be fitted, and why the others cannot, by name."""
    fitted: dict[str, FittedDetector] = {}
    refused: dict[str, str] = {}
    known = DayHistory(history)
    shared: tuple[Inputs, Singles] | None = None
    for name, detector in detectors.items():
        try:
            if isinstance(detector, Outliers) and detector.grain is Grain.HOUSEHOLD_DAY:
                shared = shared or Inputs.learn(known, detector.grain, detector.columns, name)
                fitted[name] = detector.fit_matrix(*shared)
            else:
                fitted[name] = detector.fit(known)
        except DetectorInput as error:
            refused[name] = str(error)
    return fitted, refused


def examples_of(fitted: Mapping[str, FittedDetector], rows: pl.DataFrame, *, seed: int, turns: int = TURNS) -> Examples:
    """Score held-out rows as they are and with faults planted.

    Args:
        fitted: on days before those of ``rows``.
        rows: ``HOUSEHOLD_DAYS``; days known to be anomalous are no good days.
        seed: of the planting.
        turns: worlds; each plants another fault in each stretch.
    """
    ordered = rows.sort("meter_id", "channel", "local_date")
    planted = tuple(plant_days(ordered, seed=seed, every_days=STRETCH_DAYS, turn=turn) for turn in range(turns))
    scores = tuple(scores_of(fitted, world.rows) for world in planted)
    good = ordered.filter(~pl.col("is_known_anomalous"))
    return Examples(good, scores_of(fitted, good), planted, scores)


def learn_severity(
    fitted: Mapping[str, FittedDetector],
    examples: Examples,
    *,
    per_meter_week: float = FALSE_ALARMS_PER_METER_WEEK,
) -> Severity:
    """Calibrations, combination and limit from examples.

    Args:
        fitted: the detectors that will be used with them.
        examples: of detectors like these.
        per_meter_week: false alarms allowed.
    """
    calibrations = {name: Calibration.of(numbers(frame)) for name, frame in examples.good.items() if name in fitted}
    names = tuple(calibrations)
    events = sum(world.labels.height for world in examples.planted)
    rows = _labelled(examples, calibrations)
    sure = float(np.log10(examples.keys.height + 1))
    combination = learn_combination(names, rows.matrix, rows.weight, rows.is_fault, sure=sure, events=events)
    good = inputs(signals_of(examples.good, calibrations), names, examples.keys)
    combined = _unseen_scores(names, rows, good, _groups(examples.keys), combination)
    limit = limit_for(combined, examples.keys, per_meter_week=per_meter_week)
    how = f"trees learned on {events} planted faults" if combination.trees is not None else FEW.format(events=events)
    note = f"{how}; calibrated on {examples.keys.height} good held-out days"
    return Severity(dict(fitted), calibrations, combination, Calibration.of(combined), limit, note)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of all worlds, one after the other.

    Args:
        matrix: as ``severity.inputs`` gives it.
        is_fault: whether a fault was planted in the day.
        weight: a fault weighs 1 however long it lasts, and all faults as much as all good days.
        group: rows of one group are learned from or held out together.
    """

    matrix: Floats
    is_fault: Flags
    weight: Floats
    group: Numbers


def _labelled(examples: Examples, calibrations: Mapping[str, Calibration]) -> _Rows:
    """What there is to learn from; the days after a fault are left out."""
    parts: list[tuple[Floats, Flags, Floats, Numbers]] = []
    for world, scores in zip(examples.planted, examples.scores, strict=True):
        is_fault = planted_days(world.rows, world.labels)
        kept = is_fault | ~planted_days(world.rows, world.labels, excused=True)
        kept &= is_fault | ~world.rows["is_known_anomalous"].to_numpy()
        matrix = inputs(signals_of(scores, calibrations), tuple(calibrations), world.rows)
        weight = 1 / fault_days(world.rows, world.labels)
        parts.append((matrix[kept], is_fault[kept], weight[kept], _groups(world.rows)[kept]))
    matrix, is_fault, weight, group = (np.concatenate([part[place] for part in parts]) for place in range(4))
    if is_fault.any():
        weight = np.where(is_fault, weight * (~is_fault).sum() / weight[is_fault].sum(), 1.0)
    return _Rows(matrix, is_fault, weight, group)


def _groups(keys: pl.DataFrame) -> Numbers:
    """Meters in folds; with few meters, stretches of days."""
    meters = keys.select(pl.struct("meter_id", "channel").rank("dense")).to_series().to_numpy()
    if len(meters) and meters.max() >= 2 * FOLDS:
        return meters.astype(np.int64) % FOLDS
    days = keys["local_date"].to_physical().to_numpy().astype(np.int64)
    return (days // 7) % FOLDS


def _unseen_scores(
    names: tuple[str, ...], rows: _Rows, good: Floats, group: Numbers, combination: Combination
) -> Floats:
    """Scores of good days, each by a combination learned without its group."""
    if combination.trees is None:
        return combination.of_matrix(good)
    found = np.empty(len(good))
    for fold in range(FOLDS):
        kept, out = rows.group != fold, group == fold
        learned = learn_combination(
            names,
            rows.matrix[kept],
            rows.weight[kept],
            rows.is_fault[kept],
            sure=combination.sure,
            events=LEAST_EVENTS,
        )
        found[out] = (learned if learned.trees is not None else combination).of_matrix(good[out])
    return found


@dataclass(frozen=True, slots=True)
class Trained:
    """All there is at a cutoff.

    Args:
        severity: fitted detectors, calibrated and put together.
        records: as ``records.record_rows`` gives them: learned on the earlier half of the held-out weeks, judged on the
            later one; no rows where the weeks are too few.
        refused: why detectors are missing, by name.
        meters: meters and channels with good days before the cutoff.
    """

    severity: Severity
    records: pl.DataFrame
    refused: Mapping[str, str]
    meters: int

    def to_bytes(self) -> bytes:
        """The severity with its detectors, as it is kept."""
        return pickle.dumps(self.severity, protocol=5)


def train_detectors(
    detectors: Mapping[str, Detector], days: pl.DataFrame, *, cutoff: date, seed: int, most_meters: int = MOST_METERS
) -> Trained:
    """Fit, calibrate, put together and measure everything as known at a cutoff.

    Args:
        detectors: by name.
        days: ``HOUSEHOLD_DAYS``; those from ``cutoff`` on are not looked at.
        cutoff: the first unknown day.
        seed: of the planting.
        most_meters: meters whose held-out days are scored and planted in; drawn evenly.

    Raises:
        DetectorInput: no detector could be fitted.
    """
    known = since_last_shift(
        days.filter(pl.col("local_date") < cutoff, pl.col("local_date") >= cutoff - timedelta(days=HISTORY_DAYS))
    )
    border = cutoff - timedelta(days=HELD_OUT_DAYS)
    few, many = (_some_meters(known, most) for most in (most_meters, TAUGHT_METERS))
    taught = known.join(pl.concat([few, many]).unique(), on=["meter_id", "channel"], how="semi", maintain_order="left")
    earlier, refused = fit_all(detectors, taught.filter(pl.col("local_date") < border))
    if not earlier:
        told = next(iter(refused.values()), "there is none")
        raise DetectorInput(f"no detector could be fitted on the days before {border}: {told}")
    held_out = known.join(few, on=["meter_id", "channel"], how="semi", maintain_order="left").filter(
        pl.col("local_date") >= border
    )
    examples = examples_of(earlier, held_out, seed=seed, turns=turns_for(held_out.height // STRETCH_DAYS))
    # What could be fitted on less can be fitted on more.
    fitted, _ = fit_all({name: detectors[name] for name in earlier}, known)
    severity = learn_severity({name: fitted[name] for name in earlier if name in fitted}, examples)
    meters = known.select("meter_id", "channel").n_unique()
    return Trained(severity, measure(earlier, examples, border + timedelta(days=STRETCH_DAYS)), refused, meters)


def measure(fitted: Mapping[str, FittedDetector], examples: Examples, border: date) -> pl.DataFrame:
    """Records of detectors on the examples from ``border`` on, with limits and combination of those before it."""
    learned_on, judged = (part_of(examples, border, is_later=side) for side in (False, True))
    if not learned_on.keys.height or not judged.keys.height:
        return pl.DataFrame()
    combined = learn_severity(fitted, learned_on)
    return record_rows(judged, alarms_at_limits(learned_on, judged, combined))


def part_of(examples: Examples, border: date, *, is_later: bool) -> Examples:
    """The examples before a day, or from it on."""

    def kept(frame: pl.DataFrame, column: str = "local_date") -> pl.DataFrame:
        return frame.filter((pl.col(column) >= border) == is_later)

    return Examples(
        kept(examples.keys),
        {name: kept(frame) for name, frame in examples.good.items()},
        tuple(PlantedDays(kept(one.rows), kept(one.labels, "first_date")) for one in examples.planted),
        tuple({name: kept(frame) for name, frame in scores.items()} for scores in examples.scores),
    )


def since_last_shift(known: pl.DataFrame) -> pl.DataFrame:
    """The days of each meter from the last lasting change of its level on, where it is long enough ago to learn from.

    So a home with a new heat pump is held against itself with the heat pump twelve weeks later.
    """
    try:
        scores = LevelShift().fit(known).score(known)
    except DetectorInput:
        return known
    newest = pl.col("local_date").max().over("meter_id", "channel")
    shifts = (
        scores.with_columns(newest=newest)
        .filter(pl.col("is_anomalous"), (pl.col("newest") - pl.col("local_date")).dt.total_days() >= ADAPTING_DAYS)
        .group_by("meter_id", "channel")
        .agg(shifted_on=pl.col("local_date").max())
    )
    marked = known.join(shifts, on=["meter_id", "channel"], how="left", maintain_order="left")
    return marked.filter(pl.col("shifted_on").is_null() | (pl.col("local_date") >= pl.col("shifted_on"))).drop(
        "shifted_on"
    )


def turns_for(stretches: int) -> int:
    """In how many worlds to plant: as many as it takes to learn from; the least where they would still be too few.

    Example:
        >>> turns_for(4), turns_for(24), turns_for(120)
        (3, 6, 3)
    """
    if stretches * MOST_TURNS < LEAST_EVENTS:
        return LEAST_TURNS
    return min(max(ceil(WANTED_EVENTS / stretches), LEAST_TURNS), MOST_TURNS)


def _some_meters(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    """meter_id and channel of at most so many meters, evenly."""
    meters = rows.select("meter_id", "channel").unique().sort("meter_id", "channel")
    return meters[np.linspace(0, meters.height - 1, min(meters.height, most)).astype(np.int64)]
