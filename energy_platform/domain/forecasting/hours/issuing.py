"""Issue a fleet's next two days at some cutoffs: every forecaster's rows, one of them marked, with the reason.

Belongs here: what is rehearsed, which forecast users get, what a stored row looks like. Does not belong
here: reading readings, writing tables (defs/forecasts/hours.py).

At a cutoff the issues of the twelve weeks before it are looked at, every third day's, each forecast by a fit
that knew only earlier days (rolling.py). From them come the shares of the combination, the bands, and the decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import polars as pl

from energy_platform.domain.columns.hours import FLEET_HOURS
from energy_platform.domain.forecasting.hours import combination
from energy_platform.domain.forecasting.hours.bands import band
from energy_platform.domain.forecasting.hours.fleets import Fleet
from energy_platform.domain.forecasting.hours.local_days import (
    HORIZON_DAYS,
    WEEK,
    Floats,
    LocalDays,
    intervals_ahead,
)
from energy_platform.domain.forecasting.hours.registry import BASELINE, FLAT_LINE, FORECASTERS
from energy_platform.domain.forecasting.hours.rolling import YOUNG_DAYS, outcomes, rolling
from energy_platform.domain.forecasting.hours.skill import Skill, skill

REHEARSED_DAYS = 84
# Two days are ahead of every issue, so those of every third day share none; over three weeks every weekday comes.
REHEARSED_EVERY = 3
# Four weeks of issues: with fewer, neither shares nor skill can be told.
LEAST_REHEARSALS = 9
# Segments come with the stage that makes them; until then a fleet is all meters of a source and commodity.
WHOLE_FLEET = "all"
# After a week without a measured day a fleet is taken for dead.
SILENT_DAYS = 7


@dataclass(frozen=True, slots=True)
class Issue:
    """What a cutoff came to.

    Args:
        cutoff: the day at whose start it was issued.
        rows: ``forecasts.fleet_hours`` without the fleet's names and the moment; none when nothing was issued.
        reason: why this one is issued, or why none is.
        shares: of the combination's members; empty when it could not be made.
    """

    cutoff: date
    rows: pl.DataFrame
    reason: str
    shares: Mapping[str, float]


def issue(known: LocalDays, cutoffs: Sequence[date], *, seed: int, heavy: bool | None = None) -> list[Issue]:
    """Forecasts of one fleet at each cutoff; each knows only the days before it.

    Args:
        known: the fleet's days; may reach beyond a cutoff.
        cutoffs: local days at whose start forecasts are issued.
        seed: of everything that draws.
        heavy: whether forecasters that are fitted anew at every issue take part; None lets them for a fleet
            that has not seen a whole year: what the others learnt of one season says little of the next.
    """
    from threadpoolctl import threadpool_limits

    at = {cutoff: (cutoff - known.first_day).days for cutoff in cutoffs}
    ready = [at[cutoff] for cutoff in cutoffs if _silence(known, at[cutoff]) is None]
    with_heavy = [day for day in ready if (_is_young(day) if heavy is None else heavy)]
    # Threads of BLAS wait for each other on matrices as small as these: 16 CPU seconds for what one does in 6.
    with threadpool_limits(1, user_api="blas"):
        table = _Forecasts.of(known, ready, with_heavy, seed=seed)
    issued = []
    for cutoff in cutoffs:
        silence = _silence(known, at[cutoff])
        issued.append(table.issue(cutoff) if silence is None else Issue(cutoff, pl.DataFrame(), silence, {}))
    return issued


def _is_young(at: int) -> bool:
    """Whether a fleet's seasons are new to the models at an issue."""
    return at < YOUNG_DAYS


def _rehearsals(known: LocalDays, at: int) -> list[int]:
    """Earlier issues whose two days are over at an issue, on fixed days of the calendar."""
    # The two days of the last of them end where the cutoff begins.
    days = range(max(WEEK, at - REHEARSED_DAYS), at - HORIZON_DAYS + 1)
    return [day for day in days if (known.first_day.toordinal() + day) % REHEARSED_EVERY == 0]


