"""Device commands, each step of which is one transaction and one line of the audit trail.

Belongs here: asking for a command, moving it on, listing. Does not belong here: which step follows which
(domain/control/commands.py), who may ask (serving/api), sending (adapters/mqtt_commands.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from energy_platform.adapters.operations.control_log import LogEntry, add_entry
from energy_platform.adapters.operations.devices import DEVICES, devices_of_site, latched, thrown
from energy_platform.adapters.operations.dialect import insert_into
from energy_platform.adapters.operations.metadata import METADATA
from energy_platform.adapters.operations.store import Operations
from energy_platform.domain.control.commands import OPEN, Command, CommandState, overtake, refuse
from energy_platform.domain.control.devices import Action
from energy_platform.domain.control.guard import Circumstances, refusal
from energy_platform.domain.errors import CommandConflict, DeviceNotFound

DEVICE_COMMANDS = sa.Table(
    "device_commands",
    METADATA,
    sa.Column("command_id", sa.String(64), primary_key=True),
    sa.Column("device_id", sa.String(64), nullable=False, index=True),
    sa.Column("site_id", sa.String(64), nullable=False),
    sa.Column("action", sa.String(10), nullable=False),
    sa.Column("requester", sa.String(200), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("requested_at_utc", sa.DateTime, nullable=False),
    sa.Column("expires_at_utc", sa.DateTime, nullable=False),
    sa.Column("is_shut_off", sa.Boolean, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("sent_at_utc", sa.DateTime),
    sa.Column("tried_at_utc", sa.DateTime),
    sa.Column("ended_at_utc", sa.DateTime),
    sa.Column("detail", sa.Text, nullable=False),
)
# A refused or expired command switched nothing, and a shut-off is not asked for.
_NOT_COUNTED = [CommandState.REFUSED.value, CommandState.EXPIRED.value]


def request_command(operations: Operations, asked: Command, *, now_utc: datetime) -> tuple[Command, bool]:
    """Take a request: it is kept as requested or refused, and older open commands of its device are overtaken.

    Returns:
        The command as it stands, and whether it was known already: then nothing was done again.

    Raises:
        DeviceNotFound: no device has that identifier.
        CommandConflict: the identifier belongs to another switching.
    """
    with operations.engine.begin() as connection:
        # Writing first holds other requests for the device back, so that they are counted one after the other.
        mine = DEVICES.c.device_id == asked.device_id
        touch = sa.update(DEVICES).where(mine).values(device_id=DEVICES.c.device_id)
        if connection.execute(touch).rowcount == 0:
            raise DeviceNotFound(asked.device_id)
        known = _find(connection, asked.command_id)
        if known is None:
            kept = _judge(connection, asked, now_utc)
            insert = insert_into(connection, DEVICE_COMMANDS).values(**_columns(kept)).on_conflict_do_nothing()
            if connection.execute(insert).rowcount == 1:
                _log(connection, kept, now_utc, actor=kept.requester)
                if kept.is_open:
                    _overtake_others(connection, kept, now_utc)
                return kept, False
            known = _find(connection, asked.command_id)
    if known is None or not known.asks_the_same(asked):
        raise CommandConflict(asked.command_id)
    return known, True


def advance(operations: Operations, before: Command, after: Command, *, now_utc: datetime, actor: str) -> bool:
    """Write a command's next step; False when somebody else moved it on meanwhile, and nothing was written."""
    if after == before:
        return True
    with operations.engine.begin() as connection:
        return _write(connection, before, after, now_utc, actor)


def open_commands(operations: Operations) -> list[Command]:
    """The commands of which something can still become, oldest first."""
    query = sa.select(DEVICE_COMMANDS).where(DEVICE_COMMANDS.c.state.in_([state.value for state in OPEN]))
    with operations.engine.connect() as connection:
        return [_command(row) for row in connection.execute(query.order_by(DEVICE_COMMANDS.c.requested_at_utc))]


def find_command(operations: Operations, command_id: str) -> Command | None:
    """One command, or None."""
    with operations.engine.connect() as connection:
        return _find(connection, command_id)


