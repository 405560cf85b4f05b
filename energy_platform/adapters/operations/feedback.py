"""What people said of anomalies: real or not, by episode; the last word counts, all words are kept.

Belongs here: the table and its functions. Does not belong here: what a verdict changes (domain/anomalies/episodes.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from energy_platform.adapters.operations.metadata import METADATA
from energy_platform.adapters.operations.store import Operations

ANOMALY_FEEDBACK = sa.Table(
    "anomaly_feedback",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("episode_id", sa.String(40), nullable=False, index=True),
    sa.Column("meter_id", sa.String(200), nullable=False),
    sa.Column("channel", sa.String(200), nullable=False),
    sa.Column("first_date", sa.Date, nullable=False),
    sa.Column("last_date", sa.Date, nullable=False),
    sa.Column("is_real", sa.Boolean, nullable=False),
    sa.Column("said_by", sa.String(200), nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("said_at_utc", sa.DateTime, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What somebody said of an episode.

    Args:
        episode_id: of ``anomalies.episodes``.
        meter_id: of the episode.
        channel: of the episode.
        first_date: of the episode when it was judged.
        last_date: of the episode when it was judged.
        is_real: whether something was the matter.
        said_by: who says so.
        note: in their words; may be empty.
        said_at_utc: when.
    """

    episode_id: str
    meter_id: str
    channel: str
    first_date: date
    last_date: date
    is_real: bool
    said_by: str
    note: str
    said_at_utc: datetime


def acknowledge(operations: Operations, verdict: Verdict) -> None:
    """Write a verdict down beside the earlier ones of its episode."""
    row = {name: getattr(verdict, name) for name in Verdict.__dataclass_fields__}
    with operations.engine.begin() as connection:
        connection.execute(sa.insert(ANOMALY_FEEDBACK).values(**row))


def verdicts(operations: Operations) -> list[Verdict]:
    """The last word on each episode, oldest first."""
    table = ANOMALY_FEEDBACK
    newest = sa.select(sa.func.max(table.c.number)).group_by(table.c.episode_id)
    query = sa.select(table).where(table.c.number.in_(newest)).order_by(table.c.number)
    with operations.engine.connect() as connection:
        return [_verdict(row) for row in connection.execute(query)]


def history(operations: Operations, episode_id: str) -> Sequence[Verdict]:
    """Every word on one episode, oldest first."""
    table = ANOMALY_FEEDBACK
    query = sa.select(table).where(table.c.episode_id == episode_id).order_by(table.c.number)
    with operations.engine.connect() as connection:
        return [_verdict(row) for row in connection.execute(query)]


def _verdict(row: sa.Row[Any]) -> Verdict:
    return Verdict(**{name: getattr(row, name) for name in Verdict.__dataclass_fields__})
