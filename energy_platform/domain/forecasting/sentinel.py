"""The leakage sentinel: looks at every training for a target that hides among the inputs.

Belongs here: which tests are made on which rows, what a finding says. Does not belong here: least squares
(reconstruction.py), what follows from a finding (promotion.py: the training is refused).

Four tests, each with a fault of a published system that it would have caught (R² 0.9987, and 0 without it):

``future``   everything on and after a day is changed: no input known at that day may change by a bit.
``single``   one input alone gives the target (an hourly mean of the same day).
``disguise`` few inputs together give it (a 7-day mean that includes the day, with the lags; a difference to
             yesterday; a z-score times its spread), or one gives another day that was not over at the cutoff.
``too_good`` errors that are nought nearly everywhere and large on a few days (RMSE/MAE above 4 with R² above
             0.98), or a skill that no forecast of a home has.

Loads without any noise (a formula) are reproduced by honest lags, too, and will be refused: seasonal naive
is as good there. Loads that history alone tells (constant ones) have no surprise and are never suspected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from energy_platform.domain.features import HORIZON_DAYS
from energy_platform.domain.forecasting.reconstruction import (
    Fit,
    Floats,
    Surprise,
    joint_fit,
    looked_at_closely,
    products,
    single_fits,
    single_fits_within,
    smallest_subset,
    surprise,
)

# Rows looked at: enough for any least squares here, and what keeps 250,000 rows × 47 inputs below two seconds.
MAX_ROWS = 12_000
MAX_PRODUCT_ROWS = 1_500
# Multiples of a meter's scale beyond which a row would decide alone: a home that comes back from vacancy.
MAX_RATIO = 30.0
# A meter and a day as one number: days since 1970 stay below a million.
_DAYS = 1_000_000
RMSE_OVER_MAE, NEAR_PERFECT_R2, INCREDIBLE_SKILL = 4.0, 0.98, 0.9


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason to refuse a training.

    Args:
        feature: the input, or inputs joined by a comma; ``forecast`` when it is the outcome that is suspicious.
        test: ``future``, ``single``, ``disguise`` or ``too_good``.
        value: the number that decided: rows changed, R², or the ratio.
        words: the finding in words.
    """

    feature: str
    test: str
    value: float
    words: str


def changed_by_the_future(
    make_rows: Callable[[pl.DataFrame], pl.DataFrame],
    history: pl.DataFrame,
    *,
    day: date,
    targets: Sequence[str] = ("target_kwh",),
) -> list[Finding]:
    """Inputs of ``make_rows`` that change when the days from ``day`` on do.

    Args:
        make_rows: gives the rows of an issuer who stands at the start of ``day``, from a history; the same
            rows in the same order whatever the energies are.
        history: daily rows with local_date and energy_kwh, on both sides of ``day``.
        day: everything on and after it is changed, each day by another amount.
        targets: columns that may change.
    """
    later = pl.col("local_date") >= day
    shift = 1.0 + (pl.col("local_date") - day).dt.total_days() % 5
    changed = history.with_columns(
        energy_kwh=pl.when(later).then(pl.col("energy_kwh") * 3 + shift).otherwise("energy_kwh")
    )
    before, after = make_rows(history), make_rows(changed)
    if before.height != after.height:
        words = f"{before.height} rows became {after.height} when the days from {day} on changed"
        return [Finding("rows", "future", float(abs(before.height - after.height)), words)]
    findings = []
    for name in before.columns:
        rows = 0 if name in targets else int(before[name].ne_missing(after[name]).sum())
        if rows:
            words = f"{name} changes in {rows} of {before.height} rows when only the days from {day} on change"
            findings.append(Finding(name, "future", float(rows), words))
    return findings


def find_leakage(rows: pl.DataFrame, *, features: Sequence[str], target: str = "target_kwh") -> list[Finding]:
    """Inputs that hold the target, alone, together, or of another day to come.

    Args:
        rows: training rows with meter_id, channel, local_date, the target, ``features`` and, where they
            are there, cutoff_date (else each row is issued at the start of its own day) and scale_kwh
            (inputs may be multiples of it).
        features: the model's inputs.
        target: the column to be forecast.
    """
    from threadpoolctl import threadpool_limits

    # The products are small: BLAS threads would wait for each other and burn three times the CPU.
    with threadpool_limits(1, user_api="blas"):
        return _findings(_View.of(rows, features, target))


def _findings(view: _View) -> list[Finding]:
    """One finding an input: what holds the target by itself first, then what does together with others."""
    findings: dict[str, Finding] = {}
    for domain in view.domains:
        for finding in (*_single(view, domain), *_other_days(view, domain)):
            findings.setdefault(finding.feature, finding)
    held = {name for name in findings if name in view.features}
    honest = [position for position, name in enumerate(view.features) if name not in held]
    for domain in view.domains:
        together = _together(view, domain, honest)
        if together is not None:
            findings.setdefault(together.feature, together)
            break
    return list(findings.values())


