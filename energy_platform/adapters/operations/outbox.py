"""The outbox of messages: written with the step that they tell of, sent by whoever leases them, each key once.

Belongs here: the table, leases, what became of a message; a signal's whole transaction. Does not belong here: how a
message is sent (adapters/notify), how long to wait (domain/alerts/delivery.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from energy_platform.adapters.operations.dialect import insert_into
from energy_platform.adapters.operations.episodes import TRIES, EpisodeMoved, open_by_key, past_episode, write_changes
from energy_platform.adapters.operations.metadata import METADATA
from energy_platform.adapters.operations.store import Operations
from energy_platform.domain.alerts.delivery import LEASE, after_failure
from energy_platform.domain.alerts.episodes import Change, advance, episode_key
from energy_platform.domain.alerts.records import Episode, Signal
from energy_platform.domain.alerts.routing import Notice

ALERT_MESSAGES = sa.Table(
    "alert_messages",
    METADATA,
    sa.Column("delivery_key", sa.String(300), primary_key=True),
    sa.Column("channel", sa.String(100), nullable=False),
    # Of one thread a message goes out when those before it have: an alert before its recovery.
    sa.Column("thread", sa.String(300), nullable=False),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("made_at_utc", sa.DateTime, nullable=False),
    sa.Column("due_at_utc", sa.DateTime, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("leased_until_utc", sa.DateTime),
    sa.Column("delivered_at_utc", sa.DateTime),
    sa.Column("failed_at_utc", sa.DateTime),
    sa.Column("problem", sa.Text),
)
MESSAGES_KEPT = timedelta(days=90)
Content = Mapping[str, Any]
Tell = Callable[[Change], Sequence[tuple[Notice, str, Content]]]
"""From a change to its messages: the notice, the kind of message, and what a template is filled with."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the outbox.

    Args:
        delivery_key: unique; of the step (or digest) and the channel.
        channel: name of the channel.
        kind: ``opened``, ``updated``, ``recovered``, ``digest`` or ``test``.
        content: what a template is filled with.
        made_at_utc: when it was written.
        due_at_utc: when it may go out, or be tried again.
        attempts: how often it was tried.
        delivered_at_utc: when the channel took it.
        failed_at_utc: when it was given up.
        problem: of the newest attempt.
    """

    delivery_key: str
    channel: str
    kind: str
    content: Content
    made_at_utc: datetime
    due_at_utc: datetime
    attempts: int
    delivered_at_utc: datetime | None
    failed_at_utc: datetime | None
    problem: str | None


def take_signals(
    operations: Operations,
    signals: Sequence[Signal],
    *,
    tell: Tell,
    now_utc: datetime,
    beside: Callable[[sa.Connection], None] | None = None,
) -> list[Change]:
    """Take signals to their episodes and write these, their steps and their messages, in one transaction.

    Args:
        operations: the store.
        signals: in order of time for each rule and subject.
        tell: who is sent what of a change.
        now_utc: the time on the wall.
        beside: writes more into the same transaction; called again when the transaction is.

    Returns:
        What changed, in order.

    Raises:
        EpisodeMoved: other writers were faster, again and again.
    """
    for attempt in range(TRIES):
        try:
            with operations.engine.begin() as connection:
                if beside is not None:
                    beside(connection)
                changes = _changes(connection, signals, now_utc)
                write_changes(connection, changes, now_utc=now_utc)
                put_messages(connection, [each for change in changes for each in tell(change)], now_utc=now_utc)
        except EpisodeMoved:
            if attempt == TRIES - 1:
                raise
            continue
        return changes
    raise AssertionError("unreachable")


def _changes(connection: sa.Connection, signals: Sequence[Signal], now_utc: datetime) -> list[Change]:
    keys = {episode_key(signal.rule, signal.subject) for signal in signals}
    current: dict[str, Episode] = open_by_key(connection, keys) if keys else {}
    changes: list[Change] = []
    for signal in signals:
        key = episode_key(signal.rule, signal.subject)
        change = advance(current.get(key), signal, now_utc=now_utc)
        if change is not None and change.episode.revision == 1:
            # Samples are delivered again after a crash: those that opened an episode which is over by now open nothing.
            past = past_episode(connection, change.episode.episode_id)
            if past is not None:
                current[key], change = past, None
        if change is not None:
            current[key] = change.episode
            changes.append(change)
    return changes


def put_messages(
    connection: sa.Connection, messages: Iterable[tuple[Notice, str, Content]], *, now_utc: datetime
) -> None:
    """Put messages into the outbox; one that has been there before is left as it is."""
    rows = [
        {
            "delivery_key": notice.delivery_key,
            "channel": notice.channel,
            "thread": notice.thread,
            "place": notice.place,
            "kind": kind,
            "content": json.dumps(dict(content), default=str),
            "made_at_utc": now_utc,
            "due_at_utc": notice.not_before_utc,
            "attempts": 0,
        }
        for notice, kind, content in messages
    ]
    if rows:
        connection.execute(insert_into(connection, ALERT_MESSAGES).on_conflict_do_nothing(), rows)


def lease_due(
    operations: Operations, *, now_utc: datetime, channels: Collection[str], limit: int = 50
) -> list[Message]:
    """Messages that are due and that nobody else is sending; they are the caller's for ``delivery.LEASE``.

    Args:
        operations: the store.
        now_utc: the time on the wall.
        channels: only of these: messages for a channel that is not configured here wait for a process that has it.
        limit: at most so many.
    """
    table = ALERT_MESSAGES
    is_free = sa.or_(table.c.leased_until_utc.is_(None), table.c.leased_until_utc < now_utc)
    is_waiting = sa.and_(
        table.c.delivered_at_utc.is_(None), table.c.failed_at_utc.is_(None), table.c.due_at_utc <= now_utc, is_free
    )
    earlier = table.alias()
    is_behind = (
        sa.select(earlier.c.place)
        .where(earlier.c.thread == table.c.thread, earlier.c.place < table.c.place)
        .where(earlier.c.delivered_at_utc.is_(None), earlier.c.failed_at_utc.is_(None))
        .exists()
    )
    query = sa.select(table).where(is_waiting, ~is_behind, table.c.channel.in_(list(channels)))
    leased: list[Message] = []
    with operations.engine.connect() as connection:
        found = connection.execute(query.order_by(table.c.made_at_utc, table.c.delivery_key).limit(limit)).all()
    for row in found:
        mine = sa.update(table).where(table.c.delivery_key == row.delivery_key, is_waiting)
        with operations.engine.begin() as connection:
            taken = connection.execute(mine.values(leased_until_utc=now_utc + LEASE, attempts=row.attempts + 1))
        if taken.rowcount == 1:
            leased.append(_message(row))
    return leased


def mark_delivered(operations: Operations, delivery_key: str, *, now_utc: datetime) -> None:
    """The channel took it."""
    _set(operations, delivery_key, delivered_at_utc=now_utc, leased_until_utc=None, problem=None)


def mark_failed(operations: Operations, message: Message, *, problem: str, now_utc: datetime) -> datetime | None:
    """The channel did not take it: when it is tried again, or ``None`` when it is given up."""
    retry = after_failure(message.attempts + 1, now_utc=now_utc)
    if retry.next_at_utc is None:
        _set(operations, message.delivery_key, failed_at_utc=now_utc, leased_until_utc=None, problem=problem)
    else:
        _set(operations, message.delivery_key, due_at_utc=retry.next_at_utc, leased_until_utc=None, problem=problem)
    return retry.next_at_utc


def list_messages(operations: Operations, *, is_delivered: bool | None = None, limit: int = 100) -> list[Message]:
    """Messages of the outbox, newest first; delivered ones, the others, or all."""
    table = ALERT_MESSAGES
    query = sa.select(table).order_by(table.c.made_at_utc.desc(), table.c.delivery_key).limit(limit)
    if is_delivered is not None:
        delivered = table.c.delivered_at_utc
        query = query.where(delivered.is_not(None) if is_delivered else delivered.is_(None))
    with operations.engine.connect() as connection:
        return [_message(row) for row in connection.execute(query)]


def forget_messages(operations: Operations, *, now_utc: datetime) -> int:
    """Remove messages that were delivered or given up three months ago; how many they were."""
    table = ALERT_MESSAGES
    old = now_utc - MESSAGES_KEPT
    with operations.engine.begin() as connection:
        over = sa.or_(table.c.delivered_at_utc < old, table.c.failed_at_utc < old)
        return connection.execute(sa.delete(table).where(over)).rowcount


def _set(operations: Operations, delivery_key: str, **values: Any) -> None:
    mine = ALERT_MESSAGES.c.delivery_key == delivery_key
    with operations.engine.begin() as connection:
        connection.execute(sa.update(ALERT_MESSAGES).where(mine).values(**values))


def _message(row: sa.Row[Any]) -> Message:
    return Message(
        row.delivery_key,
        row.channel,
        row.kind,
        json.loads(row.content),
        made_at_utc=row.made_at_utc,
        due_at_utc=row.due_at_utc,
        attempts=row.attempts,
        delivered_at_utc=row.delivered_at_utc,
        failed_at_utc=row.failed_at_utc,
        problem=row.problem,
    )
