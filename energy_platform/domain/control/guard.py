"""Whether a switching that somebody asks for is allowed; the answer is a reason, or none.

Belongs here: the order of the rules and their words. Does not belong here: roles and sites of keys
(domain/access.py, serving/api), what becomes of an allowed command (commands.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from energy_platform.domain.control.commands import LONGEST_LIFE, Command
from energy_platform.domain.control.devices import Action, Device, fed_by

EVERYWHERE = "*"
"""Scope of the kill switch that stops all sites."""


class Rule(StrEnum):
    """Why a command is refused."""

    EXPIRED = "expired"
    LIVES_TOO_LONG = "lives_too_long"
    NOT_CAPABLE = "not_capable"
    KILL_SWITCH = "kill_switch"
    PROTECTED = "protected"
    LATCHED = "latched"
    RATE_LIMIT = "rate_limit"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rule and what it found."""

    rule: Rule
    detail: str

    def __str__(self) -> str:
        return f"{self.rule.value}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Latch:
    """A meter that was shut off and stays off until a person clears it."""

    meter_id: str
    cause: str
    opened_at_utc: datetime


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the rules look at.

    Args:
        devices: all of the site.
        killed: scopes whose kill switch is thrown, with the reason: a site, or ``*``.
        latch: the open latch of the device's meter.
        switched_at_utc: when commands of the device were asked for within the last hour and not refused.
    """

    devices: Sequence[Device]
    killed: dict[str, str]
    latch: Latch | None = None
    switched_at_utc: Sequence[datetime] = ()


def refusal(command: Command, device: Device, found: Circumstances, *, now_utc: datetime) -> Refusal | None:
    """The first rule that a request breaks, or None when it is allowed.

    The automatic shut-off is held back by the kill switch alone: it protects what the protected list protects, and it
    is not asked for by anybody who could ask too often.
    """
    broken = _broken_rules(command, device, found, now_utc)
    return next((why for why in broken if why is not None), None)


def _broken_rules(
    command: Command, device: Device, found: Circumstances, now_utc: datetime
) -> Iterator[Refusal | None]:
    yield _ill_timed(command, now_utc)
    if command.action not in device.capabilities:
        yield Refusal(Rule.NOT_CAPABLE, f"{device.device_id} cannot be switched {command.action.value}")
    yield kill_refusal(device.site_id, found.killed)
    if command.is_shut_off:
        return
    yield _protected(device, found) if command.action is Action.OFF else _latched(found)
    yield _too_often(device, found, now_utc)


def _ill_timed(command: Command, now_utc: datetime) -> Refusal | None:
    if now_utc >= command.expires_at_utc:
        return Refusal(Rule.EXPIRED, f"it expired at {command.expires_at_utc:%Y-%m-%d %H:%M:%S} UTC; ask again")
    if command.expires_at_utc - now_utc > LONGEST_LIFE:
        return Refusal(Rule.LIVES_TOO_LONG, f"a command expires within {LONGEST_LIFE}; give an earlier expiry")
    return None


def _latched(found: Circumstances) -> Refusal | None:
    if found.latch is None:
        return None
    detail = f"{found.latch.meter_id} was shut off ({found.latch.cause}) and waits for a person to clear it"
    return Refusal(Rule.LATCHED, detail)


def kill_refusal(site_id: str, killed: dict[str, str]) -> Refusal | None:
    """The kill switch that stops a site, if one is thrown.

    Example:
        >>> str(kill_refusal("home", {"*": "fire drill"}))
        'kill_switch: all control of every site is stopped: fire drill'
    """
    for scope, where in ((EVERYWHERE, "every site"), (site_id, site_id)):
        if scope in killed:
            return Refusal(Rule.KILL_SWITCH, f"all control of {where} is stopped: {killed[scope]}")
    return None


def _protected(device: Device, found: Circumstances) -> Refusal | None:
    if device.protected:
        return Refusal(Rule.PROTECTED, f"{device.device_id} is never switched off")
    lost = [other.device_id for other in fed_by(device, found.devices) if other.protected]
    if lost:
        return Refusal(Rule.PROTECTED, f"with {device.device_id} goes {', '.join(lost)}, which is never switched off")
    return None


def _too_often(device: Device, found: Circumstances, now_utc: datetime) -> Refusal | None:
    recent = [at for at in found.switched_at_utc if now_utc - at < timedelta(hours=1)]
    if len(recent) < device.switchings_per_hour:
        return None
    free = min(recent) + timedelta(hours=1)
    detail = f"{len(recent)} switchings of {device.device_id} within the hour; next at {free:%H:%M:%S} UTC"
    return Refusal(Rule.RATE_LIMIT, detail)
