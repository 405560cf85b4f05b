"""Faults planted in real days, each kind at several magnitudes, with a label each: what detectors are measured on.

Belongs here: changing ``HOUSEHOLD_DAYS`` and saying where. Does not belong here: faults in single readings
of a simulation (domain/simulation/faults.py, whose words these are), what detectors make of them (records.py).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

import numpy as np
import polars as pl

from energy_platform.domain.anomalies.days import Singles
from energy_platform.domain.anomalies.protocol import HOURS


class DayFault(enum.StrEnum):
    """What goes wrong, and what ``magnitude`` says of it."""

    SPIKE = "spike"  # two hours with this many usual hours added
    STUCK = "stuck"  # this many hours of the same value
    GAP = "gap"  # this many hours without readings
    DRIFT = "drift"  # two weeks that grow to this factor
    NIGHT_LEAK = "night_leak"  # five nights, 0 to 5 h, with this share of a usual hour added
    LEVEL_SHIFT = "level_shift"  # two weeks at this factor
    METER_STOPPED = "meter_stopped"  # this many hours of nothing
    UNIT_X1000 = "unit_x1000"  # a day in the next smaller unit
    SIGN = "sign"  # this many hours with the sign turned


@dataclass(frozen=True, slots=True)
class Variant:
    """One fault at one magnitude, and how many days it lasts."""

    fault: DayFault
    magnitude: float
    days: int


VARIANTS: tuple[Variant, ...] = (
    *(Variant(DayFault.SPIKE, times, 1) for times in (8, 15, 30)),
    *(Variant(DayFault.STUCK, hours, 1) for hours in (6, 12, 24)),
    *(Variant(DayFault.GAP, hours, 1) for hours in (3, 12, 24)),
    *(Variant(DayFault.DRIFT, factor, 14) for factor in (1.5, 2.0)),
    *(Variant(DayFault.NIGHT_LEAK, share, 5) for share in (0.25, 0.5, 1.0)),
    *(Variant(DayFault.LEVEL_SHIFT, factor, 14) for factor in (0.5, 1.5, 2.0)),
    *(Variant(DayFault.METER_STOPPED, hours, max(1, hours // HOURS)) for hours in (6, 12, 48)),
    Variant(DayFault.UNIT_X1000, 1000.0, 1),
    *(Variant(DayFault.SIGN, hours, 1) for hours in (3, 12, 24)),
)
LABELS = pl.Schema(
    {
        "meter_id": pl.String,
        "channel": pl.String,
        "fault": pl.String,
        "magnitude": pl.Float64,
        "first_date": pl.Date,
        "last_date": pl.Date,
    }
)
NIGHT_HOURS = 5
_DECIMALS = 4


@dataclass(frozen=True, slots=True)
class PlantedDays:
    """``HOUSEHOLD_DAYS`` with faults in them, and ``LABELS``: every changed day lies in one, and in a label all do."""

    rows: pl.DataFrame
    labels: pl.DataFrame


def plant_days(
    rows: pl.DataFrame, *, seed: int, every_days: int = 28, variants: Sequence[Variant] = VARIANTS, turn: int = 0
) -> PlantedDays:
    """Plant one fault in each stretch of ``every_days`` days of each meter.

    Args:
        rows: ``HOUSEHOLD_DAYS``, without holes in a meter's days.
        seed: of places and hours.
        every_days: one fault in so many days; shorter rests of a meter's days stay as they are.
        variants: dealt out in turn, so that each is planted equally often.
        turn: where the dealing begins; another turn gives each stretch another fault.
    """
    random = np.random.default_rng([seed, turn])
    ordered = rows.sort("meter_id", "channel", "local_date")
    hours = np.array(ordered["hours_kwh"].to_numpy(), dtype=np.float32, copy=True)
    readings = ordered["readings"].to_numpy().copy()
    expected = ordered["expected_readings"].to_numpy()
    meters = ordered.select(pl.struct("meter_id", "channel").rle_id()).to_series().to_numpy()
    borders = np.flatnonzero(np.diff(meters, prepend=-1, append=meters[-1:] + 1 if len(meters) else []))
    labels: list[tuple[object, ...]] = []
    dealt = turn
    for begin, end in pairwise(borders.tolist()):
        usual = max(float(np.nanmedian(np.nan_to_num(hours[begin:end]).mean(axis=1))), 0.01)
        for first in range(begin, end - every_days + 1, every_days):
            variant = variants[dealt % len(variants)]
            dealt += 1
            start = first + int(random.integers(0, every_days - variant.days + 1))
            place = slice(start, start + variant.days)
            changed = _changed(variant, hours[place], usual, random)
            if changed is None:
                continue
            unknown = np.isnan(changed) & ~np.isnan(hours[place])
            readings[place] = np.maximum(readings[place] - unknown.sum(axis=1) * expected[place] // HOURS, 0)
            hours[place] = changed
            day = ordered["local_date"][start]
            meter, channel = ordered["meter_id"][start], ordered["channel"][start]
            last = day + timedelta(days=variant.days - 1)
            labels.append((meter, channel, variant.fault.value, variant.magnitude, day, last))
    energy = np.where(np.isnan(hours).all(axis=1), np.nan, np.nansum(hours, axis=1)).astype(np.float32)
    made = ordered.with_columns(
        pl.Series("hours_kwh", hours, dtype=pl.Array(pl.Float32, HOURS)),
        pl.Series("readings", readings, dtype=pl.Int32),
        pl.Series("energy_kwh", energy).fill_nan(None),
    )
    return PlantedDays(made, pl.DataFrame(labels, schema=LABELS, orient="row"))


def _changed(variant: Variant, hours_kwh: Singles, usual_kwh: float, random: np.random.Generator) -> Singles | None:
    """The hours of the fault's days, shape (days, 24); None where the fault would change nothing."""
    if np.isnan(hours_kwh).all():
        return None
    made = hours_kwh.copy()
    flat = made.reshape(-1)
    match variant.fault:
        case DayFault.SPIKE:
            begin = int(random.integers(0, HOURS - 1))
            flat[begin : begin + 2] += variant.magnitude * usual_kwh
        case DayFault.DRIFT:
            made *= np.linspace(1.0, variant.magnitude, len(made), dtype=np.float32)[:, None]
        case DayFault.NIGHT_LEAK:
            made[:, :NIGHT_HOURS] += variant.magnitude * usual_kwh
        case DayFault.LEVEL_SHIFT | DayFault.UNIT_X1000:
            made *= variant.magnitude
        case _:
            length = int(variant.magnitude)
            begin = int(random.integers(0, len(flat) - length + 1))
            part = slice(begin, begin + length)
            flat[part] = _stretch(variant.fault, flat, begin, length)
    same = (made == hours_kwh) | (np.isnan(made) & np.isnan(hours_kwh))
    return None if same.all() else np.round(made, _DECIMALS)


def _stretch(fault: DayFault, flat: Singles, begin: int, length: int) -> Singles | float:
    """What a stretch of hours becomes."""
    if fault is DayFault.STUCK:
        before = flat[max(0, begin - 1)]
        return float(before) if before > 0 else float(np.nanmax(flat))
    if fault is DayFault.SIGN:
        return -flat[begin : begin + length]
    return 0.0 if fault is DayFault.METER_STOPPED else float("nan")
