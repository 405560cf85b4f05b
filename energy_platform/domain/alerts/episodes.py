"""The life of an alert, as a state machine without a clock: a signal or a person's word in, the next episode out.

                     breach              acknowledge / snooze
    (nothing) ──────────────▶ open ◀───────────────────────────▶ acknowledged, snoozed
                                │  more severe: updated, told       │ snooze over and still a breach: updated, told
                                └────────────── clear ──────────────┴──────▶ recovered, told

A person is told when an episode opens, when it gets more severe, when a snooze ends on it, and when it recovers;
never because one more sample broke the rule.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from energy_platform.domain.alerts.records import Episode, EpisodeState, Signal, Step, StepKind, Subject


@dataclass(frozen=True, slots=True)
class Change:
    """An episode as it is now, and the step that led here (``None``: only its figures moved)."""

    episode: Episode
    step: Step | None = None


def episode_key(rule: str, subject: Subject) -> str:
    """What an open episode is found by: there is at most one for a rule and a subject."""
    return f"{rule} | {subject.name}"


def episode_id(rule: str, subject: Subject, opened_at_utc: datetime) -> str:
    """The same samples give the same episode, however often they are delivered.

    Example:
        >>> len(episode_id("spike", Subject("m/main"), datetime(2024, 1, 1)))
        16
    """
    text = f"{episode_key(rule, subject)} | {opened_at_utc.isoformat()}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def advance(episode: Episode | None, signal: Signal, *, now_utc: datetime) -> Change | None:
    """What a signal makes of the open episode of its rule and subject.

    A signal that is no newer than the episode's newest breach counts nothing twice: days are looked at again and again.

    Args:
        episode: the one that is open, or ``None``.
        signal: of the same rule and subject.
        now_utc: the time on the wall, which a snooze is held against.

    Returns:
        The change, or ``None`` when there is nothing to change.
    """
    if episode is None or episode.is_over:
        is_told_again = episode is not None and signal.at_utc <= (episode.recovered_at_utc or episode.newest_at_utc)
        return _open(signal) if signal.is_breach and not is_told_again else None
    return _go_on(episode, signal, now_utc) if signal.is_breach else _recover(episode, signal)


def acknowledge(episode: Episode, *, by: str, at_utc: datetime) -> Change | None:
    """Somebody looks after it: nobody else is told of it until it recovers. ``None`` when it is over or so already."""
    if episode.is_over or episode.state is EpisodeState.ACKNOWLEDGED:
        return None
    quiet = replace(episode, state=EpisodeState.ACKNOWLEDGED, acknowledged_by=by, snoozed_until_utc=None)
    return _step(quiet, StepKind.ACKNOWLEDGED, at_utc, by=by, is_told=False)


def snooze(episode: Episode, *, by: str, at_utc: datetime, minutes: float) -> Change | None:
    """Nobody is told for so long; if it still holds then, they are told again. ``None`` when it is over."""
    if episode.is_over or minutes <= 0:
        return None
    until = at_utc + timedelta(minutes=minutes)
    quiet = replace(episode, state=EpisodeState.SNOOZED, snoozed_until_utc=until)
    return _step(quiet, StepKind.SNOOZED, at_utc, by=by, is_told=False)


def _open(signal: Signal) -> Change:
    identifier = episode_id(signal.rule, signal.subject, signal.at_utc)
    episode = Episode(
        episode_id=identifier,
        rule=signal.rule,
        severity=signal.severity,
        subject=signal.subject,
        state=EpisodeState.OPEN,
        title=signal.title,
        text=signal.text,
        value=signal.value,
        worst_value=signal.value,
        limit=signal.limit,
        unit=signal.unit,
        breaches=signal.breaches,
        evidence=dict(signal.evidence),
        link=signal.link,
        opened_at_utc=signal.at_utc,
        newest_at_utc=signal.at_utc,
        step=1,
    )
    return Change(episode, Step(identifier, 1, StepKind.OPENED, signal.at_utc))


def _go_on(episode: Episode, signal: Signal, now_utc: datetime) -> Change | None:
    is_newer = signal.at_utc > episode.newest_at_utc
    is_worse = signal.at_utc >= episode.newest_at_utc and signal.severity.rank > episode.severity.rank
    until = episode.snoozed_until_utc
    snooze_is_over = until is not None and now_utc >= until
    moved = _moved(episode, signal, is_newer=is_newer) if is_newer or is_worse else episode
    if snooze_is_over or (is_worse and until is None):
        awake = replace(moved, state=EpisodeState.OPEN, snoozed_until_utc=None, acknowledged_by=None)
        return _step(awake, StepKind.UPDATED, signal.at_utc)
    return None if moved is episode else Change(replace(moved, revision=episode.revision + 1))


def _moved(episode: Episode, signal: Signal, *, is_newer: bool) -> Episode:
    """The episode with the figures of a breach."""
    return replace(
        episode,
        severity=max(episode.severity, signal.severity, key=lambda severity: severity.rank),
        title=signal.title,
        text=signal.text,
        value=signal.value,
        worst_value=_farther(episode, signal),
        limit=signal.limit,
        unit=signal.unit,
        breaches=episode.breaches + (signal.breaches if is_newer else 0),
        evidence=dict(signal.evidence),
        link=signal.link,
        newest_at_utc=signal.at_utc,
    )


def _recover(episode: Episode, signal: Signal) -> Change | None:
    if signal.at_utc < episode.newest_at_utc:
        return None
    over = replace(episode, state=EpisodeState.RECOVERED, recovered_at_utc=signal.at_utc, snoozed_until_utc=None)
    return _step(over, StepKind.RECOVERED, signal.at_utc)


def _step(episode: Episode, kind: StepKind, at_utc: datetime, *, by: str | None = None, is_told: bool = True) -> Change:
    moved = replace(episode, step=episode.step + 1, revision=episode.revision + 1)
    return Change(moved, Step(moved.episode_id, moved.step, kind, at_utc, by, is_told))


def _farther(episode: Episode, signal: Signal) -> float | None:
    """Of the worst value so far and a new one, the one farther from the limit."""
    values = [value for value in (episode.worst_value, signal.value) if value is not None]
    limit = signal.limit
    if not values or limit is None:
        return signal.value
    return max(values, key=lambda value: abs(value - limit))
