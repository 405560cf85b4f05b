"""At moto's server: shards and restarts. Reshards at a small stand-in, because moto keeps writing to closed parents.

The stand-in follows the API reference: a closed shard gives its records and then no NextShardIterator;
its children are listed with their parents and take every later record.
"""

# ruff: noqa: N803 - the stand-in takes the arguments that AWS names

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import ClassVar

import pytest

from energy_platform.adapters.kinesis import KinesisSource
from energy_platform.domain.errors import StreamUnavailable
from energy_platform.domain.events import Progress
from energy_platform_tests.streaming import brokers


class Store(dict):
    """Checkpoints in memory."""

    def load(self):
        return dict(self)

    def save(self, checkpoints):
        self.update(checkpoints)


@pytest.fixture(scope="module")
def client():
    with brokers.kinesis_server() as endpoint:
        yield brokers.kinesis_client(endpoint)


@pytest.fixture
def stream(client, request):
    name = request.node.name[:100].replace("[", "-").replace("]", "")
    client.create_stream(StreamName=name, ShardCount=2)
    yield name
    client.delete_stream(StreamName=name)


def put(client, stream, numbers):
    records = [{"Data": b"%d" % number, "PartitionKey": str(number)} for number in numbers]
    client.put_records(StreamName=stream, Records=records)


def drain(source, *, acknowledge=True):
    taken = []
    while messages := source.poll(50, 0.5):
        taken += messages
        if acknowledge:
            source.acknowledge(messages)
    return sorted(int(message.payload) for message in taken)


def test_every_shard_is_read_and_a_restart_begins_after_what_was_acknowledged(client, stream):
    store = Store()
    put(client, stream, range(100))
    assert drain(KinesisSource(client, stream, store)) == list(range(100))
    put(client, stream, range(100, 120))
    again = KinesisSource(client, stream, store)
    assert drain(again, acknowledge=False) == list(range(100, 120))
    assert again.lag() == {"seconds": 0.0}
    assert drain(KinesisSource(client, stream, store)) == list(range(100, 120)), "unacknowledged, so it comes again"


class ReshardedStream:
    """Two parents that were merged into one child, which was split into two grandchildren."""

    shards: ClassVar = {
        "left": (None, None, [b"0", b"1"], True),
        "right": (None, None, [b"2"], True),
        "merged": ("left", "right", [b"3", b"4"], True),
        "low": ("merged", None, [b"5"], False),
        "high": ("merged", None, [b"6"], False),
    }

    def __init__(self):
        self.read = []

    def list_shards(self, *, StreamName=None, NextToken=None):
        names = list(self.shards)[3:] if NextToken else list(self.shards)[:3]
        answer = {"Shards": [self.describe(name) for name in names]}
        return answer if NextToken else answer | {"NextToken": "more"}

    def describe(self, name):
        parent, adjacent, _, closed = self.shards[name]
        numbers = {"StartingSequenceNumber": "0"} | ({"EndingSequenceNumber": "9"} if closed else {})
        parents = {"ParentShardId": parent, "AdjacentParentShardId": adjacent}
        return {"ShardId": name, "SequenceNumberRange": numbers} | {k: v for k, v in parents.items() if v}

    def get_shard_iterator(self, *, StreamName, ShardId, ShardIteratorType, StartingSequenceNumber="-1"):
        return {"ShardIterator": f"{ShardId}:{int(StartingSequenceNumber) + 1}"}

    def get_records(self, *, ShardIterator, Limit):
        name, _, place = ShardIterator.partition(":")
        self.read.append(name)
        _, _, data, closed = self.shards[name]
        records = [
            {
                "Data": each,
                "SequenceNumber": str(number),
                "PartitionKey": "k",
                "ApproximateArrivalTimestamp": datetime(2024, 1, 1, tzinfo=UTC),
            }
            for number, each in enumerate(data)
        ][int(place) : int(place) + 1]
        following = int(place) + len(records)
        ended = closed and following == len(data)
        iterator = {} if ended else {"NextShardIterator": f"{name}:{following}"}
        return {"Records": records, "MillisBehindLatest": 0 if following == len(data) else 5_000, **iterator}


