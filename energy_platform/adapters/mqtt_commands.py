"""MQTT both ways for control: telemetry as it is now, and commands with an acknowledgement of the broker.

Unlike that of ``MqttSource`` the session is not kept: what was published while nobody listened is not the present, and
a relay must not be judged by it. Belongs here: sending, and which telemetry is let go. Does not belong here: the
connection (mqtt_connection.py), what is sent and when (streaming/control.py).
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Sequence
from typing import Any

from energy_platform.adapters.mqtt_connection import Broker, MqttConnection
from energy_platform.domain.errors import StreamUnavailable
from energy_platform.domain.events import Message

logger = logging.getLogger(__name__)

# Telemetry that waits longer than the queue is long says nothing about now: the oldest goes first.
MOST_WAITING = 10_000


class MqttCommands(MqttConnection):
    """A connection that hears some topics and sends commands.

    Args:
        broker: where and as whom; the client identifier must differ from that of any stream process.
        topics: filters of the telemetry, such as ``esp32/pub``.
    """

    def __init__(self, broker: Broker, topics: Sequence[str]) -> None:
        super().__init__(broker, topics, capacity=MOST_WAITING, keeps_session=False, retry_seconds=5)

    def send(self, topic: str, content: bytes, *, expires_seconds: float, wait_seconds: float = 2.0) -> None:
        """Publish at QoS 1 and wait until the broker has taken it; it is not retained.

        With MQTT 5 the broker forgets it after ``expires_seconds``; with 3.1.1 a device that keeps its session may
        get it later.

        Raises:
            StreamUnavailable: the broker is away, or did not acknowledge in time; it is not sent later.
        """
        if not self._client.is_connected():
            raise self._away("there is no connection")
        properties = self._expiring(expires_seconds)
        sent = self._client.publish(topic, content, qos=1, retain=False, properties=properties)
        try:
            sent.wait_for_publish(wait_seconds)
        except (RuntimeError, ValueError) as problem:
            raise self._away(str(problem)) from None
        if not sent.is_published():
            raise self._away(f"no acknowledgement within {wait_seconds:g} s")

    def _away(self, problem: str) -> StreamUnavailable:
        return StreamUnavailable(
            self._name, problem=problem, remedy="Is the broker up, and does it let this user publish?"
        )

    def _expiring(self, seconds: float) -> Any:
        if self._broker.version != "5":
            return None
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.MessageExpiryInterval = max(1, int(seconds))
        return properties

    # --- called by the network thread

    def _take(self, message: Message) -> None:
        while True:
            try:
                self._queue.put_nowait(message)
            except queue.Full:
                self._drop_oldest()
                continue
            return

    def _drop_oldest(self) -> None:
        try:
            self._queue.get_nowait()
        except queue.Empty:
            return
        logger.warning("telemetry comes faster than control reads it; the oldest message is not looked at")
