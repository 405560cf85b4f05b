"""A connection to an MQTT broker (3.1.1 and 5) that hears some topics at QoS 1 and comes back by itself.

Belongs here: what paho and the protocol want, and what is said of a broker that refuses. Does not belong here: what is
done with messages (mqtt.py lands them, mqtt_commands.py looks at them as they are now).
"""

from __future__ import annotations

import logging
import queue
import ssl
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from energy_platform.domain.errors import StreamUnavailable
from energy_platform.domain.events import Message

if TYPE_CHECKING:
    from paho.mqtt.client import Client

logger = logging.getLogger(__name__)

Version = Literal["3.1.1", "5"]
SESSION_EXPIRY_SECONDS = 7 * 86_400
KEEPALIVE_SECONDS = 60
_MOST_UNACKNOWLEDGED = 65_535
# "Server unavailable" and the like pass; a wrong password does not.
_REFUSED = {"Not authorized", "Bad user name or password", "Client identifier not valid", "Banned"}
_WHO_MAY = "Check user, password, client certificate and the topics that they may read."


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates for TLS, PEM files; without ``ca`` the system's authorities are trusted.

    The broker's certificate must be for the name that is connected to. ``certificate`` and ``key`` say who
    this client is, to a broker that asks for that.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Broker:
    """Where and as whom to connect.

    Args:
        host: name or address of the broker.
        port: 1883, or 8883 with TLS.
        client_id: names the session, so it must be the same at every start and unique at the broker.
        version: of the protocol.
        username: at the broker.
        password: at the broker.
        tls: certificates, or ``None`` for no TLS.
    """

    host: str
    port: int
    client_id: str
    version: Version = "3.1.1"
    username: str | None = None
    password: str | None = None
    tls: Tls | None = None


