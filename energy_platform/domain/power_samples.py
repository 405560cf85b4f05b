"""Energy per interval from samples of power at uneven times.

What belongs here: integrating power over time with gaps left out. Not here: mean power over a
declared interval (domain/units.py) and cumulative registers (domain/registers.py).

Two samples further apart than ``max_gap_seconds`` say nothing about the time between them: an
outage is not energy. Every interval says how much of it the samples cover.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from energy_platform.domain.errors import QuantityInvalid
from energy_platform.domain.units import POWER_KW_PER_UNIT, parse_unit

METER = ("meter_id", "channel")
FULL_COVERAGE = 1 - 1e-9


@dataclass(frozen=True, slots=True)
class SampleRules:
    """How samples become energy.

    Args:
        unit: of the samples: W, kW or MW (apparent power is refused: it is no energy).
        interval_minutes: length of the intervals; divides the day.
        method: ``hold``: a sample holds until the next; ``trapezoid``: straight line between them.
        max_gap_seconds: samples further apart give no energy.
        min_coverage: an interval covered less than this is missing; more but not all, estimated.

    Raises:
        QuantityInvalid: a rule that makes no sense.
    """

    unit: str = "kW"
    interval_minutes: int = 30
    method: Literal["hold", "trapezoid"] = "trapezoid"
    max_gap_seconds: float = 300.0
    min_coverage: float = 0.9

    def __post_init__(self) -> None:
        if parse_unit(self.unit) not in POWER_KW_PER_UNIT:
            raise QuantityInvalid("unit of power samples", found=self.unit, remedy="Samples are in W, kW or MW.")
        if self.interval_minutes < 1 or 1440 % self.interval_minutes:
            raise QuantityInvalid("interval_minutes", found=self.interval_minutes, remedy="It must divide the day.")
        if self.method not in {"hold", "trapezoid"}:
            raise QuantityInvalid("method", found=self.method, remedy="Choose hold or trapezoid.")
        if not self.max_gap_seconds > 0:
            raise QuantityInvalid("max_gap_seconds", found=self.max_gap_seconds, remedy="It must be above 0.")
        if not 0 < self.min_coverage <= 1:
            raise QuantityInvalid("min_coverage", found=self.min_coverage, remedy="It is a share, above 0 up to 1.")


@dataclass(frozen=True, slots=True)
class SampleEnergy:
    """Intervals, and the samples that were not used with the reason (null_value, repeated_time)."""

    intervals: pl.DataFrame
    set_aside: pl.DataFrame


def energy_from_samples(samples: pl.DataFrame, rules: SampleRules) -> SampleEnergy:
    """Integrate power to energy per interval, from the first sample's interval to the last one's.

    Args:
        samples: meter_id, channel, measured_at_utc (naive UTC), power (in ``rules.unit``, negative
            for export). Any order; of two samples at one instant the later row counts.
        rules: method, limits, interval.

    Returns:
        ``intervals``: meter_id, channel, interval_start_utc, interval_minutes, energy_kwh (null
        when missing), covered_kwh (what the covered part holds, never scaled up), coverage
        (0 to 1), quality (measured, estimated, missing), reason ("", partly_covered, gap).

    Example:
        >>> from datetime import datetime
        >>> times = [datetime(2024, 1, 1, 0, minute) for minute in (0, 1, 2)] + [datetime(2024, 1, 1, 0, 52)]
        >>> frame = pl.DataFrame({"meter_id": "m", "channel": "main", "measured_at_utc": times, "power": 3.0})
        >>> energy_from_samples(frame, SampleRules(interval_minutes=60)).intervals.select(pl.col("covered_kwh").round(6), "quality").rows()
        [(0.1, 'missing')]
    """
    usable, set_aside = _usable(samples)
    factor = POWER_KW_PER_UNIT[parse_unit(rules.unit)]
    pieces = _pieces(_segments(usable, rules, factor), rules.interval_minutes)
    found = pieces.group_by(*METER, "interval_start_utc").agg(
        pl.col("piece_kwh").sum().alias("covered_kwh"), pl.col("piece_us").sum().alias("covered_us")
    )
    grid = _grid(usable, rules.interval_minutes).join(
        found, on=[*METER, "interval_start_utc"], how="left", maintain_order="left"
    )
    coverage = (pl.col("covered_us").fill_null(0) / (rules.interval_minutes * 60_000_000)).clip(0, 1)
    enough = pl.col("coverage") >= rules.min_coverage
    full = pl.col("coverage") >= FULL_COVERAGE
    intervals = grid.with_columns(coverage.alias("coverage"), pl.col("covered_kwh").fill_null(0.0)).with_columns(
        pl.lit(rules.interval_minutes, pl.Int16).alias("interval_minutes"),
        pl.when(enough).then("covered_kwh").alias("energy_kwh"),
        pl.when(full)
        .then(pl.lit("measured"))
        .when(enough)
        .then(pl.lit("estimated"))
        .otherwise(pl.lit("missing"))
        .alias("quality"),
        pl.when(full)
        .then(pl.lit(""))
        .when(enough)
        .then(pl.lit("partly_covered"))
        .otherwise(pl.lit("gap"))
        .alias("reason"),
    )
    order = ["interval_start_utc", "interval_minutes", "energy_kwh", "covered_kwh", "coverage", "quality", "reason"]
    return SampleEnergy(intervals.select(*METER, *order).sort(*METER, "interval_start_utc"), set_aside)


def _usable(samples: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Sorted samples, one an instant, and what had to be left out."""
    typed = samples.select(*METER, pl.col("measured_at_utc").cast(pl.Datetime("us")), pl.col("power").cast(pl.Float64))
    empty = pl.col("power").is_null() | pl.col("power").is_finite().not_() | pl.col("measured_at_utc").is_null()
    repeated = pl.struct(*METER, "measured_at_utc").is_last_distinct().not_()
    filled = typed.filter(empty.not_())
    set_aside = pl.concat(
        [
            typed.filter(empty).with_columns(reason=pl.lit("null_value")),
            filled.filter(repeated).with_columns(reason=pl.lit("repeated_time")),
        ]
    )
    return filled.filter(repeated.not_()).sort(*METER, "measured_at_utc"), set_aside