@dataclass(frozen=True, slots=True)
class _View:
    """A sample of the rows as arrays, with every meter's targets by day to look up."""

    features: list[str]
    columns: Floats
    meter: np.ndarray
    day: np.ndarray
    cutoff: np.ndarray
    scale: Floats
    keys: np.ndarray
    values: Floats

    @classmethod
    def of(cls, rows: pl.DataFrame, features: Sequence[str], target: str) -> _View:
        known = rows.filter(pl.col(target).is_not_null()).with_columns(
            _meter=(pl.struct("meter_id", "channel").rank("dense") - 1).cast(pl.Int64),
            _day=pl.col("local_date").to_physical().cast(pl.Int64),
            _cutoff=(pl.col("cutoff_date") if "cutoff_date" in rows.columns else pl.col("local_date"))
            .to_physical()
            .cast(pl.Int64),
            _scale=pl.col("scale_kwh") if "scale_kwh" in rows.columns else pl.lit(1.0),
        )
        days = (
            known.select(key=pl.col("_meter") * _DAYS + pl.col("_day"), value=pl.col(target)).unique("key").sort("key")
        )
        sample = known.sample(MAX_ROWS, seed=7) if known.height > MAX_ROWS else known
        made = sample.select(pl.col(list(features)).cast(pl.Float64).fill_nan(None))
        told = [name for name in features if made[name].n_unique() > 1]
        filled = made.select(pl.col(told).fill_null(pl.col(told).mean()))
        return cls(
            told,
            filled.to_numpy(),
            sample["_meter"].to_numpy(),
            sample["_day"].to_numpy(),
            sample["_cutoff"].to_numpy(),
            sample["_scale"].cast(pl.Float64).to_numpy(),
            days["key"].to_numpy(),
            days["value"].cast(pl.Float64).to_numpy(),
        )

    @property
    def domains(self) -> tuple[str, ...]:
        """The target as it is, and over the meter's scale where rows carry one."""
        return ("kWh",) if (self.scale == 1.0).all() else ("scaled", "kWh")

    def energy(self, day: np.ndarray) -> Floats:
        """The target of each row's meter on another day; NaN where the rows do not have it."""
        if self.keys.size == 0:
            return np.full(day.shape, np.nan)
        key = self.meter * _DAYS + day
        place = np.minimum(np.searchsorted(self.keys, key), self.keys.size - 1)
        return np.where(self.keys[place] == key, self.values[place], np.nan)

    def surprise(self, day: np.ndarray, known_day: np.ndarray, domain: str) -> tuple[np.ndarray, Surprise]:
        """Rows (as a mask) whose target on ``day`` can be compared with ``known_day`` and a week earlier."""
        unit = self.scale if domain == "scaled" else np.ones_like(self.scale)
        target, last, week = (self.energy(one) / unit for one in (day, known_day, day - 7))
        week = np.where(np.isfinite(week), week, last)
        usable = np.isfinite(target) & np.isfinite(last)
        if domain == "scaled":
            usable &= np.maximum(np.abs(target), np.abs(last)) <= MAX_RATIO
        days = np.column_stack([last, week])[usable]
        return usable, surprise(target[usable], days, self.scale[usable], self.meter[usable])


def _single(view: _View, domain: str) -> Iterator[Finding]:
    """Inputs that give the target of their own row."""
    usable, of = view.surprise(view.day, view.day - 1, domain)
    if of.is_empty:
        return
    columns = view.columns[usable]
    pooled, within = single_fits(columns, of), single_fits_within(columns, of)
    for position, name in enumerate(view.features):
        better = max(pooled[position], within[position], key=lambda fit: fit.r2)
        fit = looked_at_closely(better, columns[:, position], of)
        if fit.is_suspicious:
            yield Finding(name, "single", fit.r2, f"{name} alone gives the target: {_fit_words(fit)}")


def _other_days(view: _View, domain: str) -> Iterator[Finding]:
    """Inputs that give a day which was not over at the cutoff: an offset from the target day, or from the cutoff."""
    offsets = [("target day", view.day, range(-HORIZON_DAYS + 1, HORIZON_DAYS + 1))]
    if (view.cutoff != view.day).any():
        offsets.append(("cutoff", view.cutoff, range(HORIZON_DAYS)))
    for word, base, days in offsets:
        for offset in days:
            day = base + offset
            usable, of = view.surprise(day, view.cutoff - 1, domain)
            unknown = day[usable] >= view.cutoff[usable]
            of = of.rows(unknown)
            if (word == "target day" and offset == 0) or of.is_empty:
                continue
            for name, fit in zip(view.features, single_fits(view.columns[usable][unknown], of), strict=True):
                if fit.is_suspicious:
                    told = f"{name} gives the energy of the {word} {offset:+d} d, which is not over at the cutoff"
                    yield Finding(name, "disguise", fit.r2, f"{told}: {_fit_words(fit)}")


