"""Alert episodes and their steps: found, listed, acknowledged, snoozed, and written with their messages as one.

Belongs here: the tables and their transactions. Does not belong here: what a signal makes of an episode
(domain/alerts/episodes.py), who is told (domain/alerts/routing.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from energy_platform.adapters.operations.dialect import insert_into
from energy_platform.adapters.operations.metadata import METADATA
from energy_platform.adapters.operations.store import Operations
from energy_platform.domain.alerts.episodes import Change, acknowledge, episode_key, snooze
from energy_platform.domain.alerts.records import Episode, EpisodeState, Severity, Step, StepKind, Subject
from energy_platform.domain.errors import EpisodeNotFound

ALERT_EPISODES = sa.Table(
    "alert_episodes",
    METADATA,
    sa.Column("episode_id", sa.String(16), primary_key=True),
    # Null once it is over: of an open rule and subject there is one, of past ones any number.
    sa.Column("open_key", sa.String(600), unique=True),
    sa.Column("rule", sa.String(100), nullable=False),
    sa.Column("severity", sa.String(20), nullable=False),
    sa.Column("subject", sa.String(400), nullable=False),
    sa.Column("site_id", sa.String(200)),
    sa.Column("meter_id", sa.String(200)),
    sa.Column("channel", sa.String(200)),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("value", sa.Float),
    sa.Column("worst_value", sa.Float),
    sa.Column("limit_value", sa.Float),
    sa.Column("unit", sa.String(40), nullable=False),
    sa.Column("breaches", sa.Integer, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("link", sa.Text, nullable=False),
    sa.Column("opened_at_utc", sa.DateTime, nullable=False),
    sa.Column("newest_at_utc", sa.DateTime, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("acknowledged_by", sa.String(200)),
    sa.Column("snoozed_until_utc", sa.DateTime),
    sa.Column("recovered_at_utc", sa.DateTime),
    sa.Column("revision", sa.Integer, nullable=False),
)
ALERT_STEPS = sa.Table(
    "alert_steps",
    METADATA,
    sa.Column("episode_id", sa.String(16), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("at_utc", sa.DateTime, nullable=False),
    sa.Column("said_by", sa.String(200)),
    sa.Column("is_told", sa.Boolean, nullable=False),
    sa.Column("recorded_at_utc", sa.DateTime, nullable=False),
)
TRIES = 5


class EpisodeMoved(Exception):
    """Another writer changed an episode after it was read."""


def list_episodes(
    operations: Operations,
    *,
    states: Collection[EpisodeState] = (),
    site_ids: Collection[str] | None = None,
    rule: str | None = None,
    limit: int = 100,
    before: tuple[datetime, str] | None = None,
) -> list[Episode]:
    """Episodes, newest opening first.

    Args:
        operations: the store.
        states: only these; none given means all.
        site_ids: only of these sites; ``None`` means of all, and of what belongs to no site.
        rule: only of this rule.
        limit: at most so many.
        before: opening time and identifier of the last one of the page before.
    """
    table = ALERT_EPISODES
    query = sa.select(table).order_by(table.c.opened_at_utc.desc(), table.c.episode_id.desc()).limit(limit)
    if states:
        query = query.where(table.c.state.in_([state.value for state in states]))
    if site_ids is not None:
        query = query.where(table.c.site_id.in_(list(site_ids)))
    if rule is not None:
        query = query.where(table.c.rule == rule)
    if before is not None:
        opened_at_utc, identifier = before
        same = sa.and_(table.c.opened_at_utc == opened_at_utc, table.c.episode_id < identifier)
        query = query.where(sa.or_(table.c.opened_at_utc < opened_at_utc, same))
    with operations.engine.connect() as connection:
        return [_episode(row) for row in connection.execute(query)]


def find_episode(operations: Operations, episode_id: str) -> Episode:
    """One episode.

    Raises:
        EpisodeNotFound: there is none of that identifier.
    """
    with operations.engine.connect() as connection:
        return _find(connection, episode_id)


def list_steps(operations: Operations, episode_id: str) -> list[Step]:
    """The steps of one episode, first to last; none when there is no such episode."""
    table = ALERT_STEPS
    with operations.engine.connect() as connection:
        query = sa.select(table).where(table.c.episode_id == episode_id).order_by(table.c.number)
        return [
            Step(row.episode_id, row.number, StepKind(row.kind), row.at_utc, row.said_by, row.is_told)
            for row in connection.execute(query)
        ]


def acknowledge_episode(operations: Operations, episode_id: str, *, by: str, now_utc: datetime) -> Episode:
    """Say that somebody looks after it; again, or when it is over, changes nothing.

    Raises:
        EpisodeNotFound: there is none of that identifier.
    """
    return _by_person(operations, episode_id, now_utc, lambda found: acknowledge(found, by=by, at_utc=now_utc))


def snooze_episode(operations: Operations, episode_id: str, *, by: str, now_utc: datetime, minutes: float) -> Episode:
    """Tell nobody for so long; when it is over, changes nothing.

    Raises:
        EpisodeNotFound: there is none of that identifier.
    """
    return _by_person(
        operations, episode_id, now_utc, lambda found: snooze(found, by=by, at_utc=now_utc, minutes=minutes)
    )


def open_by_key(connection: sa.Connection, keys: Collection[str]) -> dict[str, Episode]:
    """The episodes that are open, by the key of their rule and subject."""
    table, ordered = ALERT_EPISODES, sorted(keys)
    found: dict[str, Episode] = {}
    for start in range(0, len(ordered), 500):
        query = sa.select(table).where(table.c.open_key.in_(ordered[start : start + 500]))
        found |= {row.open_key: _episode(row) for row in connection.execute(query)}
    return found


def past_episode(connection: sa.Connection, episode_id: str) -> Episode | None:
    """The episode of that identifier, also one that is over; None when there was none."""
    row = connection.execute(sa.select(ALERT_EPISODES).where(ALERT_EPISODES.c.episode_id == episode_id)).first()
    return None if row is None else _episode(row)


def write_changes(connection: sa.Connection, changes: Iterable[Change], *, now_utc: datetime) -> None:
    """Write what changed, in the caller's transaction.

    Raises:
        EpisodeMoved: another writer was faster; the caller rolls back, reads again and takes the step again.
    """
    for change in changes:
        episode, row = change.episode, _row(change.episode)
        if episode.revision == 1:
            insert = insert_into(connection, ALERT_EPISODES).values(row).on_conflict_do_nothing()
            written = connection.execute(insert).rowcount
        else:
            mine = sa.and_(
                ALERT_EPISODES.c.episode_id == episode.episode_id,
                ALERT_EPISODES.c.revision == episode.revision - 1,
            )
            written = connection.execute(sa.update(ALERT_EPISODES).where(mine).values(row)).rowcount
        if written != 1:
            raise EpisodeMoved(episode.episode_id)
        if change.step is not None:
            connection.execute(sa.insert(ALERT_STEPS).values(_step_row(change.step, now_utc)))


def _by_person(
    operations: Operations, episode_id: str, now_utc: datetime, turn: Callable[[Episode], Change | None]
) -> Episode:
    for attempt in range(TRIES):
        try:
            with operations.engine.begin() as connection:
                found = _find(connection, episode_id)
                change = turn(found)
                if change is None:
                    return found
                write_changes(connection, [change], now_utc=now_utc)
                return change.episode
        except EpisodeMoved:
            if attempt == TRIES - 1:
                raise
    raise AssertionError("unreachable")


def _find(connection: sa.Connection, episode_id: str) -> Episode:
    found = past_episode(connection, episode_id)
    if found is None:
        raise EpisodeNotFound(episode_id)
    return found


def _row(episode: Episode) -> dict[str, Any]:
    subject = episode.subject
    return {
        "episode_id": episode.episode_id,
        "open_key": None if episode.is_over else episode_key(episode.rule, subject),
        "rule": episode.rule,
        "severity": episode.severity.value,
        "subject": subject.name,
        "site_id": subject.site_id,
        "meter_id": subject.meter_id,
        "channel": subject.channel,
        "state": episode.state.value,
        "title": episode.title,
        "text": episode.text,
        "value": episode.value,
        "worst_value": episode.worst_value,
        "limit_value": episode.limit,
        "unit": episode.unit,
        "breaches": episode.breaches,
        "evidence": json.dumps(dict(episode.evidence)),
        "link": episode.link,
        "opened_at_utc": episode.opened_at_utc,
        "newest_at_utc": episode.newest_at_utc,
        "step": episode.step,
        "acknowledged_by": episode.acknowledged_by,
        "snoozed_until_utc": episode.snoozed_until_utc,
        "recovered_at_utc": episode.recovered_at_utc,
        "revision": episode.revision,
    }


def _episode(row: sa.Row[Any]) -> Episode:
    return Episode(
        episode_id=row.episode_id,
        rule=row.rule,
        severity=Severity(row.severity),
        subject=Subject(row.subject, row.site_id, row.meter_id, row.channel),
        state=EpisodeState(row.state),
        title=row.title,
        text=row.text,
        value=row.value,
        worst_value=row.worst_value,
        limit=row.limit_value,
        unit=row.unit,
        breaches=row.breaches,
        evidence=json.loads(row.evidence),
        link=row.link,
        opened_at_utc=row.opened_at_utc,
        newest_at_utc=row.newest_at_utc,
        step=row.step,
        acknowledged_by=row.acknowledged_by,
        snoozed_until_utc=row.snoozed_until_utc,
        recovered_at_utc=row.recovered_at_utc,
        revision=row.revision,
    )


def _step_row(step: Step, now_utc: datetime) -> dict[str, Any]:
    return {
        "episode_id": step.episode_id,
        "number": step.number,
        "kind": step.kind.value,
        "at_utc": step.at_utc,
        "said_by": step.by,
        "is_told": step.is_told,
        "recorded_at_utc": now_utc,
    }
