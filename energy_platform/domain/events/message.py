"""One message of a stream as every consumer hands it over, and how far a consumer has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Args:
        payload: the bytes as they came.
        partition: what orders messages: a shard, a topic partition, an MQTT session.
        offset: place within the partition, as the broker says it.
        arrived_at_utc: when the broker (or, for MQTT, this process) got it.
        origin: topic or partition key.
        receipt: what the consumer needs to acknowledge it; nobody else reads it.
    """

    payload: bytes
    partition: str
    offset: str
    arrived_at_utc: datetime
    origin: str = ""
    receipt: object = None


class Progress(StrEnum):
    """How a shard is resumed."""

    OLDEST = "oldest"  # from the oldest record that the stream still has
    AT_TIME = "at_time"  # from the first record at or after an instant
    AFTER = "after"  # after a sequence number that is landed
    FINISHED = "finished"  # closed by a reshard, and everything in it is landed


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a shard is landed: for ``AFTER`` the sequence number, for ``AT_TIME`` seconds since 1970."""

    progress: Progress
    position: str = ""


class CheckpointStore(Protocol):
    """Where a consumer keeps its checkpoints; both methods are whole transactions."""

    def load(self) -> dict[str, Checkpoint]:
        """The checkpoints by shard."""

    def save(self, checkpoints: Mapping[str, Checkpoint]) -> None:
        """Set the checkpoints of these shards."""
