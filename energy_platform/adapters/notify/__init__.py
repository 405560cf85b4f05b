"""Channels that messages go out by: Apprise's (e-mail, Slack, Teams, Telegram, webhooks …) and SNS.

Belongs here: addresses, templates, what each service wants. Does not belong here: who is told and when (domain/alerts),
retries (adapters/operations/outbox.py).

An address is what Apprise takes (``mailtos://…``, ``msteams://…``, ``tgram://…``, ``json://…``), an ``http(s)://`` address
of a webhook that speaks like Slack's, or the ARN of an SNS topic. It holds secrets, so it is never printed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from energy_platform.adapters.notify.by_apprise import AppriseChannel
from energy_platform.adapters.notify.by_sns import SnsChannel
from energy_platform.adapters.notify.templates import render
from energy_platform.domain.alerts.channels import Channel, DeliveryFailed, Outgoing

__all__ = ["Channel", "DeliveryFailed", "Outgoing", "open_channel", "open_channels", "outgoing"]


def open_channels(addresses: Mapping[str, str], *, sns_client: Callable[[], Any]) -> dict[str, Channel]:
    """The channels of some addresses, by name.

    Args:
        addresses: name and address of each.
        sns_client: makes boto3's client of SNS, when an address is a topic.

    Raises:
        ChannelUnusable: an address is none; the message does not repeat it.
    """
    return {name: open_channel(name, address, sns_client=sns_client) for name, address in addresses.items()}


def open_channel(name: str, address: str, *, sns_client: Callable[[], Any]) -> Channel:
    """One channel.

    Raises:
        ChannelUnusable: the address is none.
    """
    if address.startswith("arn:"):
        return SnsChannel(name, address, sns_client)
    return AppriseChannel(name, address)


def outgoing(channel: Channel, kind: str, content: Mapping[str, Any], delivery_key: str) -> Outgoing:
    """A message as one channel sends it, by the template of its family."""
    title, body = render(channel.family, kind, {**content, "delivery_key": delivery_key})
    return Outgoing(delivery_key, title, body, str(content.get("severity", "info")))
