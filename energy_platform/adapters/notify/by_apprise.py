"""Channels of Apprise: an address each, one message at a time."""

from __future__ import annotations

import logging
from urllib.parse import quote, urlsplit

from energy_platform.domain.alerts.channels import DeliveryFailed, Outgoing
from energy_platform.domain.errors import ChannelUnusable

KEY_HEADER = "Idempotency-Key"
HELP = "See the addresses that Apprise takes: https://appriseit.com/services/."
_FAMILIES = {"mailto": "mail", "mailtos": "mail", "slack": "slack", "json": "webhook", "jsons": "webhook"}
_KINDS = {"info": "info", "warning": "warning", "critical": "failure"}
_PLAIN_WEBHOOKS = {"http": "json", "https": "jsons"}
# Slack's incoming webhooks, and those of services that speak like them, want the text under this name and nothing else.
_SLACK_FIELDS = ":message=text&:version=&:title=&:type=&:attachments="


class AppriseChannel:
    """One address of Apprise's.

    Args:
        name: of the channel, as settings and rules say it.
        address: with its secrets; never printed.

    Raises:
        ChannelUnusable: Apprise does not know the address.
    """

    def __init__(self, name: str, address: str) -> None:
        import apprise

        self.name = name
        self._address, self.family, self._takes_headers = _understood(address)
        if apprise.Apprise.instantiate(self._address, suppress_exceptions=True) is None:
            scheme = urlsplit(address).scheme or "no scheme"
            raise ChannelUnusable(name, problem=f"the address ({scheme}) is not one that Apprise takes", remedy=HELP)

    def send(self, message: Outgoing) -> None:
        """Send one message.

        Raises:
            DeliveryFailed: the service refused it, or did not answer in time.
        """
        import apprise

        service = apprise.Apprise()
        service.add(self._keyed(message.delivery_key))
        with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as said:  # type: ignore[no-untyped-call]
            is_taken = service.notify(
                body=message.body,
                title="" if self.family == "slack" else message.title,
                notify_type=apprise.NotifyType(_KINDS.get(message.severity, "info")),
                # None: as it is. Anything else, Apprise would translate to what it thinks that the service wants.
                body_format=apprise.NotifyFormat.TEXT if self.family in {"mail", "text"} else None,
            )
            reason = " ".join(said.getvalue().split())
        if not is_taken:
            raise DeliveryFailed(reason[-300:] or "the service did not take it")

    def _keyed(self, delivery_key: str) -> str:
        """The address with the delivery key as a header, where the service takes headers."""
        if not self._takes_headers:
            return self._address
        joint = "&" if "?" in self._address else "?"
        return f"{self._address}{joint}+{KEY_HEADER}={quote(delivery_key)}"


def _understood(address: str) -> tuple[str, str, bool]:
    """The address as Apprise takes it, the family of its template, and whether it takes headers."""
    scheme = urlsplit(address).scheme.lower()
    if scheme in _PLAIN_WEBHOOKS:
        if urlsplit(address).hostname == "hooks.slack.com":
            return address, "slack", False
        joint = "&" if "?" in address else "?"
        return f"{_PLAIN_WEBHOOKS[scheme]}{address[len(scheme) :]}{joint}{_SLACK_FIELDS}", "slack", True
    if scheme in {"mailto", "mailtos"} and "format=" not in address:
        address += ("&" if "?" in address else "?") + "format=text"
    return address, _FAMILIES.get(scheme, "text"), scheme in {"json", "jsons", "mailto", "mailtos"}
