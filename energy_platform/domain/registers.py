"""Cumulative registers to energy per interval: resets, rollovers, meter exchanges, jitter and gaps.

What belongs here: deciding what a step from one register read to the next means. Not here: units
(convert the register to kWh first, domain/units.py) and power samples (domain/power_samples.py).

Each step between neighbouring reads is judged on its own; a step that cannot be energy makes the
interval missing, never zero and never huge. Reads off the grid are used for the steps, so an
exchange between two grid points loses nothing when both its reads were sent. The energy over a
gap is known but not when it was used: it is kept in ``gaps`` and spread only when asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from energy_platform.domain.errors import QuantityInvalid

METER = ("meter_id", "channel")
TOLERANCE_KWH = 1e-9
ROLLOVER_SHARE = 0.1
"""A step may roll over at most this share of the register's range: after a long gap a reset would pass for one."""


@dataclass(frozen=True, slots=True)
class RegisterRules:
    """What is known of a register.

    Args:
        interval_minutes: length of the intervals; divides the day.
        digits: digits before the point; a register of 5 rolls over at 100,000 kWh. None: it never does.
        jitter_seconds: a read this close to the grid stands for the grid point.
        max_power_kw: more than this cannot flow; a larger step is an error, not energy (100 kW is
            above a three-phase domestic supply).
        spread_gaps: whether a gap's energy is spread evenly over its intervals as ``estimated``.

    Raises:
        QuantityInvalid: a rule that makes no sense.
    """

    interval_minutes: int = 30
    digits: int | None = None
    jitter_seconds: float = 30.0
    max_power_kw: float = 100.0
    spread_gaps: bool = False

    def __post_init__(self) -> None:
        if self.interval_minutes < 1 or 1440 % self.interval_minutes:
            raise QuantityInvalid("interval_minutes", found=self.interval_minutes, remedy="It must divide the day.")
        if self.digits is not None and not 3 <= self.digits <= 12:
            raise QuantityInvalid(
                "digits of a register", found=self.digits, remedy="Count those before the point: 3 to 12."
            )
        if not 0 <= self.jitter_seconds <= self.interval_minutes * 30:
            raise QuantityInvalid("jitter_seconds", found=self.jitter_seconds, remedy="At most half the interval.")
        if not self.max_power_kw > 0:
            raise QuantityInvalid("max_power_kw", found=self.max_power_kw, remedy="It must be above 0.")


@dataclass(frozen=True, slots=True)
class RegisterEnergy:
    """What a register's reads come to.

    Attributes:
        intervals: meter_id, channel, interval_start_utc, interval_minutes, energy_kwh (null when
            missing), quality (measured, estimated, missing), reason ("" when nothing happened;
            rollover, meter_exchange, reset, exchange_without_reads, implausible, gap, gap_spread).
        gaps: meter_id, channel, from_utc, to_utc, energy_kwh (null when unknown), reason: stretches
            longer than one interval, each with the energy that is known of it.
        set_aside: the reads that were not used, with a reason (null_value, repeated, conflicting,
            glitch, off_grid).
    """

    intervals: pl.DataFrame
    gaps: pl.DataFrame
    set_aside: pl.DataFrame


def energy_from_registers(reads: pl.DataFrame, rules: RegisterRules) -> RegisterEnergy:
    """Energy per interval between the first and the last read near the grid.

    Args:
        reads: meter_id, channel, read_at_utc (naive UTC), register_kwh and, when meters are
            exchanged, serial (of the meter at that time). Any order.
        rules: what is known of the register.

    Example:
        >>> from datetime import datetime
        >>> times = [datetime(2024, 1, 1, 0, 0, 12), datetime(2024, 1, 1, 0, 29, 55), datetime(2024, 1, 1, 1, 0)]
        >>> reads = pl.DataFrame({"meter_id": "m", "channel": "main", "read_at_utc": times, "register_kwh": [99999.5, 0.25, 1.0]})
        >>> energy_from_registers(reads, RegisterRules(digits=5)).intervals.select("energy_kwh", "reason").rows()
        [(0.75, 'rollover'), (0.75, '')]
    """
    usable, aside = _usable(reads)
    kept, glitches = _without_glitches(usable, rules)
    steps = _steps(kept, rules)
    spans = _spans(_mark_grid(steps, rules))
    off_grid = spans.filter(pl.col("span").is_null() & pl.col("is_boundary").not_())
    aside = pl.concat([aside, glitches, off_grid.select(*_ASIDE, pl.lit("off_grid").alias("reason"))])
    merged = _merge(spans, rules.interval_minutes)
    return RegisterEnergy(_intervals(merged, rules), _gaps(merged), aside.sort(*METER, "read_at_utc"))


_ASIDE = (*METER, "read_at_utc", "register_kwh", "serial")


