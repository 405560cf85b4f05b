"""How a device is told: the bytes of a command in its protocol.

Belongs here: payloads. Does not belong here: topics and brokers (adapters/mqtt_commands.py).
"""

from __future__ import annotations

import json

from energy_platform.domain.control.commands import Command
from energy_platform.domain.control.devices import Device


def payload(device: Device, command: Command) -> bytes:
    """The message.

    ``esp32`` says only what to do (``{"message": "mainoff"}``): such a device cannot tell a repetition or a late
    delivery. ``structured`` carries id and expiry, so that a device can refuse both.
    """
    if device.protocol == "esp32":
        return json.dumps({"message": f"{device.channel}{command.action.value}"}).encode()
    return json.dumps(
        {
            "command_id": command.command_id,
            "device_id": device.device_id,
            "channel": device.channel,
            "action": command.action.value,
            "requested_at": f"{command.requested_at_utc.isoformat(timespec='milliseconds')}Z",
            "expires_at": f"{command.expires_at_utc.isoformat(timespec='milliseconds')}Z",
            "reason": command.reason,
        }
    ).encode()
