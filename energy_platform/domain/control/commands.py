"""A command's life, as transitions between six states; no clock, no broker.

    requested ─▶ sent ─▶ confirmed      telemetry from after the sending shows the relay where it should be
        │          │  ╰▶ failed         sent as often as allowed and never seen to work
        │          ╰──▶ sent            sent again
        ├─▶ expired                     could not be sent before its expiry
        └─▶ refused                     not allowed, or no longer when it was to be sent

The last four never change again. Nothing is sent after a command's expiry. Belongs here: what follows from what.
Does not belong here: whether a request is allowed (guard.py), keeping (adapters/operations/commands.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from energy_platform.domain.control.devices import Action

LONGEST_LIFE = timedelta(hours=1)
"""A command is about now: one that may be sent hours later surprises whoever is in the house."""


class CommandState(StrEnum):
    """Where a command stands."""

    REQUESTED = "requested"
    SENT = "sent"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    EXPIRED = "expired"
    REFUSED = "refused"


OPEN = frozenset({CommandState.REQUESTED, CommandState.SENT})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a read-back may take, and how often a command is sent."""

    seconds: float = 10.0
    attempts: int = 3


@dataclass(frozen=True, slots=True)
class Command:
    """One switching that somebody asked for.

    Args:
        command_id: given by whoever asks; the same one is never acted on twice.
        device_id: what to switch.
        site_id: where it is.
        action: on or off.
        requester: ``key:<id>``, ``intent:<name>``, ``shut-off``, ``cli``.
        reason: why, in words.
        requested_at_utc: when it was asked for.
        expires_at_utc: nothing is sent from then on.
        is_shut_off: asked for by the automatic shut-off, which no limit holds back.
        state: where it stands.
        attempts: how often it was sent.
        sent_at_utc: when it was first sent.
        tried_at_utc: when it was last sent.
        ended_at_utc: when it was confirmed, failed, expired or refused.
        detail: why it stands there, in words.
    """

    command_id: str
    device_id: str
    site_id: str
    action: Action
    requester: str
    reason: str
    requested_at_utc: datetime
    expires_at_utc: datetime
    is_shut_off: bool = False
    state: CommandState = CommandState.REQUESTED
    attempts: int = 0
    sent_at_utc: datetime | None = None
    tried_at_utc: datetime | None = None
    ended_at_utc: datetime | None = None
    detail: str = ""

    @property
    def is_open(self) -> bool:
        """Whether anything can still become of it."""
        return self.state in OPEN

    def asks_the_same(self, other: Command) -> bool:
        """Whether another request under the same id is this one, sent again."""
        return (self.device_id, self.action, self.requester) == (other.device_id, other.action, other.requester)


def refuse(command: Command, *, why: str, now_utc: datetime) -> Command:
    """It is not allowed, or no longer.

    Raises:
        ValueError: it was sent or has ended already.
    """
    _expect(command, CommandState.REQUESTED)
    return replace(command, state=CommandState.REFUSED, ended_at_utc=now_utc, detail=why)


def may_be_sent(command: Command, *, now_utc: datetime, patience: Patience) -> bool:
    """Whether to send it now: for the first time, or again because no read-back came."""
    if not command.is_open or now_utc >= command.expires_at_utc or command.attempts >= patience.attempts:
        return False
    return command.tried_at_utc is None or _waited(command, now_utc, patience)


def sent(command: Command, *, now_utc: datetime) -> Command:
    """The broker has taken it.

    Raises:
        ValueError: it has ended, or has expired.
    """
    _expect(command, *OPEN)
    if now_utc >= command.expires_at_utc:
        raise ValueError(f"{command.command_id} expired at {command.expires_at_utc}; nothing is sent after that")
    return replace(
        command,
        state=CommandState.SENT,
        attempts=command.attempts + 1,
        sent_at_utc=command.sent_at_utc or now_utc,
        tried_at_utc=now_utc,
        detail=f"sent, attempt {command.attempts + 1}",
    )


def read_back(command: Command, *, is_on: bool, measured_at_utc: datetime, now_utc: datetime) -> Command:
    """What telemetry says of the relay: it confirms a sent command, or changes nothing.

    Only what was measured after the first sending counts: a sample from before says where the relay was.
    """
    if command.state is not CommandState.SENT or command.sent_at_utc is None or measured_at_utc < command.sent_at_utc:
        return command
    if is_on is not (command.action is Action.ON):
        return command
    took = (measured_at_utc - command.sent_at_utc).total_seconds()
    detail = f"telemetry shows it {command.action.value} {took:.1f} s after it was sent"
    return replace(command, state=CommandState.CONFIRMED, ended_at_utc=now_utc, detail=detail)


def overtake(command: Command, by: Command, *, now_utc: datetime) -> Command:
    """A newer command of the same device takes its place: two at once would undo each other.

    Raises:
        ValueError: it has ended already.
    """
    _expect(command, *OPEN)
    state = CommandState.REFUSED if command.state is CommandState.REQUESTED else CommandState.FAILED
    return replace(command, state=state, ended_at_utc=now_utc, detail=f"overtaken by {by.command_id}")


def give_up(command: Command, *, now_utc: datetime, patience: Patience, problem: str = "") -> Command:
    """What the mere passing of time does: an unsent command expires, an unconfirmed one fails.

    Args:
        command: any.
        now_utc: the present.
        patience: how long a read-back may take.
        problem: why it could not be sent, when that is so.
    """
    is_over = now_utc >= command.expires_at_utc
    if command.state is CommandState.REQUESTED and is_over:
        detail = f"not sent before {command.expires_at_utc:%Y-%m-%d %H:%M:%S} UTC{': ' + problem if problem else ''}"
        return replace(command, state=CommandState.EXPIRED, ended_at_utc=now_utc, detail=detail)
    if command.state is CommandState.SENT and (is_over or command.attempts >= patience.attempts):
        if not _waited(command, now_utc, patience):
            return command
        detail = f"sent {command.attempts} times; no telemetry shows it {command.action.value}"
        return replace(command, state=CommandState.FAILED, ended_at_utc=now_utc, detail=detail)
    return command


def _waited(command: Command, now_utc: datetime, patience: Patience) -> bool:
    tried = command.tried_at_utc
    return tried is None or now_utc >= tried + timedelta(seconds=patience.seconds)


def _expect(command: Command, *states: CommandState) -> None:
    if command.state not in states:
        raise ValueError(f"{command.command_id} is {command.state.value}, not {' or '.join(sorted(states))}")
