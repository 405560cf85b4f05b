"""Sending simulated events into Kinesis, Kafka or MQTT, each by its address.

What belongs here: addresses, clients and delivery. An event counts as sent when the other side
has acknowledged it. Reading streams is in kinesis.py, kafka.py and mqtt.py.

Addresses: ``kinesis://stream``, ``kafka://topic@host:port``, ``mqtt://host:port/topic`` and
``mqtts://…`` (TLS). Clients are imported when their address is used.
"""

from __future__ import annotations

import os
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import unquote, urlsplit

from energy_platform.domain.errors import StreamUnavailable

KINESIS_BATCH = 500  # what PutRecords takes at most
KINESIS_TRIES = 8
KAFKA_FLUSH_SECONDS = 30.0
MQTT_IN_FLIGHT = 500
MQTT_SECONDS = 30.0
INSTALL = "pip install 'energy-platform[streams]'"
OnCommand = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Address:
    """Where to send: kind, host, port and the stream or topic."""

    kind: str
    topic: str
    host: str = ""
    port: int = 0
    user: str | None = None
    password: str | None = None


class EventSink(Protocol):
    """Takes events; ``close`` returns only when all are acknowledged."""

    def send(self, key: str, body: bytes) -> None:
        """Send one event; may wait when too many are on their way."""
        ...

    def close(self) -> None:
        """Wait for what is on its way."""
        ...


def parse_address(text: str) -> Address:
    """An address as it is typed.

    Raises:
        StreamUnavailable: it is none of the three forms.

    Example:
        >>> parse_address("kafka://readings@localhost:9092")
        Address(kind='kafka', topic='readings', host='localhost', port=9092, user=None, password=None)
        >>> parse_address("mqtt://localhost/esp32/pub").topic
        'esp32/pub'
    """
    forms = "Use kinesis://stream, kafka://topic@host:port or mqtt://host:port/topic."
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise StreamUnavailable(text, problem=str(error), remedy=forms) from None
    host, path = parts.hostname or "", unquote(parts.path.strip("/"))
    if parts.scheme == "kinesis" and host and not path:
        return Address("kinesis", parts.netloc)
    if parts.scheme == "kafka" and host and parts.username and not path:
        return Address("kafka", unquote(parts.username), host, port or 9092)
    if parts.scheme in {"mqtt", "mqtts"} and host and path:
        default = 8883 if parts.scheme == "mqtts" else 1883
        secret = unquote(parts.password) if parts.password else None
        return Address(parts.scheme, path, host, port or default, parts.username, secret)
    raise StreamUnavailable(text, problem="is no address of a stream", remedy=forms)


def open_sink(
    address: Address,
    *,
    endpoint_url: str | None = None,
    region: str | None = None,
    on_command: OnCommand | None = None,
    command_topic: str = "",
    kafka_options: Mapping[str, Any] | None = None,
) -> EventSink:
    """The sink of an address; for MQTT, ``on_command`` hears what comes on ``command_topic``.

    Raises:
        StreamUnavailable: nobody answers there.
    """
    if address.kind == "kinesis":
        return KinesisSink(address.topic, endpoint_url=endpoint_url, region=region)
    if address.kind == "kafka":
        return KafkaSink(address, kafka_options or {})
    return MqttSink(address, on_command=on_command, command_topic=command_topic)


class Paced:
    """Lets events through at a rate, evenly; 0 is no limit. Catches up after a pause of the sink."""

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._every, self._clock = (1 / per_second if per_second > 0 else 0.0), clock
        self._next = clock()

    def wait(self) -> None:
        """Return when the next event is due."""
        if not self._every:
            return
        now = self._clock()
        if self._next > now:
            time.sleep(self._next - now)
        self._next = max(self._next + self._every, now - 1.0)


class _Closing(ABC):
    """``with``: closes, and so waits, also when the block failed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Wait for what is on its way."""


class KinesisSink(_Closing):
    """PutRecords in batches of 500; the records that Kinesis refuses for now are sent again."""

    def __init__(self, stream: str, *, endpoint_url: str | None, region: str | None) -> None:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        config = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5, read_timeout=30)
        self._stream, self._batch = stream, list[dict[str, Any]]()
        try:
            self._client = boto3.client("kinesis", endpoint_url=endpoint_url, region_name=region, config=config)
        except (BotoCoreError, ValueError) as error:
            remedy = "Give --region, and --endpoint-url for a local server."
            raise StreamUnavailable(f"kinesis://{stream}", problem=str(error), remedy=remedy) from None

    def send(self, key: str, body: bytes) -> None:
        """Send one event; waits when too many are on their way."""
        self._batch.append({"PartitionKey": key, "Data": body})
        if len(self._batch) >= KINESIS_BATCH:
            self._flush()

    def close(self) -> None:
        """Wait until every event is acknowledged."""
        self._flush()

    def _flush(self) -> None:
        """Send the batch until every record of it is taken; order within a key may change on a retry."""
        from botocore.exceptions import BotoCoreError, ClientError

        waiting, self._batch = self._batch, []
        for attempt in range(KINESIS_TRIES):
            if not waiting:
                return
            try:
                said = self._client.put_records(StreamName=self._stream, Records=waiting)  # type: ignore[arg-type]
            except (BotoCoreError, ClientError) as error:
                remedy = "Check name, region and rights."
                raise StreamUnavailable(f"kinesis://{self._stream}", problem=str(error), remedy=remedy) from None
            waiting = [record for record, one in zip(waiting, said["Records"], strict=True) if one.get("ErrorCode")]
            if waiting:
                time.sleep(min(5.0, 0.1 * 2**attempt))
        if waiting:
            problem = f"{len(waiting)} records are still refused after {KINESIS_TRIES} tries"
            remedy = "Add shards or send at a lower --rate."
            raise StreamUnavailable(f"kinesis://{self._stream}", problem=problem, remedy=remedy)


