"""Devices, kill switches and latches: what control may do at all.

Belongs here: these three tables, each change of which is logged in the same transaction. Does not belong here:
commands (commands.py), what a declaration must say (domain/control/devices.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from energy_platform.adapters.operations.control_log import LogEntry, add_entry
from energy_platform.adapters.operations.dialect import insert_into
from energy_platform.adapters.operations.metadata import METADATA
from energy_platform.adapters.operations.store import Operations
from energy_platform.domain.control.devices import Device, SiteDevices
from energy_platform.domain.control.guard import Latch
from energy_platform.domain.errors import DeclarationInvalid, DeviceNotFound

DEVICES = sa.Table(
    "devices",
    METADATA,
    sa.Column("device_id", sa.String(64), primary_key=True),
    sa.Column("site_id", sa.String(64), nullable=False),
    sa.Column("meter_id", sa.String(200), nullable=False),
    sa.Column("declaration", sa.Text, nullable=False),
    sa.Column("registered_at_utc", sa.DateTime, nullable=False),
)
KILL_SWITCHES = sa.Table(
    "kill_switches",
    METADATA,
    sa.Column("scope", sa.String(64), primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("thrown_by", sa.String(200), nullable=False),
    sa.Column("thrown_at_utc", sa.DateTime, nullable=False),
)
LATCHES = sa.Table(
    "latches",
    METADATA,
    sa.Column("meter_id", sa.String(200), primary_key=True),
    sa.Column("site_id", sa.String(64), nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("opened_at_utc", sa.DateTime, nullable=False),
)


def register_devices(operations: Operations, declared: SiteDevices, *, actor: str, now_utc: datetime) -> list[str]:
    """Make the devices of a site those of a file; gives the identifiers of devices that are no longer there.

    Raises:
        DeclarationInvalid: a device of another site has one of the identifiers.
    """
    with operations.engine.begin() as connection:
        mine = DEVICES.c.site_id == declared.site_id
        names = [device.device_id for device in declared.devices]
        taken = sa.select(DEVICES).where(DEVICES.c.device_id.in_(names), DEVICES.c.site_id != declared.site_id)
        if other := connection.execute(taken).first():
            problem = f"the device '{other.device_id}' belongs to the site '{other.site_id}'"
            raise DeclarationInvalid(f"site {declared.site_id}", problem=problem, remedy="Give it another device_id.")
        known = {row.device_id: row.declaration for row in connection.execute(sa.select(DEVICES).where(mine))}
        connection.execute(sa.delete(DEVICES).where(mine))
        for device in declared.devices:
            said = device.model_dump_json()
            row = {"device_id": device.device_id, "site_id": declared.site_id, "meter_id": device.meter_id}
            connection.execute(sa.insert(DEVICES).values(**row, declaration=said, registered_at_utc=now_utc))
            if known.get(device.device_id) != said:
                add_entry(connection, _entry(now_utc, "registry", device, actor, "registered", said))
        gone = sorted(set(known) - set(names))
        for device_id in gone:
            add_entry(
                connection,
                LogEntry(now_utc, "registry", device_id, declared.site_id, actor, "removed", known[device_id]),
            )
    return gone


def list_devices(operations: Operations, sites: Sequence[str] | None = None) -> list[Device]:
    """Every device in the order of its identifier; those of some sites where they are named."""
    query = sa.select(DEVICES).order_by(DEVICES.c.device_id)
    if sites is not None:
        query = query.where(DEVICES.c.site_id.in_(sites))
    with operations.engine.connect() as connection:
        return [Device.model_validate_json(row.declaration) for row in connection.execute(query)]


def get_device(operations: Operations, device_id: str) -> Device:
    """One device.

    Raises:
        DeviceNotFound: no device has that identifier.
    """
    with operations.engine.connect() as connection:
        row = connection.execute(sa.select(DEVICES).where(DEVICES.c.device_id == device_id)).one_or_none()
    if row is None:
        raise DeviceNotFound(device_id)
    return Device.model_validate_json(row.declaration)


def devices_of_site(connection: sa.Connection, site_id: str) -> list[Device]:
    """The devices of a site, within a transaction."""
    query = sa.select(DEVICES.c.declaration).where(DEVICES.c.site_id == site_id)
    return [Device.model_validate_json(row.declaration) for row in connection.execute(query)]


# --- kill switches


def throw_kill_switch(operations: Operations, scope: str, *, reason: str, actor: str, now_utc: datetime) -> None:
    """Stop all control of a site, or of every site (``*``); throwing it again keeps the first reason."""
    row = {"scope": scope, "reason": reason, "thrown_by": actor, "thrown_at_utc": now_utc}
    with operations.engine.begin() as connection:
        insert = insert_into(connection, KILL_SWITCHES).values(**row).on_conflict_do_nothing()
        if connection.execute(insert).rowcount == 1:
            add_entry(connection, LogEntry(now_utc, "kill_switch", scope, scope, actor, "thrown", reason))


def release_kill_switch(operations: Operations, scope: str, *, reason: str, actor: str, now_utc: datetime) -> bool:
    """Let control of a scope work again; False when its switch was not thrown."""
    with operations.engine.begin() as connection:
        is_released = connection.execute(sa.delete(KILL_SWITCHES).where(KILL_SWITCHES.c.scope == scope)).rowcount == 1
        if is_released:
            add_entry(connection, LogEntry(now_utc, "kill_switch", scope, scope, actor, "released", reason))
    return is_released


def kill_switches(operations: Operations) -> dict[str, str]:
    """The scopes whose switch is thrown, each with its reason."""
    with operations.engine.connect() as connection:
        return thrown(connection)


def thrown(connection: sa.Connection) -> dict[str, str]:
    """``kill_switches``, within a transaction."""
    return {row.scope: row.reason for row in connection.execute(sa.select(KILL_SWITCHES))}


# --- latches


def open_latch(operations: Operations, device: Device, *, cause: str, now_utc: datetime) -> bool:
    """Keep a device's meter off until a person clears it; False when it is latched already."""
    row = {"meter_id": device.meter_id, "site_id": device.site_id, "cause": cause, "opened_at_utc": now_utc}
    with operations.engine.begin() as connection:
        is_new = (
            connection.execute(insert_into(connection, LATCHES).values(**row).on_conflict_do_nothing()).rowcount == 1
        )
        if is_new:
            entry = LogEntry(now_utc, "latch", device.meter_id, device.site_id, "shut-off", "latched", cause)
            add_entry(connection, entry)
    return is_new


def clear_latch(operations: Operations, device: Device, *, reason: str, actor: str, now_utc: datetime) -> bool:
    """Let a meter be switched on again; False when it was not latched. It stays off until it is told."""
    mine = LATCHES.c.meter_id == device.meter_id
    with operations.engine.begin() as connection:
        is_cleared = connection.execute(sa.delete(LATCHES).where(mine)).rowcount == 1
        if is_cleared:
            entry = LogEntry(now_utc, "latch", device.meter_id, device.site_id, actor, "cleared", reason)
            add_entry(connection, entry)
    return is_cleared


def latches(operations: Operations) -> dict[str, Latch]:
    """The open latches by meter."""
    with operations.engine.connect() as connection:
        return latched(connection)


def latched(connection: sa.Connection) -> dict[str, Latch]:
    """``latches``, within a transaction."""
    rows = connection.execute(sa.select(LATCHES))
    return {row.meter_id: Latch(row.meter_id, row.cause, row.opened_at_utc) for row in rows}


def _entry(at_utc: datetime, kind: str, device: Device, actor: str, became: str, detail: str) -> LogEntry:
    return LogEntry(at_utc, kind, device.device_id, device.site_id, actor, became, detail)