def list_commands(
    operations: Operations,
    *,
    device_id: str | None = None,
    sites: Sequence[str] | None = None,
    before: tuple[datetime, str] | None = None,
    limit: int = 100,
) -> list[Command]:
    """Commands, newest first.

    Args:
        operations: the store.
        device_id: only of this device.
        sites: only of these sites.
        before: only older ones than this request time and identifier, for the next page.
        limit: how many at most.
    """
    table = DEVICE_COMMANDS.c
    query = sa.select(DEVICE_COMMANDS).order_by(table.requested_at_utc.desc(), table.command_id.desc()).limit(limit)
    if device_id is not None:
        query = query.where(table.device_id == device_id)
    if sites is not None:
        query = query.where(table.site_id.in_(sites))
    if before is not None:
        at_utc, command_id = before
        same = sa.and_(table.requested_at_utc == at_utc, table.command_id < command_id)
        query = query.where(sa.or_(table.requested_at_utc < at_utc, same))
    with operations.engine.connect() as connection:
        return [_command(row) for row in connection.execute(query)]


def _judge(connection: sa.Connection, asked: Command, now_utc: datetime) -> Command:
    devices = devices_of_site(connection, asked.site_id)
    device = next((one for one in devices if one.device_id == asked.device_id), None)
    if device is None:
        raise DeviceNotFound(asked.device_id)
    table = DEVICE_COMMANDS.c
    counted = sa.select(table.requested_at_utc).where(
        table.device_id == asked.device_id,
        table.requested_at_utc > now_utc - timedelta(hours=1),
        table.state.not_in(_NOT_COUNTED),
        table.is_shut_off.is_(False),
    )
    found = Circumstances(
        devices=devices,
        killed=thrown(connection),
        latch=latched(connection).get(device.meter_id),
        switched_at_utc=[row.requested_at_utc for row in connection.execute(counted)],
    )
    why = refusal(asked, device, found, now_utc=now_utc)
    return asked if why is None else refuse(asked, why=str(why), now_utc=now_utc)


def _overtake_others(connection: sa.Connection, by: Command, now_utc: datetime) -> None:
    table = DEVICE_COMMANDS.c
    older = sa.select(DEVICE_COMMANDS).where(
        table.device_id == by.device_id,
        table.command_id != by.command_id,
        table.state.in_([state.value for state in OPEN]),
    )
    for other in [_command(row) for row in connection.execute(older)]:
        _write(connection, other, overtake(other, by, now_utc=now_utc), now_utc, by.requester)


def _write(connection: sa.Connection, before: Command, after: Command, now_utc: datetime, actor: str) -> bool:
    table = DEVICE_COMMANDS.c
    as_it_was = sa.and_(
        table.command_id == before.command_id,
        table.state == before.state.value,
        table.attempts == before.attempts,
    )
    changed = sa.update(DEVICE_COMMANDS).where(as_it_was).values(**_columns(after))
    if connection.execute(changed).rowcount == 0:
        return False
    _log(connection, after, now_utc, actor)
    return True


def _log(connection: sa.Connection, command: Command, now_utc: datetime, actor: str) -> None:
    detail = command.detail or f"{command.device_id} {command.action.value}: {command.reason}"
    entry = LogEntry(now_utc, "command", command.command_id, command.site_id, actor, command.state.value, detail)
    add_entry(connection, entry)


def _find(connection: sa.Connection, command_id: str) -> Command | None:
    query = sa.select(DEVICE_COMMANDS).where(DEVICE_COMMANDS.c.command_id == command_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else _command(row)


_FIELDS = tuple(field.name for field in fields(Command))


def _columns(command: Command) -> dict[str, Any]:
    return {name: getattr(command, name) for name in _FIELDS} | {
        "action": command.action.value,
        "state": command.state.value,
    }


def _command(row: sa.Row[Any]) -> Command:
    told = {name: getattr(row, name) for name in _FIELDS}
    return Command(**told | {"action": Action(row.action), "state": CommandState(row.state)})