def _usable(reads: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Typed reads in order of time, one a serial and instant (the last row wins), and the rest."""
    serial = pl.col("serial").cast(pl.String).fill_null("") if "serial" in reads.columns else pl.lit("")
    typed = reads.select(
        *METER,
        pl.col("read_at_utc").cast(pl.Datetime("us")),
        pl.col("register_kwh").cast(pl.Float64),
        serial.alias("serial"),
    )
    empty = (
        pl.col("register_kwh").is_null() | pl.col("register_kwh").is_finite().not_() | pl.col("read_at_utc").is_null()
    )
    filled = typed.filter(empty.not_())
    instant = (*METER, "serial", "read_at_utc")
    same = pl.col("register_kwh") == pl.col("register_kwh").last().over(instant)
    again = filled.with_columns(
        pl.struct(*instant).is_last_distinct().alias("is_last"),
        pl.when(same).then(pl.lit("repeated")).otherwise(pl.lit("conflicting")).alias("reason"),
    )
    aside = pl.concat(
        [
            typed.filter(empty).with_columns(reason=pl.lit("null_value")),
            again.filter(pl.col("is_last").not_()).select(*_ASIDE, "reason"),
        ]
    )
    first_seen = pl.col("read_at_utc").min().over(*METER, "serial").alias("first_seen")
    usable = again.filter("is_last").select(_ASIDE).with_columns(first_seen)
    ordered = usable.sort(*METER, "read_at_utc", "first_seen", maintain_order=True).drop("first_seen")
    return ordered.with_columns(pl.struct(*METER).rle_id().alias("series")), aside


def _beside(column: str, by: int) -> pl.Expr:
    """The value of the row ``by`` before (after, when negative); null beyond the meter and channel.

    A comparison of numbers, where ``.over`` two text columns costs ten times as much.
    """
    return pl.when(pl.col("series").shift(by) == pl.col("series")).then(pl.col(column).shift(by))


def _step(rules: RegisterRules, *, back: int, ahead: int) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """From the read ``back`` before to the one ``ahead``: energy in kWh (null: not energy), rollover, exchange."""
    elapsed = _beside("read_at_utc", -ahead) - _beside("read_at_utc", back)
    seconds = elapsed.dt.total_microseconds() / 1_000_000
    most = rules.max_power_kw * seconds / 3600 + TOLERANCE_KWH
    delta = _beside("register_kwh", -ahead) - _beside("register_kwh", back)
    exchange = _beside("serial", back) != _beside("serial", -ahead)
    most_rolled = pl.lit(ROLLOVER_SHARE * 10.0 ** (rules.digits or 0))
    rolled = delta + 10.0**rules.digits if rules.digits is not None else pl.lit(None, pl.Float64)
    is_rollover = (
        exchange.not_()
        & (delta < -TOLERANCE_KWH)
        & rolled.is_between(0, pl.min_horizontal(most, most_rolled)).fill_null(value=False)
    )
    energy = (
        pl.when(exchange & (seconds == 0))
        .then(0.0)  # old meter's last and new meter's first read
        .when(exchange)
        .then(None)
        .when(is_rollover)
        .then(rolled)
        .when(delta.is_between(-TOLERANCE_KWH, most))
        .then(delta.clip(lower_bound=0.0))
    )
    return energy, is_rollover, exchange


def _without_glitches(usable: pl.DataFrame, rules: RegisterRules) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Take out lone reads that neither neighbour agrees with while the neighbours agree with each other."""
    before, _, changed = _step(rules, back=1, ahead=0)
    after, _, changes = _step(rules, back=0, ahead=1)
    around, _, _ = _step(rules, back=1, ahead=1)
    is_glitch = before.is_null() & after.is_null() & around.is_not_null() & changed.not_() & changes.not_()
    marked = usable.with_columns(is_glitch.fill_null(value=False).alias("is_glitch"))
    glitches = marked.filter("is_glitch").select(*_ASIDE, pl.lit("glitch").alias("reason"))
    return marked.filter(pl.col("is_glitch").not_()).drop("is_glitch"), glitches


def _steps(kept: pl.DataFrame, rules: RegisterRules) -> pl.DataFrame:
    """Each read with the energy since the read before it and what was decided about it."""
    energy, is_rollover, exchange = _step(rules, back=1, ahead=0)
    previous = _beside("register_kwh", 1)
    note = (
        pl.when(previous.is_null())
        .then(pl.lit(""))
        .when(exchange & energy.is_not_null())
        .then(pl.lit("meter_exchange"))
        .when(exchange)
        .then(pl.lit("exchange_without_reads"))
        .when(is_rollover)
        .then(pl.lit("rollover"))
        .when(energy.is_not_null())
        .then(pl.lit(""))
        .when(pl.col("register_kwh") < previous)
        .then(pl.lit("reset"))
        .otherwise(pl.lit("implausible"))
    )
    return kept.with_columns(energy.alias("step_kwh"), note.alias("note"))


def _mark_grid(steps: pl.DataFrame, rules: RegisterRules) -> pl.DataFrame:
    """Which read stands for which grid point: the nearest within the jitter, the later of two equally near."""
    step_us = rules.interval_minutes * 60_000_000
    at_us = pl.col("read_at_utc").dt.epoch("us")
    slot = (at_us + step_us // 2) // step_us
    off_us = (at_us - slot * step_us).abs()
    marked = steps.with_columns(slot.alias("slot"), off_us.alias("off_us"), pl.int_range(pl.len()).alias("row"))
    nearest = (
        marked.filter(pl.col("off_us") <= rules.jitter_seconds * 1_000_000)
        .sort("off_us", "row", descending=[False, True])
        .unique(subset=[*METER, "slot"], keep="first", maintain_order=True)
        .select("row", pl.lit(value=True).alias("is_boundary"))
    )
    return marked.join(nearest, on="row", how="left", maintain_order="left").with_columns(
        pl.col("is_boundary").fill_null(value=False)
    )


def _spans(marked: pl.DataFrame) -> pl.DataFrame:
    """Number the stretches between neighbouring grid reads; null before the first and after the last."""
    boundaries = pl.col("is_boundary").cast(pl.Int64)
    begun = boundaries.cum_sum().over("series") - boundaries
    outside = (begun == 0) | (begun == boundaries.sum().over("series"))
    return marked.with_columns(pl.when(outside).then(None).otherwise(begun).alias("span"))


def _merge(spans: pl.DataFrame, interval_minutes: int) -> pl.DataFrame:
    """One row a stretch: from, to (grid points), energy (null when any step is not energy), decisions."""
    step_us = interval_minutes * 60_000_000
    known = pl.col("step_kwh").is_not_null().all()
    decisions = pl.col("note").filter(pl.col("note") != "")
    bad = decisions.filter(decisions.is_in(["reset", "exchange_without_reads", "implausible"]))
    merged = (
        spans.filter(pl.col("span").is_not_null())
        .group_by(*METER, "span", maintain_order=True)
        .agg(
            pl.col("slot").last().alias("to_slot"),
            pl.when(known).then(pl.col("step_kwh").sum()).alias("energy_kwh"),
            pl.coalesce(bad.first(), decisions.first(), pl.lit("")).alias("reason"),
        )
    )
    first = spans.filter("is_boundary").group_by(*METER, maintain_order=True).agg(pl.col("slot").first().alias("first"))
    started = merged.join(first, on=METER, how="left", maintain_order="left").with_columns(
        pl.coalesce(pl.col("to_slot").shift(1).over(METER), "first").alias("from_slot")
    )
    return started.select(
        *METER,
        "from_slot",
        "to_slot",
        pl.from_epoch(pl.col("from_slot") * step_us, time_unit="us").alias("from_utc"),
        pl.from_epoch(pl.col("to_slot") * step_us, time_unit="us").alias("to_utc"),
        (pl.col("to_slot") - pl.col("from_slot")).alias("count"),
        "energy_kwh",
        "reason",
    )


def _intervals(merged: pl.DataFrame, rules: RegisterRules) -> pl.DataFrame:
    """Stretches as intervals: a longer one is missing, or spread evenly when that is asked for."""
    one = pl.col("count") == 1
    spread = pl.lit(rules.spread_gaps) & one.not_() & pl.col("energy_kwh").is_not_null()
    energy = pl.when(one | spread).then(pl.col("energy_kwh") / pl.col("count"))
    quality = (
        pl.when(energy.is_null())
        .then(pl.lit("missing"))
        .when(spread)
        .then(pl.lit("estimated"))
        .otherwise(pl.lit("measured"))
    )
    reason = (
        pl.when(spread)
        .then(pl.lit("gap_spread"))
        .when(one | pl.col("energy_kwh").is_null())
        .then("reason")
        .otherwise(pl.lit("gap"))
    )
    step_us = rules.interval_minutes * 60_000_000
    rows = merged.with_columns(energy.alias("each"), quality.alias("quality"), reason.alias("why"))
    slots = rows.with_columns(pl.int_ranges("from_slot", "to_slot").alias("slot")).explode("slot")
    return slots.select(
        *METER,
        pl.from_epoch(pl.col("slot") * step_us, time_unit="us").alias("interval_start_utc"),
        pl.lit(rules.interval_minutes, pl.Int16).alias("interval_minutes"),
        pl.col("each").alias("energy_kwh"),
        "quality",
        pl.col("why").alias("reason"),
    ).sort(*METER, "interval_start_utc")


def _gaps(merged: pl.DataFrame) -> pl.DataFrame:
    """The stretches longer than one interval and the energy that is known of each."""
    why = pl.when(pl.col("reason") == "").then(pl.lit("gap")).otherwise("reason").alias("reason")
    return merged.filter(pl.col("count") > 1).select(*METER, "from_utc", "to_utc", "energy_kwh", why)
