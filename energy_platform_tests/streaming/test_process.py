"""The loop's promises, at a stream that is a list: land first, acknowledge after, lose nothing."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from datetime import datetime
from itertools import chain

import orjson
import pytest

from energy_platform.adapters.landing_batches import LandingBatches
from energy_platform.domain.events import Message
from energy_platform.streaming.health import health_endpoint
from energy_platform.streaming.process import BatchLimits, StreamProcess
from energy_platform_tests.streaming.consumer import event, landed, rejected, wait_until

NOW = datetime(2024, 6, 1, 12)


class ListSource:
    """Gives messages until there are no more; then asks the process to stop."""

    def __init__(self, payloads, *, partitions=1, window=None):
        self.messages = [
            Message(payload, f"p{place % partitions}", str(place), NOW) for place, payload in enumerate(payloads)
        ]
        self.window, self.given, self.acknowledged, self.calls = window, 0, [], []
        self.flush, self.when_empty, self.closed = None, lambda: None, False

    def poll(self, limit, seconds):
        room = limit if self.window is None else min(limit, self.window - (self.given - len(self.acknowledged)))
        fresh = self.messages[self.given : self.given + room]
        self.given += len(fresh)
        if self.given == len(self.messages) and not fresh:
            self.when_empty()
        if not fresh:
            time.sleep(min(seconds, 0.01))
        return fresh

    def acknowledge(self, messages):
        self.acknowledged += [message.offset for message in messages]
        self.calls.append(len(messages))

    def on_revoked(self, flush):
        self.flush = flush

    def lag(self):
        return {"messages": 0.0}

    def close(self):
        self.closed = True


def run(tmp_path, source, *, limits=None, landing=None, **options):
    landing = landing or LandingBatches(tmp_path)
    process = StreamProcess("test", source, landing, limits=limits or BatchLimits(100, 5), now=lambda: NOW, **options)
    source.when_empty = process.stop
    return process, process.run()


def test_batches_are_landed_whole_and_acknowledged_in_order(tmp_path):
    source = ListSource([event(number) for number in range(250)])
    _, state = run(tmp_path, source)
    assert source.calls == [100, 100, 50]
    assert source.acknowledged == [str(number) for number in range(250)]
    assert len(landed(tmp_path)) == state.accepted == 250
    assert source.closed


def test_each_partition_has_a_file_of_its_own(tmp_path):
    run(tmp_path, ListSource([event(number) for number in range(90)], partitions=3))
    names = sorted(path.name.rsplit("-", 1)[0] for path in tmp_path.rglob("*.ndjson"))
    assert names == ["test-p0-0-87", "test-p1-1-88", "test-p2-2-89"]


def test_poison_is_kept_with_its_place_and_the_stream_goes_on(tmp_path):
    source = ListSource([event(0), b"poison", event(1)])
    _, state = run(tmp_path, source)
    assert (state.accepted, state.rejected) == (2, 1)
    assert rejected(tmp_path)[0]["where"] == {"stream": "test", "partition": "p0", "offset": "1", "origin": ""}
    assert len(source.acknowledged) == 3


def test_nothing_is_acknowledged_before_it_is_landed(tmp_path):
    source = ListSource([event(number) for number in range(30)])

    class Watching(LandingBatches):
        def land(self, *arguments, **options):
            assert source.acknowledged == []
            return super().land(*arguments, **options)

    run(tmp_path, source, landing=Watching(tmp_path))
    assert len(source.acknowledged) == 30


class Failing(LandingBatches):
    __slots__ = ()
    failures = 2

    def land(self, *arguments, **options):
        if Failing.failures > 0:
            Failing.failures -= 1
            raise OSError(28, "No space left on device")
        return LandingBatches.land(self, *arguments, **options)


def test_a_full_disk_is_waited_for_and_nothing_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr("energy_platform.streaming.process.RETRY_SECONDS", (0.01,))
    monkeypatch.setattr(Failing, "failures", 2)
    source = ListSource([event(number) for number in range(10)])
    process = StreamProcess("test", source, Failing(tmp_path), limits=BatchLimits(10, 5), now=lambda: NOW)
    # Asking to stop ends the waiting, so that it is asked only after the disk took the batch.
    source.when_empty = lambda: process.stop() if source.acknowledged else None
    state = process.run()
    assert (state.accepted, state.problem) == (10, None)


def test_a_stop_while_the_disk_refuses_ends_with_the_error_and_acknowledges_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(Failing, "failures", 10**9)
    source = ListSource([event(0)])
    process = StreamProcess("test", source, Failing(tmp_path), limits=BatchLimits(1, 5), now=lambda: NOW)
    threading.Timer(0.2, process.stop).start()
    with pytest.raises(OSError, match="No space"):
        process.run()
    assert source.acknowledged == []
    assert source.closed
    assert process.state.snapshot(NOW)["status"] == "failing"


def test_behind_a_batch_that_is_not_landed_nothing_is_acknowledged_even_by_a_flush_at_the_end(tmp_path):
    class FirstRefused(LandingBatches):
        def land(self, batch, name, **options):
            if name.first_offset == "0":
                wait_until(lambda: source.given == 20, 10, every=0.005)
                raise RuntimeError("refused for good")
            return LandingBatches.land(self, batch, name, **options)

    source = ListSource([event(number) for number in range(20)])
    process = StreamProcess("test", source, FirstRefused(tmp_path), limits=BatchLimits(15, 60), now=lambda: NOW)
    source.close = source.flush  # as Kafka takes its partitions away when a consumer leaves
    with pytest.raises(RuntimeError, match="for good"):
        process.run()
    assert source.acknowledged == []
    assert landed(tmp_path) == []


def test_the_next_batch_is_filled_and_validated_while_one_is_landed_and_no_third_is_begun(tmp_path):
    source, seen = ListSource([event(number) for number in range(40)]), []
    release = threading.Event()

    class Slow(LandingBatches):
        def land(self, batch, name, **options):
            release.wait(10)
            return LandingBatches.land(self, batch, name, **options)

    def hook(batch):
        seen.append(batch.accepted)
        if len(seen) == 2:
            threading.Timer(0.1, release.set).start()
            assert (source.given, source.acknowledged) == (20, [])

    _, state = run(tmp_path, source, limits=BatchLimits(10, 60), landing=Slow(tmp_path), hooks=[hook])
    assert (seen, state.hook_errors, state.accepted) == ([10] * 4, 0, 40)
    assert source.calls == [10] * 4


def test_a_window_that_is_full_closes_the_batch_instead_of_waiting_for_its_age(tmp_path):
    source = ListSource([event(number) for number in range(100)], window=20)
    began = time.monotonic()
    run(tmp_path, source, limits=BatchLimits(10_000, 60))
    assert source.calls == [20] * 5
    assert time.monotonic() - began < 30


def test_before_partitions_are_given_away_what_is_held_is_landed_and_acknowledged(tmp_path):
    source = ListSource([event(number) for number in range(10)])
    given = source.poll

    def poll(limit, seconds):
        if source.given == 5:
            source.flush()
            assert len(source.acknowledged) == 5
            assert len(landed(tmp_path)) == 5
        return given(min(limit, 5), seconds)

    source.poll = poll
    run(tmp_path, source)
    assert len(landed(tmp_path)) == 10


def test_a_hook_sees_every_batch_and_its_failure_holds_nothing_up(tmp_path):
    seen = []

    def broken(_):
        raise ValueError

    source = ListSource([event(number) for number in range(5)])
    _, state = run(tmp_path, source, hooks=[broken, lambda batch: seen.append(batch.accepted)])
    assert (seen, state.hook_errors, state.accepted) == ([5], 1, 5)


def numbers_of(batch):
    return [round(energy * 1000) for energy in batch.readings["energy_kwh"]]


def test_a_hot_hook_sees_every_message_once_and_long_before_the_batch_is_full(tmp_path):
    source, seen = ListSource([event(number) for number in range(60)]), []
    given = source.poll

    def poll(limit, seconds):
        # Twenty messages, then more only after those were seen: hooks that waited for the batch would wait for ever.
        if source.given in {20, 40} and sum(map(len, seen)) < source.given:
            time.sleep(0.001)
            return []
        return given(min(limit, 10), seconds)

    source.poll = poll
    _, state = run(
        tmp_path, source, limits=BatchLimits(1_000, 60), hot_hooks=[lambda batch: seen.append(numbers_of(batch))]
    )
    assert list(chain.from_iterable(seen)) == list(range(60))
    assert len(seen) >= 3
    assert (source.calls, state.accepted, state.hook_errors) == ([60], 60, 0)


def test_a_batch_that_fills_at_once_is_shown_whole_and_validated_once(tmp_path, monkeypatch):
    validated, seen = [], []
    parse = StreamProcess._validate
    monkeypatch.setattr(StreamProcess, "_validate", lambda self, messages: validated.append(1) or parse(self, messages))
    source = ListSource([event(number) for number in range(200)])
    run(tmp_path, source, hot_hooks=[lambda batch: seen.append(batch.accepted)])
    assert (seen, len(validated)) == ([100, 100], 2)


def test_a_hot_hook_that_fails_holds_nothing_up_and_a_revoked_partition_is_told(tmp_path):
    told = []
    source = ListSource([event(number) for number in range(5)])
    process = StreamProcess(
        "test",
        source,
        LandingBatches(tmp_path),
        limits=BatchLimits(100, 5),
        hot_hooks=[lambda _: 1 / 0],
        on_revoked=lambda: told.append(len(source.acknowledged)),
        now=lambda: NOW,
    )
    source.when_empty = process.stop
    source.close = source.flush
    state = process.run()
    assert state.accepted == 5
    assert state.hook_errors >= 1
    assert told == [5]


def test_health_is_200_when_it_works_and_503_when_it_does_not():
    state = {"status": "ok", "messages": 3}
    with health_endpoint(lambda: state, host="127.0.0.1", port=0) as port:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as answer:
            assert orjson.loads(answer.read()) == state
        state["status"] = "failing"
        for path, code in (("/health", 503), ("/else", 404)):
            with pytest.raises(urllib.error.HTTPError) as problem:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}")
            assert problem.value.code == code
