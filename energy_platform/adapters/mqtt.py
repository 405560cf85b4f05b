"""MQTT topics in a session that the broker keeps; a message is acknowledged (PUBACK) after landing.

Belongs here: receipts and acknowledgements. Does not belong here: the connection (mqtt_connection.py), validation and
landing (streaming/).
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from energy_platform.adapters.mqtt_connection import Broker, MqttConnection
from energy_platform.domain.events import Message

if TYPE_CHECKING:
    from paho.mqtt.client import Client

# mosquitto sends 20 messages before it waits for an acknowledgement, unless max_inflight_messages says more.
DEFAULT_WINDOW = 20


@dataclass(frozen=True, slots=True)
class _Receipt:
    """A packet identifier and the connection that it belongs to: brokers use identifiers again."""

    connection: int
    packet: int
    qos: int


class MqttSource(MqttConnection):
    """Messages of some topic filters, at QoS 1.

    The network thread waits while the queue is full, so that the broker's own flow control holds the rest back.

    Args:
        broker: where and as whom.
        topics: filters, such as ``meters/+/pub``.
        capacity: messages held at most.
        window: messages that the broker sends without acknowledgement; a batch is closed early at
            that many when no more come.
    """

    def __init__(
        self, broker: Broker, topics: Sequence[str], *, capacity: int = 20_000, window: int = DEFAULT_WINDOW
    ) -> None:
        self.window: int | None = window
        self._connection = 0
        super().__init__(broker, topics, capacity=capacity, keeps_session=True, retry_seconds=15)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Send PUBACK for messages of the present connection, in the order in which they came.

        Those of an earlier connection come again: their identifiers may mean other messages by now.
        """
        for message in messages:
            receipt = message.receipt
            if isinstance(receipt, _Receipt) and receipt.connection == self._connection:
                self._client.ack(receipt.packet, receipt.qos)

    def on_revoked(self, flush: Callable[[], None]) -> None:
        """A session is never taken away; there is nothing to register."""

    def lag(self) -> dict[str, float]:
        """Messages that arrived and wait here; what waits at the broker is not told by MQTT."""
        return {"messages": float(self._queue.qsize()), "connected": float(self.is_listening)}

    # --- called by the network thread

    def _on_disconnect(self, client: Client, data: object, flags: object, code: Any, properties: object) -> None:
        self._connection += 1
        super()._on_disconnect(client, data, flags, code, properties)

    def _receipt(self, message: Any) -> _Receipt:
        return _Receipt(self._connection, message.mid, message.qos)

    def _take(self, message: Message) -> None:
        while not self._closing.is_set():
            try:
                self._queue.put(message, timeout=0.5)
            except queue.Full:
                continue
            return
