"""Kafka topics by a consumer group, committed by hand after landing.

Belongs here: what librdkafka wants. Does not belong here: validation and landing (streaming/).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from energy_platform.domain.errors import StreamUnavailable
from energy_platform.domain.events import Message

if TYPE_CHECKING:
    from confluent_kafka import Consumer, TopicPartition

logger = logging.getLogger(__name__)

# What librdkafka may fetch ahead; its default of 64 MiB a partition is the larger part of a small process.
PREFETCH_KIB = 16_384


def consumer_config(
    brokers: str,
    group: str,
    *,
    username: str | None = None,
    password: str | None = None,
    options: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What the consumer is made with; ``options`` are librdkafka's own and win, save for the commits.

    Example:
        >>> consumer_config("localhost:9092", "energy", options={"session.timeout.ms": "6000"})["enable.auto.commit"]
        False
    """
    config: dict[str, Any] = {
        "bootstrap.servers": brokers,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "queued.max.messages.kbytes": PREFETCH_KIB,
        "allow.auto.create.topics": False,
    }
    if username is not None:
        config |= {"sasl.username": username, "sasl.password": password or "", "sasl.mechanisms": "SCRAM-SHA-512"}
        config |= {"security.protocol": "SASL_SSL"}
    # An automatic commit could acknowledge what is not landed yet, so that no option may turn it on.
    return config | dict(options or {}) | {"enable.auto.commit": False, "enable.auto.offset.store": False}


class KafkaSource:
    """Messages of one or more topics.

    Args:
        config: from ``consumer_config``.
        topics: to subscribe to; names that begin with ``^`` are patterns.
    """

    window: int | None = None

    def __init__(self, config: Mapping[str, Any], topics: Sequence[str]) -> None:
        from confluent_kafka import Consumer

        self._consumer: Consumer = Consumer(dict(config))
        self._name = ",".join(topics)
        self._assigned: set[tuple[str, int]] = set()
        self._behind: dict[tuple[str, int], int] = {}
        self._flush: Callable[[], None] = lambda: None
        self._consumer.subscribe(
            list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def poll(self, limit: int, seconds: float) -> list[Message]:
        """At most ``limit`` messages; returns with the first ones, or with none after ``seconds``."""
        from confluent_kafka import KafkaError

        # One at a time until something is there, then whatever librdkafka holds already: `consume`
        # with a long timeout would wait for the full number.
        fetched = self._consumer.consume(1, seconds)
        if fetched and limit > 1:
            fetched += self._consumer.consume(limit - 1, 0.005)
        messages = []
        for message in fetched:
            error = message.error()
            if error is None:
                messages.append(_message(message))
            elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                remedy = "Create the topic or check its name."
                raise StreamUnavailable(self._name, problem="the broker does not know the topic", remedy=remedy)
            elif error.fatal() or error.code() in {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError._AUTHENTICATION}:  # noqa: SLF001 - librdkafka's own codes are spelled so
                raise StreamUnavailable(self._name, problem=error.str(), remedy="See the broker's log.")
            else:
                logger.warning("%s: %s", self._name, error.str())
        return messages

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Commit the offsets after these messages, for the partitions that are still this consumer's.

        A commit that fails is logged: the messages are landed, and come again as duplicates.
        """
        from confluent_kafka import KafkaException, TopicPartition

        newest: dict[tuple[str, int], int] = {}
        for message in messages:
            topic, partition, offset = _place(message)
            newest[topic, partition] = max(offset, newest.get((topic, partition), -1))
        offsets = [
            TopicPartition(topic, partition, offset + 1)
            for (topic, partition), offset in newest.items()
            if (topic, partition) in self._assigned
        ]
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
            self._note_lag(offsets)
        except KafkaException as problem:
            logger.warning("%s: a commit failed, its messages will come again: %s", self._name, problem)

    def on_revoked(self, flush: Callable[[], None]) -> None:
        """What to do before partitions are given away: land and acknowledge what is held."""
        self._flush = flush

    def lag(self) -> dict[str, float]:
        """Messages that the broker has beyond the committed ones, as of the last commit; partitions that are ours."""
        return {"messages": float(sum(self._behind.values())), "partitions": float(len(self._assigned))}

    def close(self) -> None:
        """Leave the group, so that the others take over at once."""
        self._consumer.close()

    def _note_lag(self, offsets: Sequence[TopicPartition]) -> None:
        for place in offsets:
            marks = self._consumer.get_watermark_offsets(place, cached=True)
            if marks is not None and marks[1] >= 0:
                self._behind[place.topic, place.partition] = max(0, marks[1] - place.offset)

    def _on_assign(self, _: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._assigned |= {(place.topic, place.partition) for place in partitions}
        logger.info("assigned: %s", sorted(self._assigned))

    def _on_revoke(self, _: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._flush()
        self._forget(partitions)

    def _on_lost(self, _: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """Others own these already: what is held is landed with the next batch and not committed."""
        self._forget(partitions)

    def _forget(self, partitions: Sequence[TopicPartition]) -> None:
        for place in partitions:
            self._assigned.discard((place.topic, place.partition))
            self._behind.pop((place.topic, place.partition), None)


def _place(message: Message) -> tuple[str, int, int]:
    place: Any = message.receipt
    topic, partition, offset = place
    return topic, partition, offset


def _message(message: Any) -> Message:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    _, stamp = message.timestamp()
    return Message(
        payload=message.value() or b"",
        partition=f"{topic}-{partition}",
        offset=str(offset),
        arrived_at_utc=datetime.fromtimestamp(max(stamp, 0) / 1000, tz=UTC).replace(tzinfo=None),
        origin=topic,
        receipt=(topic, partition, offset),
    )