def test_children_are_begun_when_every_parent_is_landed_and_not_before(monkeypatch):
    monkeypatch.setattr("energy_platform.adapters.kinesis.READ_EVERY_SECONDS", 0.0)
    stream, store = ReshardedStream(), Store()
    source = KinesisSource(stream, "readings", store)
    held = [message for _ in range(3) for message in source.poll(100, 0.05)]
    assert sorted(message.payload for message in held) == [b"0", b"1", b"2"]
    assert set(stream.read) == {"left", "right"}, "the parents are read but not acknowledged"
    source.acknowledge(held[:2])
    source.acknowledge(held[2:])
    assert drain(source) == [3, 4, 5, 6]
    assert {name for name, at in store.items() if at.progress is Progress.FINISHED} == {"left", "right", "merged"}


def test_a_restart_in_the_middle_of_a_reshard_reads_the_rest_once(monkeypatch):
    monkeypatch.setattr("energy_platform.adapters.kinesis.READ_EVERY_SECONDS", 0.0)
    store = Store()
    first = KinesisSource(ReshardedStream(), "readings", store)
    taken = first.poll(100, 0.05)
    first.acknowledge(taken)
    done = {int(message.payload) for message in taken}
    assert set(drain(KinesisSource(ReshardedStream(), "readings", store))) == set(range(7)) - done


def test_latest_skips_what_was_there_and_survives_a_crash_before_the_first_checkpoint(client, stream):
    store = Store()
    put(client, stream, range(10))
    time.sleep(0.05)
    source = KinesisSource(client, stream, store, start_at="latest")
    assert {checkpoint.progress for checkpoint in store.values()} == {Progress.AT_TIME}
    time.sleep(0.05)
    put(client, stream, range(10, 20))
    assert drain(source, acknowledge=False) == list(range(10, 20))
    restarted = KinesisSource(client, stream, store, start_at="latest")
    assert drain(restarted) == list(range(10, 20))


def test_throttling_and_an_expired_iterator_are_waited_out(client, stream, monkeypatch):
    from botocore.exceptions import ClientError

    monkeypatch.setattr("energy_platform.adapters.kinesis.THROTTLED_SECONDS", 0.05)
    put(client, stream, range(20))
    troubles = iter(["ProvisionedThroughputExceededException", "ExpiredIteratorException"] * 2)
    real = client.get_records

    def get_records(**request):
        code = next(troubles, None)
        if code is not None:
            raise ClientError({"Error": {"Code": code, "Message": code}}, "GetRecords")
        return real(**request)

    monkeypatch.setattr(client, "get_records", get_records)
    assert drain(KinesisSource(client, stream, Store())) == list(range(20))


def test_a_stream_that_is_not_there_says_what_to_check(client):
    with pytest.raises(StreamUnavailable, match="Check the name"):
        KinesisSource(client, "nowhere", Store()).poll(1, 0.1)


def failing(code):
    from botocore.exceptions import ClientError

    def call(**request):
        raise ClientError({"Error": {"Code": code, "Message": code}}, "operation")

    return call


def test_a_checkpoint_of_another_stream_says_how_to_begin_afresh(client, stream, monkeypatch):
    # What AWS answers; moto fails at such a sequence number.
    monkeypatch.setattr(client, "get_shard_iterator", failing("InvalidArgumentException"))
    with pytest.raises(StreamUnavailable, match="--consumer"):
        KinesisSource(client, stream, Store()).poll(1, 0.1)


def test_while_the_service_is_away_the_process_waits(client, stream, monkeypatch):
    from botocore.exceptions import EndpointConnectionError

    monkeypatch.setattr("energy_platform.adapters.kinesis.THROTTLED_SECONDS", 0.01)
    put(client, stream, range(5))
    source = KinesisSource(client, stream, Store())

    def away(**request):
        raise EndpointConnectionError(endpoint_url="http://kinesis")

    with monkeypatch.context() as patch:
        patch.setattr(client, "list_shards", away)
        assert source.poll(10, 0.1) == []
    with monkeypatch.context() as patch:
        patch.setattr(client, "get_records", away)
        assert source.poll(10, 0.1) == []
    assert drain(source) == list(range(5))