class MqttConnection(ABC):
    """Messages of some topic filters, in a bounded queue that the network thread fills.

    Args:
        broker: where and as whom.
        topics: filters, such as ``meters/+/pub``.
        capacity: messages held at most.
        keeps_session: whether the broker keeps what comes while nobody listens; a message is then acknowledged
            by hand.
        retry_seconds: how long it waits at most before it tries to connect again.
    """

    def __init__(
        self, broker: Broker, topics: Sequence[str], *, capacity: int, keeps_session: bool, retry_seconds: int
    ) -> None:
        self._broker, self._topics = broker, list(topics)
        self._queue: queue.Queue[Message] = queue.Queue(maxsize=capacity)
        self._closing = threading.Event()
        self._listening = threading.Event()
        self._received = 0
        self._is_unanswered = broker.tls is not None
        self._refusal: StreamUnavailable | None = None
        self._client = self._make_client(keeps_session, retry_seconds)
        self._client.loop_start()

    @property
    def is_listening(self) -> bool:
        """Whether it is connected and the broker has taken the topics."""
        return self._listening.is_set()

    def poll(self, limit: int, seconds: float) -> list[Message]:
        """At most ``limit`` messages; returns with the first ones, or with none after ``seconds``.

        Raises:
            StreamUnavailable: the broker refuses the user or a topic, or cannot prove who it is. A broker that is
                away is waited for.
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

    def close(self) -> None:
        """Disconnect; a session that is kept stays at the broker and holds what is published meanwhile."""
        self._closing.set()
        # Acknowledgements go out with the network thread before the DISCONNECT behind them.
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def _name(self) -> str:
        return f"mqtt://{self._broker.host}:{self._broker.port}"

    def _make_client(self, keeps_session: bool, retry_seconds: int) -> Client:
        from paho.mqtt.client import Client, MQTTv5, MQTTv311
        from paho.mqtt.enums import CallbackAPIVersion
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        broker, is_five = self._broker, self._broker.version == "5"
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client_id,
            clean_session=None if is_five else not keeps_session,
            protocol=MQTTv5 if is_five else MQTTv311,
            manual_ack=keeps_session,
        )
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_connect_fail = self._on_connect_fail
        client.on_subscribe, client.on_message = self._on_subscribe, self._on_message
        client.reconnect_delay_set(min_delay=1, max_delay=retry_seconds)
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.password)
        if broker.tls is not None:
            self._use_certificates(client, broker.tls)
        more: dict[str, Any] = {}
        if is_five:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = SESSION_EXPIRY_SECONDS if keeps_session else 0
            properties.ReceiveMaximum = min(self._queue.maxsize, _MOST_UNACKNOWLEDGED)
            more = {"clean_start": not keeps_session, "properties": properties}
        client.connect_async(broker.host, broker.port, KEEPALIVE_SECONDS, **more)
        return client

    def _use_certificates(self, client: Client, tls: Tls) -> None:
        ca, certificate, key = (str(path) if path else None for path in (tls.ca, tls.certificate, tls.key))
        try:
            client.tls_set(ca, certificate, key)
        except (OSError, ValueError) as problem:
            files = ", ".join(name for name in (ca, certificate, key) if name)
            remedy = f"They must be PEM: {files}; a client certificate needs its private key."
            raise StreamUnavailable(
                self._name, problem=f"the certificates cannot be used ({problem})", remedy=remedy
            ) from None

    def _refuse(self, problem: str, remedy: str) -> None:
        self._refusal = StreamUnavailable(self._name, problem=problem, remedy=remedy)

    # --- called by the network thread

    def _on_connect_fail(self, _: Client, __: object) -> None:
        # paho calls this where it has caught the error, and does not hand it over.
        problem = sys.exception()
        if isinstance(problem, ssl.SSLCertVerificationError):
            remedy = "Name the authority that signed it by --ca, and the broker as its certificate does by --host."
            self._refuse(f"the broker's certificate is not trusted ({problem.verify_message})", remedy)
        else:
            logger.warning("%s cannot be reached (%s); trying again", self._name, problem)

    def _on_connect(self, client: Client, _: object, __: object, code: Any, ___: object) -> None:
        self._is_unanswered = False
        if code.is_failure:
            logger.warning("%s refused the connection: %s", self._name, code)
            if str(code) in _REFUSED:
                self._refuse(f"the broker refused the connection: {code}", _WHO_MAY)
            return
        logger.info("connected to %s", self._name)
        client.subscribe([(topic, 1) for topic in self._topics])

    def _on_disconnect(self, _: Client, __: object, ___: object, code: Any, ____: object) -> None:
        self._listening.clear()
        if not self._closing.is_set():
            hint = "; it answered nothing: does it ask for a client certificate?" if self._is_unanswered else ""
            logger.warning("the connection to %s ended (%s%s); trying again", self._name, code, hint)

    def _on_subscribe(self, _: Client, __: object, ___: int, codes: Sequence[Any], ____: object) -> None:
        refused = [topic for topic, code in zip(self._topics, codes, strict=False) if code.is_failure]
        if refused:
            self._refuse(f"the broker refused the topic {', '.join(refused)}", _WHO_MAY)
        else:
            logger.info("listening to %s at %s", ", ".join(self._topics), self._name)
            self._listening.set()

    def _on_message(self, _: Client, __: object, message: Any) -> None:
        self._received += 1
        now = time.time()
        self._take(
            Message(
                payload=bytes(message.payload),
                partition=self._broker.client_id,
                # MQTT numbers nothing: the time and a counter keep the names of files apart.
                offset=f"{int(now * 1000)}{self._received % 1_000_000:06d}",
                arrived_at_utc=datetime.fromtimestamp(now, tz=UTC).replace(tzinfo=None),
                origin=message.topic,
                receipt=self._receipt(message),
            )
        )

    def _receipt(self, _message: Any) -> object | None:
        """What a message is acknowledged by; nothing where paho does it."""
        return None

    @abstractmethod
    def _take(self, message: Message) -> None:
        """Put a message into the queue, or do what is to be done when it is full."""
