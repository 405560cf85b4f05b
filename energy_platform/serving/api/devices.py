"""``/v1/devices``, commands and kill switches: seeing, asking, clearing, stopping.

A request only asks: the control process (streaming/control.py) sends, and telemetry says whether it worked. Belongs
here: parameters and answers. Does not belong here: what is allowed (domain/control/guard.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Path, Query, Request, Response

from energy_platform.adapters.operations import Operations
from energy_platform.adapters.operations.commands import find_command, list_commands, request_command
from energy_platform.adapters.operations.devices import clear_latch, get_device, kill_switches, latches, list_devices
from energy_platform.adapters.operations.live import list_live
from energy_platform.domain.access import OPERATORS, READERS
from energy_platform.domain.control.commands import Command, CommandState
from energy_platform.domain.control.devices import Device
from energy_platform.domain.control.guard import Rule, kill_refusal
from energy_platform.domain.errors import CommandConflict, DeviceNotFound
from energy_platform.serving.api.answers import JSON, answered, as_page, read_cursor, read_time_cursor, write_cursor
from energy_platform.serving.api.auth import BEARER, Caller, Gate
from energy_platform.serving.api.models import (
    CommandBody,
    CommandItem,
    Cursor,
    DeviceItem,
    LatchAnswer,
    Limit,
    Name,
    Page,
    ReasonBody,
)
from energy_platform.serving.api.problems import Problem, documented

LIVES = timedelta(minutes=1)
DeviceId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]


@dataclass(frozen=True, slots=True)
class DeviceDesk:
    """What these endpoints work with."""

    gate: Gate
    operations: Operations
    now: Callable[[], datetime]

    def find(self, caller: Caller, device_id: str) -> Device:
        """A device that a caller may see."""
        try:
            device = get_device(self.operations, device_id)
        except DeviceNotFound:
            raise Problem(404, "no such device") from None
        caller.expect_site(device.site_id, what="such device")
        return device

    def describe(self, devices: list[Device]) -> list[dict[str, Any]]:
        """Devices and where they stand."""
        seen = list_live(self.operations, meter_ids={device.meter_id for device in devices})
        now_at = {(channel.meter_id, channel.channel): channel for channel in seen}
        latched, killed = latches(self.operations), kill_switches(self.operations)
        described = []
        for device in devices:
            live, stopped = now_at.get(device.place), kill_refusal(device.site_id, killed)
            standing = {
                "is_on": live.is_on if live else None,
                "last_seen_utc": live.last_seen_utc if live else None,
                "latched": latched[device.meter_id].cause if device.meter_id in latched else None,
                "stopped": stopped.detail if stopped else None,
            }
            declared = device.model_dump(mode="json")
            described.append({name: declared[name] for name in DeviceItem.model_fields if name in declared} | standing)
        return described

    def ask(self, caller: Caller, device: Device, body: CommandBody) -> Response:
        """Ask for a command: 202 when it will be sent, 200 when it was asked for before."""
        now_utc = self.now()
        asked = Command(
            command_id=body.command_id or uuid4().hex,
            device_id=device.device_id,
            site_id=device.site_id,
            action=body.action,
            requester=caller.name,
            reason=body.reason,
            requested_at_utc=now_utc,
            expires_at_utc=_naive(body.expires_at) if body.expires_at else now_utc + LIVES,
        )
        try:
            kept, was_known = request_command(self.operations, asked, now_utc=now_utc)
        except CommandConflict as conflict:
            raise Problem(409, str(conflict), rule="replayed") from None
        except DeviceNotFound:
            raise Problem(404, "no such device") from None
        if kept.state is CommandState.REFUSED and not was_known:
            raise _refused(kept)
        return answered(as_item(kept), 200 if was_known else 202)


def devices_router(desk: DeviceDesk) -> APIRouter:
    """The endpoints of devices."""
    router = APIRouter(prefix="/v1/devices", tags=["devices"], dependencies=[BEARER])

    @router.get("", response_model=Page[DeviceItem], responses=documented(401, 403, 422, 429))
    def devices(
        request: Request,
        site: Annotated[Name | None, Query(description="Only of this site.")] = None,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> Response:
        """Devices and where they stand, in the order of their identifiers."""
        caller = desk.gate.admit(request.headers, READERS)
        after = str(read_cursor(cursor, 1)[0]) if cursor is not None else ""
        found = [
            device
            for device in list_devices(desk.operations, caller.sites.names)
            if device.device_id > after and site in {None, device.site_id}
        ]
        kept = found[:limit]
        place = write_cursor(kept[-1].device_id) if len(found) > limit else None
        return Response(as_page(desk.describe(kept), place), media_type=JSON)

    @router.get("/{device_id}", response_model=DeviceItem, responses=documented(401, 403, 404, 422, 429))
    def device(request: Request, device_id: DeviceId) -> Response:
        """One device and where it stands."""
        caller = desk.gate.admit(request.headers, READERS)
        return answered(desk.describe([desk.find(caller, device_id)])[0])

    @router.get(
        "/{device_id}/commands", response_model=Page[CommandItem], responses=documented(401, 403, 404, 422, 429)
    )
    def commands(request: Request, device_id: DeviceId, cursor: Cursor = None, limit: Limit = 100) -> Response:
        """The commands of a device, newest first."""
        caller = desk.gate.admit(request.headers, READERS)
        desk.find(caller, device_id)
        before = None if cursor is None else _place(cursor)
        found = list_commands(desk.operations, device_id=device_id, before=before, limit=limit + 1)
        kept = found[:limit]
        last = kept[-1] if len(found) > limit else None
        place = write_cursor(last.requested_at_utc.isoformat(), last.command_id) if last else None
        return Response(as_page([as_item(one) for one in kept], place), media_type=JSON)

    repeated = {"model": CommandItem, "description": "It was asked for before; nothing is done again."}
    accepted = {"model": CommandItem, "description": "It is taken; ask for it again to see what became of it."}

    @router.post(
        "/{device_id}/commands",
        status_code=202,
        responses={200: repeated, 202: accepted, **documented(400, 401, 403, 404, 409, 411, 413, 422, 429)},
    )
    def command(request: Request, device_id: DeviceId, body: CommandBody) -> Response:
        """Ask for a switching. It is refused when it is protected, latched, stopped, too late or asked for too often."""
        caller = desk.gate.admit(request.headers, OPERATORS)
        return desk.ask(caller, desk.find(caller, device_id), body)

    @router.post(
        "/{device_id}/clear", response_model=LatchAnswer, responses=documented(400, 401, 403, 404, 411, 413, 422, 429)
    )
    def clear(request: Request, device_id: DeviceId, body: ReasonBody) -> Response:
        """Clear the latch of a meter that was shut off. It stays off until somebody asks for it to be on."""
        caller = desk.gate.admit(request.headers, OPERATORS)
        found = desk.find(caller, device_id)
        was = clear_latch(desk.operations, found, reason=body.reason, actor=caller.name, now_utc=desk.now())
        return answered({"meter_id": found.meter_id, "was_latched": was})

    return router


def commands_router(desk: DeviceDesk) -> APIRouter:
    """The endpoint of one command."""
    router = APIRouter(prefix="/v1/commands", tags=["devices"], dependencies=[BEARER])

    @router.get("/{command_id}", response_model=CommandItem, responses=documented(401, 403, 404, 422, 429))
    def command(request: Request, command_id: DeviceId) -> Response:
        """A command and what became of it."""
        caller = desk.gate.admit(request.headers, READERS)
        found = find_command(desk.operations, command_id)
        if found is None:
            raise Problem(404, "no such command")
        caller.expect_site(found.site_id, what="such command")
        return answered(as_item(found))

    return router


def as_item(command: Command) -> dict[str, Any]:
    """A command as it is answered."""
    return {name: getattr(command, name) for name in CommandItem.model_fields}


def _refused(command: Command) -> Problem:
    rule, _, detail = command.detail.partition(": ")
    if rule == Rule.RATE_LIMIT:
        return Problem(429, detail, headers={"Retry-After": "60"}, rule=rule, command_id=command.command_id)
    return Problem(409, detail, rule=rule, command_id=command.command_id)


def _naive(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise Problem(422, "expires_at needs its zone, such as 2024-06-01T12:00:00Z")
    try:
        return at.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        raise Problem(422, "expires_at is at the end of time; give it within the hour") from None


def _place(cursor: str) -> tuple[datetime, str]:
    at_utc, (command_id,) = read_time_cursor(cursor, 2)
    return at_utc, command_id
