"""What a template is filled with: an episode at one of its steps, or the digest of many.

Everything is plain text, number or list, because it waits in the outbox as JSON until it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from energy_platform.domain.alerts.records import Episode, Step, StepKind
from energy_platform.domain.alerts.words import amount, plain

_HEADINGS = {StepKind.OPENED: "", StepKind.UPDATED: "still on: ", StepKind.RECOVERED: "over: "}


def message_content(episode: Episode, step: Step, *, text: str, zone: str, dagster_url: str) -> dict[str, Any]:
    """An episode at one of its steps.

    Args:
        episode: as it is after the step.
        step: what happened.
        text: of the signal that led to the step.
        zone: in which times are told.
        dagster_url: where the Dagster UI is; the links lead there.
    """
    unit = episode.unit
    return {
        "heading": f"[{episode.severity.value}] {_HEADINGS.get(step.kind, '')}{episode.title}",
        "episode_id": episode.episode_id,
        "rule": episode.rule,
        "severity": episode.severity.value,
        "state": episode.state.value,
        "subject": episode.subject.name,
        "site": episode.subject.site_id,
        "title": episode.title,
        "text": text,
        "value": episode.value,
        "limit": episode.limit,
        "unit": unit,
        "value_words": _words(episode.value, unit),
        "worst_words": _words(episode.worst_value, unit),
        "limit_words": "" if episode.limit is None else f"{plain(episode.limit)} {unit}".rstrip(),
        "breaches": episode.breaches,
        "evidence": {name: fact for name, fact in episode.evidence.items() if fact is not None},
        "opened": told(episode.opened_at_utc, zone),
        "happened": f"{step.kind.value} at {told(step.at_utc, zone)}",
        "opened_at_utc": f"{episode.opened_at_utc.isoformat()}Z",
        "at_utc": f"{step.at_utc.isoformat()}Z",
        "url": dagster_url.rstrip("/") + episode.link,
    }


def digest_content(
    open_episodes: Sequence[Episode],
    over_episodes: Sequence[Episode],
    *,
    undelivered: int,
    zone_of: Mapping[str, str],
    zone: str,
    dagster_url: str,
    now_utc: datetime,
) -> dict[str, Any]:
    """What is open and what ended since the last digest; times are told in each site's own zone."""

    def entry(episode: Episode) -> dict[str, Any]:
        where = zone_of.get(episode.subject.site_id or "", zone)
        ended = episode.recovered_at_utc
        return {
            "title": episode.title,
            "text": episode.text,
            "severity": episode.severity.value,
            "state": episode.state.value,
            "opened": told(episode.opened_at_utc, where),
            "recovered": "" if ended is None else told(ended, where),
            "url": dagster_url.rstrip("/") + episode.link,
        }

    day = now_utc.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    return {
        "heading": f"Energy alerts, {day:%A %-d %B %Y}: {len(open_episodes)} open, {len(over_episodes)} over",
        "severity": "info",
        "open": [entry(episode) for episode in open_episodes],
        "over": [entry(episode) for episode in over_episodes],
        "undelivered": undelivered,
    }


def told(at_utc: datetime, zone: str) -> str:
    """A time as people at the site say it.

    Example:
        >>> told(datetime(2024, 7, 1, 11, 30), "Europe/London")
        '2024-07-01 12:30 BST'
    """
    return f"{at_utc.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M %Z}"


def _words(value: float | None, unit: str) -> str:
    return "" if value is None else amount(value, unit)
