"""A Kinesis stream: every shard, through reshards, resumed from checkpoints.

Belongs here: what the Kinesis API wants. Does not belong here: validation, landing (streaming/),
where checkpoints are kept (any ``CheckpointStore``).

One process reads a stream for one consumer name; two processes with the same name would read
everything twice, which costs time and changes nothing in the lake.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from energy_platform.domain.errors import StreamUnavailable
from energy_platform.domain.events import Checkpoint, CheckpointStore, Message, Progress

if TYPE_CHECKING:
    from mypy_boto3_kinesis.client import KinesisClient
    from mypy_boto3_kinesis.type_defs import ShardTypeDef

logger = logging.getLogger(__name__)

StartAt = Literal["latest", "trim-horizon"]
# A shard answers five reads a second; GetRecords gives at most 10,000 records.
READ_EVERY_SECONDS = 0.2
THROTTLED_SECONDS = 1.0
LIST_SHARDS_EVERY_SECONDS = 60.0
RECORDS_PER_READ = 10_000
_PASSING = {
    "ProvisionedThroughputExceededException",
    "LimitExceededException",
    "KMSThrottlingException",
    "InternalFailure",
    "ServiceUnavailable",
}
_GONE = {"ResourceNotFoundException", "InvalidArgumentException", "AccessDeniedException"}


def connect(*, endpoint_url: str | None = None, region: str | None = None) -> KinesisClient:
    """A client with adaptive retries; credentials come from where AWS tools look for them."""
    import boto3
    from botocore.config import Config

    config = Config(retries={"mode": "adaptive", "max_attempts": 8}, connect_timeout=10, read_timeout=30)
    return boto3.client("kinesis", endpoint_url=endpoint_url, region_name=region, config=config)


@dataclass(slots=True)
class _Cursor:
    """Where reading stands in one shard."""

    resume: Checkpoint
    iterator: str | None = None
    not_before: float = 0.0
    unacknowledged: int = 0
    exhausted: bool = False
    seconds_behind: float = 0.0


class KinesisSource:
    """Messages of every shard of one stream; parents are finished before their children are begun.

    Args:
        client: from ``connect``.
        stream: name of the stream.
        store: where checkpoints are kept.
        start_at: where to begin when there is no checkpoint at all.
        now: the clock, replaced in tests.
    """

    window: int | None = None

    def __init__(
        self,
        client: KinesisClient,
        stream: str,
        store: CheckpointStore,
        *,
        start_at: StartAt = "trim-horizon",
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client, self._stream, self._store, self._now = client, stream, store, now
        self._checkpoints = store.load()
        self._cursors: dict[str, _Cursor] = {}
        self._listed_at = float("-inf")
        if not self._checkpoints and start_at == "latest":
            self._begin_at_latest()

    def poll(self, limit: int, seconds: float) -> list[Message]:
        """At most ``limit`` messages; waits up to ``seconds`` for the first one, and for a service that is away."""
        from botocore.exceptions import ConnectionError as AwayError
        from botocore.exceptions import HTTPClientError

        deadline = time.monotonic() + seconds
        while True:
            messages: list[Message] = []
            try:
                self._read_round(messages, limit)
            except (AwayError, HTTPClientError) as problem:
                logger.warning("%s: %s; trying again", self._stream, problem)
                time.sleep(THROTTLED_SECONDS)
            left = deadline - time.monotonic()
            if messages or left <= 0:
                return messages
            time.sleep(min(0.05, left))

    def _read_round(self, messages: list[Message], limit: int) -> None:
        """Read every open shard once into ``messages``; what was read before a failure is in there, too."""
        if time.monotonic() - self._listed_at > LIST_SHARDS_EVERY_SECONDS:
            self._open_shards()
        for shard, cursor in list(self._cursors.items()):
            if len(messages) < limit and not cursor.exhausted and time.monotonic() >= cursor.not_before:
                messages += self._read(shard, cursor, min(RECORDS_PER_READ, limit - len(messages)))
        self._finish_shards()

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Record that these messages are landed: the next start of this consumer begins after them."""
        reached: dict[str, Checkpoint] = {}
        for message in messages:
            reached[message.partition] = Checkpoint(Progress.AFTER, message.offset)
        self._save(reached)
        for message in messages:
            self._cursors[message.partition].unacknowledged -= 1
        self._finish_shards()

    def on_revoked(self, flush: Callable[[], None]) -> None:
        """Shards are never taken away from a running process; there is nothing to register."""

    def lag(self) -> dict[str, float]:
        """How many seconds the slowest shard is behind the newest record."""
        return {"seconds": max((cursor.seconds_behind for cursor in self._cursors.values()), default=0.0)}

    def close(self) -> None:
        """End the connection; what was not acknowledged is read again."""
        self._client.close()

    # --- shards

    def _begin_at_latest(self) -> None:
        """Record the start as an instant, durably: a crash before the first checkpoint must not skip anything."""
        instant = Checkpoint(Progress.AT_TIME, repr(self._now()))
        self._save(
            {
                shard["ShardId"]: Checkpoint(Progress.FINISHED) if _is_closed(shard) else instant
                for shard in self._list_shards()
            }
        )

    def _open_shards(self) -> None:
        """Begin every shard whose parents are finished (or gone) and that is not finished itself."""
        shards = {shard["ShardId"]: shard for shard in self._list_shards()}
        self._listed_at = time.monotonic()
        for name, shard in shards.items():
            if name in self._cursors or self._is_finished(name):
                continue
            parents = [shard.get("ParentShardId"), shard.get("AdjacentParentShardId")]
            if all(self._is_finished(parent) for parent in parents if parent in shards):
                self._cursors[name] = _Cursor(self._checkpoints.get(name, Checkpoint(Progress.OLDEST)))
                logger.info("reading shard %s of %s", name, self._stream)

    def _finish_shards(self) -> None:
        """Mark closed shards as finished once everything in them is landed, and begin their children."""
        done = [name for name, cursor in self._cursors.items() if cursor.exhausted and not cursor.unacknowledged]
        if done:
            self._save({name: Checkpoint(Progress.FINISHED) for name in done})
            for name in done:
                del self._cursors[name]
            self._open_shards()

    def _is_finished(self, shard: str | None) -> bool:
        known = self._checkpoints.get(shard) if shard else None
        return known is not None and known.progress is Progress.FINISHED

    def _save(self, checkpoints: dict[str, Checkpoint]) -> None:
        if checkpoints:
            self._store.save(checkpoints)
            self._checkpoints.update(checkpoints)

    def _list_shards(self) -> list[ShardTypeDef]:
        shards: list[ShardTypeDef] = []
        request: dict[str, Any] = {"StreamName": self._stream}
        while True:
            answer = self._call("list_shards", **request)
            shards += answer["Shards"]
            if not answer.get("NextToken"):
                return shards
            request = {"NextToken": answer["NextToken"]}

    # --- records

    def _read(self, shard: str, cursor: _Cursor, limit: int) -> list[Message]:
        from botocore.exceptions import ClientError

        try:
            if cursor.iterator is None:
                cursor.iterator = self._iterator(shard, cursor.resume)
            answer = self._call("get_records", ShardIterator=cursor.iterator, Limit=limit)
        except ClientError as problem:
            code = problem.response["Error"]["Code"]
            if code == "ExpiredIteratorException":
                cursor.iterator = None
            elif code in _PASSING:
                cursor.not_before = time.monotonic() + THROTTLED_SECONDS
            else:
                raise
            return []
        cursor.iterator = answer.get("NextShardIterator")
        cursor.exhausted = cursor.iterator is None
        cursor.seconds_behind = answer.get("MillisBehindLatest", 0) / 1000
        if not answer["Records"] or not cursor.seconds_behind:
            cursor.not_before = time.monotonic() + READ_EVERY_SECONDS
        messages = [
            Message(
                payload=record["Data"],
                partition=shard,
                offset=record["SequenceNumber"],
                arrived_at_utc=record["ApproximateArrivalTimestamp"].astimezone(UTC).replace(tzinfo=None),
                origin=record["PartitionKey"],
            )
            for record in answer["Records"]
        ]
        if messages:
            cursor.resume = Checkpoint(Progress.AFTER, messages[-1].offset)
            cursor.unacknowledged += len(messages)
        return messages

    def _iterator(self, shard: str, resume: Checkpoint) -> str:
        request: dict[str, Any] = {"StreamName": self._stream, "ShardId": shard}
        if resume.progress is Progress.AFTER:
            request |= {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": resume.position}
        elif resume.progress is Progress.AT_TIME:
            instant = datetime.fromtimestamp(float(resume.position), tz=UTC)
            request |= {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": instant}
        else:
            request |= {"ShardIteratorType": "TRIM_HORIZON"}
        iterator: str = self._call("get_shard_iterator", **request)["ShardIterator"]
        return iterator

    def _call(self, operation: str, **request: Any) -> dict[str, Any]:
        from botocore.exceptions import ClientError, NoCredentialsError

        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**request)
        except NoCredentialsError:
            remedy = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role."
            raise StreamUnavailable(self._stream, problem="there are no AWS credentials", remedy=remedy) from None
        except ClientError as problem:
            error = problem.response["Error"]
            if error["Code"] in _GONE:
                remedy = (
                    "Check the name, the region and the permissions, or take a new --consumer name to begin afresh."
                )
                raise StreamUnavailable(
                    self._stream, problem=error.get("Message", error["Code"]), remedy=remedy
                ) from None
            raise
        return answer


def _is_closed(shard: ShardTypeDef) -> bool:
    return "EndingSequenceNumber" in shard["SequenceNumberRange"]