class KafkaSink(_Closing):
    """An idempotent producer: each event once and in order, acknowledged by all in-sync replicas."""

    def __init__(self, address: Address, options: Mapping[str, Any]) -> None:
        try:
            from confluent_kafka import Producer
        except ImportError:
            raise StreamUnavailable("kafka://", problem="the client is not installed", remedy=INSTALL) from None

        self._topic, server = address.topic, f"{address.host}:{address.port}"
        self._where = f"kafka://{address.topic}@{server}"
        self._failed: list[str] = []
        config = {
            "bootstrap.servers": server,
            "enable.idempotence": True,
            "linger.ms": 20,
            "message.timeout.ms": int(KAFKA_FLUSH_SECONDS * 1000),
        }
        self._producer = Producer(config | dict(options))

    def send(self, key: str, body: bytes) -> None:
        """Send one event; waits when too many are on their way."""
        while True:
            try:
                self._producer.produce(self._topic, value=body, key=key, on_delivery=self._on_delivery)
                break
            except BufferError:
                self._producer.poll(0.1)  # the queue is full: let it drain
        self._producer.poll(0)
        self._raise_failed()

    def close(self) -> None:
        """Wait until every event is acknowledged, then let the connection go."""
        left = self._producer.flush(KAFKA_FLUSH_SECONDS)
        del self._producer  # the client has no close(): it goes on reconnecting for as long as it exists
        self._raise_failed()
        if left:
            raise StreamUnavailable(
                self._where, problem=f"{left} events were not acknowledged", remedy="Is the broker up?"
            )

    def _on_delivery(self, error: object, _message: object) -> None:
        if error is not None:
            self._failed.append(str(error))

    def _raise_failed(self) -> None:
        if self._failed:
            problem = f"{len(self._failed)} events were not delivered ({self._failed[0]})"
            raise StreamUnavailable(
                self._where, problem=problem, remedy="Check that the broker is up and has the topic."
            )


class MqttSink(_Closing):
    """QoS 1 with at most 500 messages unacknowledged; hears commands on the same connection."""

    def __init__(self, address: Address, *, on_command: OnCommand | None, command_topic: str) -> None:
        try:
            from paho.mqtt import client as mqtt
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError:
            raise StreamUnavailable("mqtt://", problem="the client is not installed", remedy=INSTALL) from None

        self._topic, self._where = address.topic, f"{address.host}:{address.port}"
        self._in_flight: list[Any] = []
        self._on_command, self._command_topic = on_command, command_topic
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=f"energy-simulate-{os.getpid()}-{time.monotonic_ns()}"
        )
        self._client.on_connect, self._client.on_message = self._subscribe, self._hear
        if address.user:
            self._client.username_pw_set(address.user, address.password)
        if address.kind == "mqtts":
            self._client.tls_set()
        self._client.max_inflight_messages_set(MQTT_IN_FLIGHT)
        try:
            self._client.connect(address.host, address.port, keepalive=30)
        except ssl.SSLCertVerificationError as error:
            remedy = "Put the authority that signed it into the file that SSL_CERT_FILE names."
            problem = f"the broker's certificate is not trusted ({error.verify_message})"
            raise StreamUnavailable(f"mqtts://{self._where}", problem=problem, remedy=remedy) from None
        except OSError as error:
            raise StreamUnavailable(f"mqtt://{self._where}", problem=str(error), remedy="Is the broker up?") from None
        self._client.loop_start()
        self._await(self._client.is_connected, "it does not accept the connection")

    def send(self, key: str, body: bytes) -> None:  # noqa: ARG002  MQTT has no partition keys
        """Send one event; waits when too many are on their way."""
        self._in_flight.append(self._client.publish(self._topic, body, qos=1))
        if len(self._in_flight) >= MQTT_IN_FLIGHT:
            self._settle(MQTT_IN_FLIGHT // 2)

    def close(self) -> None:
        """Wait until every event is acknowledged."""
        try:
            self._settle(0)
        finally:
            self._client.disconnect()
            self._client.loop_stop()

    def _settle(self, most: int) -> None:
        """Wait until at most so many messages are unacknowledged."""

        def is_settled() -> bool:
            self._in_flight = [info for info in self._in_flight if not info.is_published()]
            return len(self._in_flight) <= most

        self._await(is_settled, "messages are not acknowledged")

    def _await(self, condition: Callable[[], bool], problem: str) -> None:
        deadline = time.monotonic() + MQTT_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                remedy = "Check that the broker is up and lets this client in."
                raise StreamUnavailable(f"mqtt://{self._where}", problem=problem, remedy=remedy)
            time.sleep(0.002)

    def _subscribe(self, client: Any, *_: object) -> None:
        """On every connection, so that commands are heard again after a reconnect."""
        if self._on_command is not None and self._command_topic:
            client.subscribe(self._command_topic, qos=1)

    def _hear(self, _client: object, _data: object, message: Any) -> None:
        if self._on_command is not None:
            self._on_command(message.payload)
