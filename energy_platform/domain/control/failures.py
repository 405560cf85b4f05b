"""A command that did not work, as an alert: it opens with the failure and is over when the device obeys again.

Belongs here: its words. Does not belong here: episodes and who is told (domain/alerts).
"""

from __future__ import annotations

from energy_platform.domain.alerts.records import Severity, Signal, Subject
from energy_platform.domain.control.commands import Command, CommandState

RULE = "command_failed"


def signal_of(command: Command) -> Signal | None:
    """What the end of a command says of its device; None when it says nothing: refused, or not at its end.

    A shut-off that failed is critical: what was to be off is on.
    """
    if command.ended_at_utc is None or command.state is CommandState.REFUSED:
        return None
    severity = Severity.CRITICAL if command.is_shut_off else Severity.WARNING
    told = f"{command.device_id} {command.action.value}"
    return Signal(
        rule=RULE,
        severity=severity,
        subject=Subject(f"device {command.device_id}", command.site_id),
        is_breach=command.state is not CommandState.CONFIRMED,
        at_utc=command.ended_at_utc,
        title=f"{'Shut-off' if command.is_shut_off else 'Command'} {command.state.value}: {told}",
        text=f"{told} ({command.reason}) {command.state.value}: {command.detail}.",
        evidence={"command": command.command_id, "requester": command.requester, "attempts": command.attempts},
    )
