"""What alerting asks of a channel; adapters/notify answers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class DeliveryFailed(Exception):
    """A channel did not take a message; it is tried again."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message in words.

    Args:
        delivery_key: the same for the same message; a receiver may tell a repeat by it.
        title: one line.
        body: the rest, in the markup of the channel's family.
        severity: ``info``, ``warning`` or ``critical``.
    """

    delivery_key: str
    title: str
    body: str
    severity: str


class Channel(Protocol):
    """One way to reach people."""

    name: str
    family: str
    """``mail``, ``slack``, ``text`` or ``webhook``: which template it takes."""

    def send(self, message: Outgoing) -> None:
        """Have the service take a message.

        Raises:
            DeliveryFailed: it did not, as far as can be told.
        """