def _together(view: _View, domain: str, honest: list[int]) -> Finding | None:
    """Inputs that give the target only together: as a sum, as a product, or as a product beside a sum."""
    usable, of = view.surprise(view.day, view.day - 1, domain)
    if of.is_empty or not honest:
        return None
    columns = view.columns[usable][:, honest]
    names = [view.features[position] for position in honest]
    fit = joint_fit(columns, of)
    if fit.is_suspicious:
        chosen = [names[position] for position in smallest_subset(columns, of)]
        return _disguise(chosen, "together give the target as a sum", joint_fit(columns, of))
    few = np.arange(len(of.target)) < MAX_PRODUCT_ROWS
    small = of.rows(few)
    if small.is_empty:
        return None
    made, pairs = products(columns[few])
    fits = single_fits(made, small)
    best = max(range(len(pairs)), key=lambda position: fits[position].explained)
    one, other, sign = pairs[best]
    if fits[best].is_suspicious:
        return _disguise(
            [names[one], names[other]], f"give the target as {names[one]} {sign} {names[other]}", fits[best]
        )
    return _product_beside_sum(columns[few], small, names, made, pairs)


def _product_beside_sum(
    columns: Floats, of: Surprise, names: list[str], made: Floats, pairs: list[tuple[int, int, str]]
) -> Finding | None:
    """A z-score hides the target so: z · spread + mean."""
    if len(columns) < 10 * (columns.shape[1] + 2):
        return None
    design = np.column_stack([np.ones(len(columns)), columns])
    left = of.target - design @ np.linalg.lstsq(design, of.target, rcond=None)[0]
    centred = made - made.mean(axis=0)
    score = np.abs(centred.T @ left) / np.maximum(np.sqrt((centred**2).sum(axis=0)), 1e-12)
    for position in np.argsort(score)[-3:]:
        one, other, sign = pairs[position]
        fit = joint_fit(np.column_stack([columns, made[:, position]]), of)
        if fit.is_suspicious:
            return _disguise(
                [names[one], names[other]], f"give the target as {names[one]} {sign} {names[other]} plus a sum", fit
            )
    return None


def _disguise(names: Sequence[str], words: str, fit: Fit) -> Finding:
    feature = ", ".join(names)
    return Finding(feature, "disguise", fit.r2, f"{feature} {words}: {_fit_words(fit)}")


def _fit_words(fit: Fit) -> str:
    told = f"R² {fit.r2:.4f}, {max(fit.explained, 0):.0%} of what history does not tell"
    return f"{told}; {fit.exact_share:.0%} of surprising days come out exactly" if fit.exact_share > 0.1 else told


def too_good(tested: pl.DataFrame, *, actual: str = "target_kwh", naive: str = "naive_kwh") -> list[Finding]:
    """Fingerprints of leakage in the errors of one model's backtest.

    Args:
        tested: rows with meter_id, channel, ``p50_kwh``, the actual and the naive forecast.
        actual: column of what came to pass.
        naive: column of the seasonal naive forecast.
    """
    rows = tested.select("meter_id", "channel", "p50_kwh", actual=actual, naive=naive).drop_nulls()
    if rows.height < 100:
        return []
    meter = ["meter_id", "channel"]
    error = pl.col("actual") - pl.col("p50_kwh")
    figures = rows.select(
        mae=error.abs().mean(),
        rmse=error.pow(2).mean().sqrt(),
        naive_mae=(pl.col("actual") - pl.col("naive")).abs().mean(),
        # Meters differ in size: only what varies within a meter shows whether a forecast knows anything.
        variation=(pl.col("actual") - pl.col("actual").mean().over(meter)).pow(2).mean(),
    ).row(0, named=True)
    if not figures["naive_mae"] or not figures["variation"]:
        return []
    findings = []
    skill = 1 - figures["mae"] / figures["naive_mae"]
    if skill > INCREDIBLE_SKILL:
        words = f"the forecast errs {skill:.1%} less than seasonal naive; honest ones save a tenth to a half"
        findings.append(Finding("forecast", "too_good", skill, words))
    r2 = 1 - figures["rmse"] ** 2 / figures["variation"]
    ratio = figures["rmse"] / figures["mae"] if figures["mae"] else float("inf")
    if r2 > NEAR_PERFECT_R2 and ratio > RMSE_OVER_MAE:
        words = f"RMSE/MAE {ratio:.1f} with R² {r2:.4f} within meters: no error on nearly all days, large ones on a few"
        findings.append(Finding("forecast", "too_good", ratio, words))
    return findings