def _silence(known: LocalDays, at: int) -> str | None:
    """Why there can be no forecast at all; None when there can."""
    recent = known.is_known[max(0, at - SILENT_DAYS) : at]
    if at > known.days or not recent.any():
        return f"no forecast: no complete day in the {SILENT_DAYS} days before the cutoff"
    if at < WEEK:
        return f"no forecast: {at} days of history, {WEEK} are needed for last week's day"
    return None


@dataclass(frozen=True, slots=True)
class _Forecasts:
    """Medians of every forecaster at a row of issues, and what came to pass.

    Args:
        known: the fleet.
        place: index of an issue in the arrays.
        medians: by forecaster, shape (issues, 2, slots).
        actual: same shape, NaN where it is unknown.
        with_heavy: issues at which heavy forecasters take part.
    """

    known: LocalDays
    place: Mapping[int, int]
    medians: Mapping[str, Floats]
    actual: Floats
    with_heavy: frozenset[int]

    @classmethod
    def of(cls, known: LocalDays, issues: Sequence[int], with_heavy: Sequence[int], *, seed: int) -> _Forecasts:
        """Forecasts of some issues and of those that they are compared on; heavy ones only for ``with_heavy``."""
        needed, needed_heavy = (
            sorted({day for at in days for day in (*_rehearsals(known, at), at)}) for days in (issues, with_heavy)
        )
        place = {day: row for row, day in enumerate(needed)}
        medians = {one.name: rolling(one, known, needed, seed=seed) for one in FORECASTERS if not one.is_heavy}
        for one in FORECASTERS:
            if one.is_heavy and needed_heavy:
                medians[one.name] = np.full((len(needed), HORIZON_DAYS, known.slots), np.nan)
                rows = [place[day] for day in needed_heavy]
                medians[one.name][rows] = rolling(one, known, needed_heavy, seed=seed)
        return cls(known, place, medians, outcomes(known, needed), frozenset(with_heavy))

    def issue(self, cutoff: date) -> Issue:
        """The rows of one cutoff."""
        at = (cutoff - self.known.first_day).days
        taking_part = [one for one in FORECASTERS if at in self.with_heavy or not one.is_heavy]
        here = {one.name: self.medians[one.name][self.place[at]] for one in taking_part}
        here = {name: made for name, made in here.items() if not np.isnan(made).any()}
        rehearsed = _rehearsals(self.known, at)
        # A forecaster that has just become old enough is a member once it has been rehearsed.
        learnt = [one.name for one in taking_part if not one.is_naive and one.name in here]
        members = [name for name in learnt if self._forecasts(name, rehearsed) >= LEAST_REHEARSALS]
        days = [day for day in rehearsed if self._is_comparable(self.place[day], members)]
        past = [self.place[day] for day in days]
        actual = self.actual[past]
        earlier = {name: self.medians[name][past] for name in here}
        shares: dict[str, float] = {}
        if members and len(days) >= LEAST_REHEARSALS:
            power = combination.POWER_YOUNG if _is_young(at) else combination.POWER
            shares = combination.shares({name: earlier[name] for name in members}, actual, power=power)
            earlier[combination.NAME] = combination.combined(earlier, shares)
            here[combination.NAME] = combination.combined(here, shares)
        chosen, is_fallback, reason = _decide(earlier, actual, shares, days)
        if chosen not in here:
            return Issue(cutoff, pl.DataFrame(), f"no forecast: {BASELINE.name} has no complete day a week before.", {})
        known = self.known.first(at)
        rows = _rows(
            {
                name: (*band(median, past_median=earlier[name], past_actual=actual), median)
                for name, median in here.items()
                if name != FLAT_LINE.name
            },
            known,
        )
        is_issued = pl.col("model") == chosen
        rows = rows.with_columns(
            is_issued=is_issued,
            is_fallback=is_issued & is_fallback,
            reason=pl.when(is_issued).then(pl.lit(reason)),
        )
        return Issue(cutoff, rows, reason, shares)

    def _forecasts(self, name: str, days: Sequence[int]) -> int:
        """How many of some issues a forecaster has a forecast for."""
        return sum(not np.isnan(self.medians[name][self.place[day]]).any() for day in days)

    def _is_comparable(self, place: int, members: Sequence[str]) -> bool:
        """Whether an issue has an outcome, and every member a forecast for it."""
        return not np.isnan(self.actual[place]).all() and not any(
            np.isnan(self.medians[name][place]).any() for name in members
        )


