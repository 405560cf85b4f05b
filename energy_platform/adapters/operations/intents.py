"""Replays of intents, so that only one whose effect somebody could see may act; and the days on which one acted.

Belongs here: the two tables. Does not belong here: replaying (domain/intents), acting (streaming/intents.py).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from energy_platform.adapters.operations.dialect import upsert_into
from energy_platform.adapters.operations.metadata import METADATA
from energy_platform.adapters.operations.store import Operations

INTENT_REPLAYS = sa.Table(
    "intent_replays",
    METADATA,
    sa.Column("replay", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("digest", sa.String(16), nullable=False, index=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("first_day", sa.Date, nullable=False),
    sa.Column("last_day", sa.Date, nullable=False),
    sa.Column("generation_id", sa.String(100), nullable=False),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("replayed_at_utc", sa.DateTime, nullable=False),
)

INTENT_DAYS = sa.Table(
    "intent_days",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("digest", sa.String(16), nullable=False),
    sa.Column("expected_kwh", sa.Float, nullable=False),
    sa.Column("target_kwh", sa.Float, nullable=False),
    sa.Column("used_kwh", sa.Float, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("is_over", sa.Boolean, nullable=False),
    sa.Column("updated_at_utc", sa.DateTime, nullable=False),
)


@dataclass(frozen=True, slots=True)
class KnownReplay:
    """A replay that was done.

    Args:
        digest: of the very intent.
        name: of it.
        first_day: replayed from.
        last_day: replayed to.
        generation_id: published generation whose readings it was replayed on.
        summary: figures over all days.
        replayed_at_utc: when.
    """

    digest: str
    name: str
    first_day: date
    last_day: date
    generation_id: str
    summary: dict[str, Any]
    replayed_at_utc: datetime


@dataclass(frozen=True, slots=True)
class IntentDay:
    """A day on which an intent acts or acted.

    Args:
        name: of the intent.
        day: local.
        digest: of the very intent.
        expected_kwh: of its window, from days before: the counterfactual.
        target_kwh: what the window was to stay below.
        used_kwh: in the window, by live load.
        state: what the runner remembers between two turns.
        is_over: the window has passed and every device was given back.
        updated_at_utc: when it was last written.
    """

    name: str
    day: date
    digest: str
    expected_kwh: float
    target_kwh: float
    used_kwh: float
    state: dict[str, Any]
    is_over: bool
    updated_at_utc: datetime

    @property
    def is_met(self) -> bool:
        """Whether the window stayed below its goal."""
        return self.used_kwh <= self.target_kwh


def keep_replay(operations: Operations, replay: KnownReplay) -> None:
    """Remember a replay."""
    row = {name: getattr(replay, name) for name in KnownReplay.__slots__} | {"summary": json.dumps(replay.summary)}
    with operations.engine.begin() as connection:
        connection.execute(sa.insert(INTENT_REPLAYS).values(**row))


def list_replays(operations: Operations, digest: str | None = None) -> list[KnownReplay]:
    """The replays, newest first; those of one very intent where it is named."""
    query = sa.select(INTENT_REPLAYS).order_by(INTENT_REPLAYS.c.replay.desc())
    if digest is not None:
        query = query.where(INTENT_REPLAYS.c.digest == digest)
    with operations.engine.connect() as connection:
        rows = connection.execute(query).all()
    return [
        KnownReplay(
            row.digest,
            row.name,
            row.first_day,
            row.last_day,
            row.generation_id,
            json.loads(row.summary),
            row.replayed_at_utc,
        )
        for row in rows
    ]


def keep_day(operations: Operations, day: IntentDay) -> None:
    """Write a day as it stands."""
    row = {name: getattr(day, name) for name in IntentDay.__slots__} | {"state": json.dumps(day.state)}
    with operations.engine.begin() as connection:
        connection.execute(upsert_into(connection, INTENT_DAYS), row)


def list_days(operations: Operations, name: str | None = None) -> list[IntentDay]:
    """The days of an intent, or of all, newest first."""
    query = sa.select(INTENT_DAYS).order_by(INTENT_DAYS.c.day.desc(), INTENT_DAYS.c.name)
    if name is not None:
        query = query.where(INTENT_DAYS.c.name == name)
    with operations.engine.connect() as connection:
        rows = connection.execute(query).all()
    kept = [{field: getattr(row, field) for field in IntentDay.__slots__} for row in rows]
    return [IntentDay(**one | {"state": json.loads(one["state"])}) for one in kept]