def _segments(usable: pl.DataFrame, rules: SampleRules, factor: float) -> pl.DataFrame:
    """Stretches between neighbouring samples that are close enough: start, end (µs), power at both (kW)."""
    power_kw = pl.col("power") * factor
    at_us = pl.col("measured_at_utc").dt.epoch("us")
    end_kw = power_kw if rules.method == "hold" else power_kw.shift(-1).over(METER)
    segments = usable.select(
        *METER,
        at_us.alias("from_us"),
        at_us.shift(-1).over(METER).alias("to_us"),
        power_kw.alias("from_kw"),
        end_kw.alias("to_kw"),
    )
    length = pl.col("to_us") - pl.col("from_us")
    return segments.filter(length <= rules.max_gap_seconds * 1_000_000)


def _pieces(segments: pl.DataFrame, interval_minutes: int) -> pl.DataFrame:
    """Segments cut at interval boundaries, each piece with its energy; power is linear along a segment."""
    step = interval_minutes * 60_000_000
    slots = pl.int_ranges(pl.col("from_us") // step, (pl.col("to_us") - 1) // step + 1).alias("slot")
    cut = (
        segments.with_columns(slots)
        .explode("slot", empty_as_null=False, keep_nulls=False)
        .with_columns(
            pl.max_horizontal("from_us", pl.col("slot") * step).alias("piece_from"),
            pl.min_horizontal("to_us", (pl.col("slot") + 1) * step).alias("piece_to"),
        )
    )
    slope = (pl.col("to_kw") - pl.col("from_kw")) / (pl.col("to_us") - pl.col("from_us"))
    middle = (pl.col("piece_from") + pl.col("piece_to")) / 2 - pl.col("from_us")
    piece_us = pl.col("piece_to") - pl.col("piece_from")
    return cut.select(
        *METER,
        pl.from_epoch(pl.col("slot") * step, time_unit="us").alias("interval_start_utc"),
        piece_us.alias("piece_us"),
        ((pl.col("from_kw") + slope * middle) * piece_us / 3_600_000_000).alias("piece_kwh"),
    )


def _grid(usable: pl.DataFrame, interval_minutes: int) -> pl.DataFrame:
    """Every interval from the first sample to the last; the last only if samples reach into it."""
    every = f"{interval_minutes}m"
    first = pl.col("measured_at_utc").min().dt.truncate(every)
    last = (pl.col("measured_at_utc").max() - pl.duration(microseconds=1)).dt.truncate(every)
    spans = usable.group_by(*METER, maintain_order=True).agg(
        first.alias("first"), pl.max_horizontal(first, last).alias("last")
    )
    starts = pl.datetime_ranges("first", "last", every).alias("interval_start_utc")
    return spans.select(*METER, starts).explode("interval_start_utc")
