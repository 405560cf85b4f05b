"""Who is champion: one decision a cutoff, from backtest folds that all candidates share.

Belongs here: the rule, its reasons in words, the rows of ``models.promotions`` and what they say of a past
cutoff. Does not belong here: the paired test (paired.py), leakage (sentinel.py), the alias in the registry
(adapters/registry.py).

The rule. A forecaster becomes champion when it beats the champion on the same rows by more than the noise,
and the best naive forecast by more than ``MIN_SKILL`` and the noise. Trying several challengers is paid for:
each is tested at ``LEVEL`` over their number (Bonferroni). A champion is a way of forecasting, fitted anew
at each cutoff: the new fit takes over from the old without a test, because both cannot be compared on days
that the old one has learnt from. A champion that is not better than naive on the newest folds steps down;
to stay it need not prove again what it proved when it was promoted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime

import polars as pl

from energy_platform.domain.columns.promotions import PROMOTIONS
from energy_platform.domain.errors import EnergyError
from energy_platform.domain.forecasting.forecasters.seasonal_naive import NAME as SEASONAL_NAIVE
from energy_platform.domain.forecasting.paired import LEVEL, MIN_WEEKS, Comparison, compare

# Less than this share of the naive error is not worth a model: it is what a better mean alone may save.
MIN_SKILL = 0.02


class PromotionRefused(EnergyError):
    """A model without skill over naive, or one that is not in the registry, is to be made champion."""


@dataclass(frozen=True, slots=True)
class Seat:
    """The champion: a forecaster, and the version of it in the registry."""

    forecaster: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One row of ``models.promotions``; the fields are its columns."""

    grain: str
    cutoff_date: date
    decided_at_utc: datetime
    verdict: str
    reason: str
    decided_by: str = "training"
    champion_before: str | None = None
    version_before: str | None = None
    champion_after: str | None = None
    version_after: str | None = None
    challenger: str | None = None
    challenger_mae_kwh: float | None = None
    champion_mae_kwh: float | None = None
    naive_mae_kwh: float | None = None
    difference_kwh: float | None = None
    difference_low_kwh: float | None = None
    p_value: float | None = None
    skill: float | None = None
    fold_rows: int = 0
    fold_weeks: int = 0
    fold_meters: int = 0
    first_fold_day: date | None = None
    last_fold_day: date | None = None

    @property
    def champion(self) -> Seat | None:
        """Who is champion now; None when naive is issued."""
        return None if self.champion_after is None else Seat(self.champion_after, self.version_after)


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a training at one cutoff has to offer.

    Args:
        versions: registry version by forecaster, None for one that needs no registry; naive ones left out.
        feature_hash: ``rows.feature_hash`` of the inputs they were trained on.
        leakage: what the sentinel found, in words; any finding refuses all of them.
        naive: the forecasts that a model has to beat, by their names in the folds. On noise the mean of
            some weeks beats last week's day by a quarter, so give a mean beside the seasonal one.
    """

    versions: Mapping[str, str | None]
    feature_hash: str
    leakage: Sequence[str] = ()
    naive: Sequence[str] = (SEASONAL_NAIVE,)


def decide(
    folds: pl.DataFrame,
    candidates: Candidates,
    *,
    grain: str,
    cutoff: date,
    decided_at_utc: datetime,
    seat: Seat | None,
    seat_feature_hash: str | None = None,
) -> Decision:
    """The decision at one cutoff.

    Args:
        folds: rows with ``paired.FOLD_COLUMNS`` of the candidates and the naive forecasts.
        candidates: what was trained at this cutoff.
        grain: what is forecast, such as ``meter-day``.
        cutoff: nothing of this day or later was used.
        decided_at_utc: now.
        seat: the champion before this cutoff (``champion_at``); None when naive was issued.
        seat_feature_hash: the inputs that the champion's version expects; None when not known.
    """
    case = _Case(folds, candidates, grain, cutoff, decided_at_utc, seat)
    if candidates.leakage:
        return case.decision("refused_leakage", seat, f"{_seat_words(seat)}: {'; '.join(candidates.leakage)}")
    if seat is not None and seat_feature_hash not in {None, candidates.feature_hash}:
        refused = (
            f"{seat.forecaster} version {seat.version} expects features {seat_feature_hash}, "
            f"the code makes {candidates.feature_hash}: it is refused"
        )
        return case.without_champion("refused_features", refused)
    if seat is None or seat.forecaster not in candidates.versions:
        gone = "" if seat is None else f"{seat.forecaster} is no longer trained"
        return case.without_champion("no_skill", gone)
    return case.with_champion(seat)


@dataclass(frozen=True, slots=True)
class _Case:
    """What one decision is made on."""

    folds: pl.DataFrame
    candidates: Candidates
    grain: str
    cutoff: date
    decided_at_utc: datetime
    seat: Seat | None

    def with_champion(self, seat: Seat) -> Decision:
        """A champion that can stay is challenged by the best of the others."""
        own = self.against_naive(seat.forecaster)
        if own.skill is not None and own.skill <= 0:
            return self.without_champion(
                "no_skill", f"{seat.forecaster} steps down, no skill over naive: {own.figures}"
            )
        fitted = Seat(seat.forecaster, self.candidates.versions[seat.forecaster])
        others = [name for name in self.candidates.versions if name != seat.forecaster]
        challenger = self.best(others)
        if challenger is None:
            return self.decision(
                "kept", fitted, f"{seat.forecaster} stays: nobody challenges it; {own.figures}", own=own
            )
        duel = compare(self.folds, model=challenger, reference=seat.forecaster)
        skill = self.against_naive(challenger)
        if _beats(duel, len(others)) and _beats(skill, len(others)):
            taken = Seat(challenger, self.candidates.versions[challenger])
            reason = f"{challenger} takes over: {duel.figures}; against naive: {skill.figures}"
            return self.decision("promoted", taken, reason, duel=duel, own=skill)
        reason = f"{seat.forecaster} stays: {challenger} is not better by more than the noise ({duel.figures})"
        if _beats(duel, len(others)):
            reason = f"{seat.forecaster} stays: {challenger} has no skill over naive ({skill.figures})"
        return self.decision("kept", fitted, reason, duel=duel, own=skill)

    def without_champion(self, otherwise: str, why: str) -> Decision:
        """The best candidate has only the naive forecasts to beat; ``otherwise`` is the verdict if it does not."""
        first = f"{why}; " if why else ""
        challenger = self.best(list(self.candidates.versions))
        if challenger is None:
            return self.decision(otherwise, None, f"{first}naive is issued: there is no candidate to compare")
        skill = self.against_naive(challenger)
        if _beats(skill, len(self.candidates.versions)):
            taken = Seat(challenger, self.candidates.versions[challenger])
            return self.decision("promoted", taken, f"{first}{challenger} is champion: {skill.figures}", duel=skill)
        told = skill.figures if skill.p_value is not None else f"{skill.figures}; {MIN_WEEKS} weeks are needed to tell"
        beyond = " beyond the noise" if (skill.skill or 0) > MIN_SKILL else ""
        reason = f"{first}naive is issued: no skill over naive{beyond}; {challenger}: {told}"
        return self.decision(otherwise, None, reason, duel=skill)

    def best(self, names: Sequence[str]) -> str | None:
        """The one with the least MAE; candidates are judged on the rows that all of them share with naive."""
        maes = {name: self.against_naive(name) for name in names}
        known = {
            name: found.mae_kwh / found.reference_mae_kwh
            for name, found in maes.items()
            if found.mae_kwh is not None and found.reference_mae_kwh
        }
        return min(known, key=lambda name: known[name]) if known else None

    def against_naive(self, name: str) -> Comparison:
        """Against the naive forecast with the least error, which must be beaten by ``MIN_SKILL``."""
        found = [compare(self.folds, model=name, reference=naive, margin=MIN_SKILL) for naive in self.candidates.naive]
        return min(found, key=lambda one: float("inf") if one.reference_mae_kwh is None else one.reference_mae_kwh)

    def decision(
        self,
        verdict: str,
        champion: Seat | None,
        reason: str,
        *,
        duel: Comparison | None = None,
        own: Comparison | None = None,
    ) -> Decision:
        """The row, with the figures of the comparison that decided and of the one against naive."""
        naive = own or duel
        challenged = duel is not None and self.seat is not None and duel.reference == self.seat.forecaster
        days = self.folds["local_date"] if self.folds.height else pl.Series([], dtype=pl.Date)
        return Decision(
            self.grain,
            self.cutoff,
            self.decided_at_utc,
            verdict,
            reason,
            champion_before=self.seat.forecaster if self.seat else None,
            version_before=self.seat.version if self.seat else None,
            champion_after=champion.forecaster if champion else None,
            version_after=champion.version if champion else None,
            challenger=duel.model if duel else None,
            challenger_mae_kwh=duel.mae_kwh if duel else None,
            champion_mae_kwh=duel.reference_mae_kwh
            if duel and challenged
            else own.mae_kwh
            if own and not duel
            else None,
            naive_mae_kwh=naive.reference_mae_kwh if naive else None,
            difference_kwh=duel.difference_kwh if duel else None,
            difference_low_kwh=duel.low_kwh if duel else None,
            p_value=duel.p_value if duel else None,
            skill=naive.skill if naive else None,
            fold_rows=naive.rows if naive else 0,
            fold_weeks=naive.weeks if naive else 0,
            fold_meters=naive.meters if naive else 0,
            first_fold_day=days.min(),  # type: ignore[arg-type]
            last_fold_day=days.max(),  # type: ignore[arg-type]
        )


def _beats(found: Comparison, tried: int) -> bool:
    return found.p_value is not None and found.p_value < LEVEL / max(tried, 1)


def _seat_words(seat: Seat | None) -> str:
    return "naive stays" if seat is None else f"{seat.forecaster} version {seat.version} stays"


def by_person(
    verdict: str,
    *,
    grain: str,
    cutoff: date,
    decided_at_utc: datetime,
    before: Seat | None,
    after: Seat | None,
    reason: str,
) -> Decision:
    """The row of a decision that somebody made: ``promoted`` or ``rolled_back``."""
    return Decision(
        grain,
        cutoff,
        decided_at_utc,
        verdict,
        reason,
        decided_by="person",
        champion_before=before.forecaster if before else None,
        version_before=before.version if before else None,
        champion_after=after.forecaster if after else None,
        version_after=after.version if after else None,
    )


def promotion_rows(decisions: Sequence[Decision]) -> pl.DataFrame:
    """Decisions as rows of ``models.promotions``."""
    return pl.DataFrame([asdict(decision) for decision in decisions], schema=PROMOTIONS.polars_schema)


def champion_at(promotions: pl.DataFrame, *, grain: str, before: date) -> Seat | None:
    """The champion by the newest decision of a cutoff before a day; None when naive is issued.

    Training at a cutoff asks ``before=cutoff``; issuing asks ``before=cutoff + 1 day``, so that the decision
    of the same day counts. A backfill of old cutoffs thus sees the champion of its own time.

    Args:
        promotions: rows of ``models.promotions``.
        grain: what is forecast.
        before: the cutoff of the decision lies before it.
    """
    known = promotions.filter((pl.col("grain") == grain) & (pl.col("cutoff_date") < before))
    if known.is_empty():
        return None
    newest = known.sort("cutoff_date", "decided_at_utc").row(-1, named=True)
    return None if newest["champion_after"] is None else Seat(newest["champion_after"], newest["version_after"])
