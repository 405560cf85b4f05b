"""The audit trail of control: what was asked for, what became of it, who threw or cleared what.

Rows are only ever added: the database itself refuses to change or remove one (``keep_for_good``).
Belongs here: the log. Does not belong here: the state that it tells of (devices.py, commands.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from energy_platform.adapters.operations.metadata import METADATA
from energy_platform.adapters.operations.store import Operations

CONTROL_LOG = sa.Table(
    "control_log",
    METADATA,
    # SQLite numbers a BIGINT key by itself only when it is called INTEGER.
    sa.Column("entry", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("at_utc", sa.DateTime, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("subject", sa.String(300), nullable=False),
    sa.Column("site_id", sa.String(64), nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("became", sa.String(20), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)
_KEPT: Mapping[str, tuple[str, ...]] = {
    "sqlite": tuple(
        f"CREATE TRIGGER IF NOT EXISTS control_log_no_{verb} BEFORE {verb} ON control_log "
        "BEGIN SELECT RAISE(ABORT, 'control_log is append-only'); END"
        for verb in ("update", "delete")
    ),
    "postgresql": (
        (
            "CREATE OR REPLACE FUNCTION control_log_kept() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN RAISE EXCEPTION ''control_log is append-only''; END'"
        ),
        (
            "CREATE OR REPLACE TRIGGER control_log_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON control_log "
            "FOR EACH STATEMENT EXECUTE FUNCTION control_log_kept()"
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of the trail.

    Args:
        at_utc: when.
        kind: ``command``, ``latch``, ``kill_switch``, ``registry``.
        subject: the command's id, the meter, the scope, the device.
        site_id: where; ``*`` is everywhere.
        actor: who or what did it.
        became: the state after it.
        detail: why, in words.
    """

    at_utc: datetime
    kind: str
    subject: str
    site_id: str
    actor: str
    became: str
    detail: str


def keep_for_good(operations: Operations) -> None:
    """Have the database refuse to change or remove what is logged; doing it again changes nothing."""
    with operations.engine.begin() as connection:
        for statement in _KEPT[operations.engine.dialect.name]:
            connection.exec_driver_sql(statement)


def add_entry(connection: sa.Connection, entry: LogEntry) -> None:
    """Log something in the transaction in which it is done."""
    connection.execute(sa.insert(CONTROL_LOG).values(**_columns(entry)))


def log_entries(operations: Operations, *, subject: str | None = None, limit: int = 1_000) -> list[LogEntry]:
    """The newest entries, oldest first; those of one command, meter or scope where one is named."""
    query = sa.select(CONTROL_LOG).order_by(CONTROL_LOG.c.entry.desc()).limit(limit)
    if subject is not None:
        query = query.where(CONTROL_LOG.c.subject == subject)
    with operations.engine.connect() as connection:
        rows = connection.execute(query).all()
    return [
        LogEntry(row.at_utc, row.kind, row.subject, row.site_id, row.actor, row.became, row.detail)
        for row in reversed(rows)
    ]


def _columns(entry: LogEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in LogEntry.__slots__}
