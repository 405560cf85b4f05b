"""MQTT both ways for control: telemetry as it is now, and commands with an acknowledgement of the broker.

Unlike ``MqttSource`` the session is not kept: what was published while nobody listened is not the present, and
a relay must not be judged by it. Belongs here: what paho wants. Does not belong here: what is sent and when
(streaming/control.py).
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from energy_platform.adapters.mqtt import KEEPALIVE_SECONDS, Broker
from energy_platform.domain.errors import StreamUnavailable
from energy_platform.domain.events import Message

if TYPE_CHECKING:
    from paho.mqtt.client import Client

logger = logging.getLogger(__name__)

# Telemetry that waits longer than the queue is long says nothing about now: the oldest goes first.
MOST_WAITING = 10_000
_REFUSED = {"Not authorized", "Bad user name or password", "Client identifier not valid", "Banned"}


class MqttCommands:
    """A connection that hears some topics and sends commands.

    Args:
        broker: where and as whom; the client identifier must differ from that of any stream process.
        topics: filters of the telemetry, such as ``esp32/pub``.
    """

    def __init__(self, broker: Broker, topics: Sequence[str]) -> None:
        self._broker, self._topics = broker, list(topics)
        self._queue: queue.Queue[Message] = queue.Queue(maxsize=MOST_WAITING)
        self._received = 0
        self._refusal: StreamUnavailable | None = None
        self._closing = threading.Event()
        self._listening = threading.Event()
        self._client = self._make_client()
        self._client.loop_start()

    def wait_until_listening(self, seconds: float) -> bool:
        """Whether the topics are subscribed to, waiting at most so long."""
        return self._listening.wait(seconds)

    def poll(self, limit: int, seconds: float) -> list[Message]:
        """At most ``limit`` messages; returns with the first ones, or with none after ``seconds``.

        Raises:
            StreamUnavailable: the broker refuses the user or a topic. A broker that is away is waited for.
        """
        if self._refusal is not None:
            raise self._refusal
        messages: list[Message] = []
        try:
            messages.append(self._queue.get(timeout=max(seconds, 0.001)))
            while len(messages) < limit:
                messages.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return messages

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

    def close(self) -> None:
        """Disconnect."""
        self._closing.set()
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def _name(self) -> str:
        return f"mqtt://{self._broker.host}:{self._broker.port}"

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

    def _make_client(self) -> Client:
        from paho.mqtt.client import Client, MQTTv5, MQTTv311
        from paho.mqtt.enums import CallbackAPIVersion

        broker, is_five = self._broker, self._broker.version == "5"
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client_id,
            clean_session=None if is_five else True,
            protocol=MQTTv5 if is_five else MQTTv311,
        )
        client.on_connect, client.on_subscribe, client.on_message = (
            self._on_connect,
            self._on_subscribe,
            self._on_message,
        )
        client.on_disconnect = self._on_disconnect
        client.reconnect_delay_set(min_delay=1, max_delay=5)
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.password)
        if broker.tls is not None:
            tls = broker.tls
            ca, certificate, key = (str(path) if path else None for path in (tls.ca, tls.certificate, tls.key))
            try:
                client.tls_set(ca, certificate, key)
            except (OSError, ValueError) as problem:
                remedy = "They must be PEM; a client certificate needs its private key."
                raise StreamUnavailable(
                    self._name, problem=f"the certificates cannot be used ({problem})", remedy=remedy
                ) from None
        if is_five:
            client.connect_async(broker.host, broker.port, KEEPALIVE_SECONDS, clean_start=True)
        else:
            client.connect_async(broker.host, broker.port, KEEPALIVE_SECONDS)
        return client

    # --- called by the network thread

    def _on_connect(self, client: Client, _: object, __: object, code: Any, ___: object) -> None:
        if code.is_failure:
            logger.warning("%s refused the connection: %s", self._name, code)
            if str(code) in _REFUSED:
                remedy = "Check user, password and client certificate."
                self._refusal = StreamUnavailable(self._name, problem=f"it refused: {code}", remedy=remedy)
            return
        client.subscribe([(topic, 1) for topic in self._topics])

    def _on_subscribe(self, _: Client, __: object, ___: int, codes: Sequence[Any], ____: object) -> None:
        refused = [topic for topic, code in zip(self._topics, codes, strict=False) if code.is_failure]
        if refused:
            remedy = "Check which topics this user may read."
            self._refusal = StreamUnavailable(self._name, problem=f"refused: {', '.join(refused)}", remedy=remedy)
        else:
            logger.info("listening to %s at %s", ", ".join(self._topics), self._name)
            self._listening.set()

    def _on_disconnect(self, _: Client, __: object, ___: object, code: Any, ____: object) -> None:
        self._listening.clear()
        if not self._closing.is_set():
            logger.warning("the connection to %s ended (%s); trying again", self._name, code)

    def _on_message(self, _: Client, __: object, message: Any) -> None:
        self._received += 1
        now = time.time()
        taken = Message(
            payload=bytes(message.payload),
            partition=self._broker.client_id,
            offset=str(self._received),
            arrived_at_utc=datetime.fromtimestamp(now, tz=UTC).replace(tzinfo=None),
            origin=message.topic,
        )
        while True:
            try:
                self._queue.put_nowait(taken)
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