def _decide(
    earlier: Mapping[str, Floats], actual: Floats, shares: Mapping[str, float], days: Sequence[int]
) -> tuple[str, bool, str]:
    """Who is issued, whether as a fallback, and why in words.

    Last week's day is easily beaten on noise by whatever averages, so a flat line must be beaten too.

    Args:
        earlier: forecasts of the earlier issues by name.
        actual: what came to pass.
        shares: of the combination; empty when it could not be made.
        days: of the earlier issues.
    """
    if not shares:
        words = f"{len(days)} earlier issues to compare on, {LEAST_REHEARSALS} and a fitted model are needed"
        return BASELINE.name, True, f"{BASELINE.name} is issued: too little history ({words})."
    found = {
        name: skill(earlier[combination.NAME], earlier[name], actual, days) for name in (BASELINE.name, FLAT_LINE.name)
    }
    hardest = min(found, key=lambda name: found[name].reference_mae_kwh)
    if all(one.is_shown for one in found.values()):
        parts = ", ".join(f"{share:.0%} {name}" for name, share in shares.items() if share > 0)
        words = _figures(found[BASELINE.name], BASELINE.name, len(days))
        return combination.NAME, False, f"{combination.NAME} ({parts}) is issued: {words}."
    words = _figures(found[hardest], hardest, len(days))
    return BASELINE.name, False, f"{BASELINE.name} is issued: no skill over naive ({words})."


def _figures(found: Skill, reference: str, issues: int) -> str:
    chance = "" if found.p_value is None else f", p = {found.p_value:.2g}"
    return (
        f"MAE {found.mae_kwh:.4g} kWh a meter against {found.reference_mae_kwh:.4g} kWh of {reference} "
        f"on {issues} earlier issues{chance}"
    )


def _rows(quantiles: Mapping[str, tuple[Floats, Floats, Floats]], known: LocalDays) -> pl.DataFrame:
    """Intervals with their band, of all meters, from one forecaster after the other.

    Args:
        quantiles: low, high and median of the mean meter by forecaster, each of shape (2, slots).
        known: the days before the cutoff.
    """
    meters = known.expected_meters()
    # What has never been fed in will not be.
    floor = min(float(known.kwh_per_meter.min()), 0.0)
    ahead = intervals_ahead(known.cutoff, time_zone=known.time_zone, interval_minutes=known.interval_minutes)
    cell = (ahead["day"].to_numpy(), ahead["slot"].to_numpy())
    values = {
        column: np.concatenate([np.maximum(of[place][cell], floor) * meters for of in quantiles.values()])
        for place, column in enumerate(("p10_kwh", "p90_kwh", "p50_kwh"))
    }
    return pl.concat([ahead] * len(quantiles)).select(
        pl.Series("model", np.repeat(list(quantiles), ahead.height), dtype=pl.String),
        pl.lit(known.cutoff).alias("cutoff_date"),
        "interval_start_utc",
        pl.lit(known.interval_minutes, dtype=pl.Int16).alias("interval_minutes"),
        "lead_hours",
        pl.lit(meters).alias("meters"),
        *(pl.Series(name, values[name]) for name in ("p10_kwh", "p50_kwh", "p90_kwh")),
    )


def stored(made: Iterable[tuple[Fleet, Sequence[Issue]]], *, issued_at_utc: datetime) -> pl.DataFrame:
    """Rows of ``forecasts.fleet_hours``: what was issued for some fleets, with their names and the moment."""
    parts = [
        one.rows.with_columns(source=pl.lit(fleet.source), commodity=pl.lit(fleet.commodity))
        .with_columns(segment=pl.lit(WHOLE_FLEET), issued_at_utc=pl.lit(issued_at_utc))
        .select(FLEET_HOURS.column_names)
        .cast(FLEET_HOURS.polars_schema)
        for fleet, issued in made
        for one in issued
        if one.rows.height
    ]
    return pl.concat([pl.DataFrame(schema=FLEET_HOURS.polars_schema), *parts])
