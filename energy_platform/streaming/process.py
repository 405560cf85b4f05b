"""The loop of a stream: fill a batch, validate it, land it, and only then acknowledge it.

Belongs here: the order of these steps, when a batch is closed, what happens when the disk refuses.
Does not belong here: brokers (adapters/), the shape of events (domain/events), rules (domain/alerts).

One thread consumes and validates; another waits for the disk, which takes as long. While a batch is being
landed the next one is filled and validated, and no third is begun: so the broker's flow control is the
back-pressure, and memory holds at most two batches and what the client prefetches.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from energy_platform.adapters.landing_batches import BatchName, Landed, LandingBatches
from energy_platform.domain.events import EventBatch, Message, parse_events
from energy_platform.streaming.source import StreamSource

logger = logging.getLogger(__name__)

Hook = Callable[[EventBatch], None]
MAX_BATCH_BYTES = 32 * 1024 * 1024
# How long one wait for messages may last, so that a request to stop is seen soon.
POLL_SECONDS = 0.2
# With a full window nothing more can come before an acknowledgement; a gap this long shows it. So long may
# a batch wait for its acknowledgement, too, after it is landed.
WINDOW_GAP_SECONDS = 0.005
RETRY_SECONDS = (0.5, 1, 2, 5, 10, 30)
# Hot hooks see a message at most so long after it came, and take at most this share of the loop's time.
HOT_SECONDS = 0.02
HOT_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch is closed: so many messages, or so long after its first one."""

    messages: int = 10_000
    seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class _Validated:
    """Messages of one partition and what validation made of them."""

    messages: Sequence[Message]
    received_at_utc: datetime
    batch: EventBatch


@dataclass(frozen=True, slots=True)
class _Unacknowledged:
    """A batch that is being landed."""

    messages: Sequence[Message]
    landed: Future[list[Landed]]


@dataclass(slots=True)
class _Hot:
    """Hooks that do not wait for a batch to be full: what they have seen of it, and when they look next."""

    hooks: Sequence[Hook]
    seen: int = 0
    next_look: float = 0.0

    def wait(self, seconds: float, held: int) -> float:
        """At most so long, and no longer than until they look at what is held and not seen."""
        is_waited_for = bool(self.hooks) and held > self.seen
        return max(0.0, min(seconds, self.next_look - time.monotonic())) if is_waited_for else seconds


@dataclass(slots=True)
class StreamState:
    """What the health endpoint tells; written by the loop, ``problem`` by the thread that lands."""

    started_at_utc: datetime
    messages: int = 0
    accepted: int = 0
    rejected: int = 0
    batches: int = 0
    files: int = 0
    hook_errors: int = 0
    newest_message_utc: datetime | None = None
    problem: str | None = None
    lag: dict[str, float] = field(default_factory=dict)

    def snapshot(self, now_utc: datetime) -> dict[str, Any]:
        """The state as JSON: ``status`` is ``ok``, or ``failing`` with the ``problem``."""
        newest = self.newest_message_utc
        return {
            "status": "ok" if self.problem is None else "failing",
            "problem": self.problem,
            "uptime_seconds": round((now_utc - self.started_at_utc).total_seconds(), 3),
            "last_event_age_seconds": None if newest is None else round((now_utc - newest).total_seconds(), 3),
            "lag": self.lag,
            "messages": self.messages,
            "accepted": self.accepted,
            "rejected": self.rejected,
            "batches": self.batches,
            "files": self.files,
            "hook_errors": self.hook_errors,
        }


def utc_now() -> datetime:
    """The present as the platform keeps times: UTC without a zone."""
    return datetime.now(tz=UTC).replace(tzinfo=None)


class StreamProcess:
    """One stream, from its messages to files in the landing zone.

    Args:
        name: of the stream, as it stands in the names of files.
        source: what gives messages.
        landing: where batches go.
        limits: when a batch is closed.
        hooks: called with every validated batch before it is landed, in order. One that fails is
            logged and counted; it never holds up landing.
        hot_hooks: called in the same way, but with what has come since they were called last, ``HOT_SECONDS`` after it
            came, however long the batch is still filled. What they are shown may come again after a crash.
        on_revoked: called when partitions have been given to another consumer.
        now: the clock, replaced in tests.
    """

    def __init__(
        self,
        name: str,
        source: StreamSource,
        landing: LandingBatches,
        *,
        limits: BatchLimits | None = None,
        hooks: Sequence[Hook] = (),
        hot_hooks: Sequence[Hook] = (),
        on_revoked: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._name, self._source, self._landing, self._now = name, source, landing, now
        self._limits, self._hooks = limits or BatchLimits(), tuple(hooks)
        self._hot, self._on_revoked = _Hot(tuple(hot_hooks)), on_revoked
        self._held: list[Message] = []
        self._landing_now: _Unacknowledged | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="landing")
        self._stop = threading.Event()
        self.state = StreamState(started_at_utc=now())
        source.on_revoked(self._flush_and_wait)

    def stop(self) -> None:
        """Ask the loop to land what it holds and to end; safe from a signal handler."""
        self._stop.set()

    def run(self) -> StreamState:
        """Consume until ``stop``; then land and acknowledge what is held, and close the source.

        Raises:
            OSError: the disk refused until the stop was asked for; what was held comes again.
            StreamUnavailable: the stream is gone or refuses this consumer.
        """
        self._landing.sweep()
        try:
            while not self._stop.is_set():
                self._fill()
                self._flush()
            self._settle()
        except BaseException:
            # Behind a batch that is not landed nothing may be acknowledged, and `close` asks for a last flush.
            self._held = []
            raise
        finally:
            self._source.close()
            self._writer.shutdown()
        return self.state

    def _fill(self) -> None:
        """Consume until the batch is full, old enough, or the broker waits for acknowledgements."""
        deadline: float | None = None
        held_bytes = 0
        while not self._stop.is_set() and len(self._held) < self._limits.messages and held_bytes < MAX_BATCH_BYTES:
            left = POLL_SECONDS if deadline is None else min(POLL_SECONDS, deadline - time.monotonic())
            if left <= 0:
                return
            if self._landing_now is not None and self._landing_now.landed.done():
                self._settle()
            under_way = 0 if self._landing_now is None else len(self._landing_now.messages)
            window_full = self._source.window is not None and len(self._held) + under_way >= self._source.window
            wait = min(left, WINDOW_GAP_SECONDS) if window_full or under_way else left
            fresh = self._source.poll(self._limits.messages - len(self._held), self._hot.wait(wait, len(self._held)))
            if fresh and deadline is None:
                deadline = time.monotonic() + self._limits.seconds
            self._held += fresh
            held_bytes += sum(len(message.payload) for message in fresh)
            self._look_if_due()
            if not fresh:
                self.state.lag = self._source.lag()
                if window_full:
                    return

    def _flush(self) -> None:
        """Validate what is held and begin to land it, when the batch before it is landed and acknowledged."""
        if 0 < self._hot.seen < len(self._held):
            self._look(self._held[self._hot.seen :])
        is_unseen, self._hot.seen = self._hot.seen == 0, 0
        messages, self._held = self._held, []
        partitions = dict.fromkeys([message.partition for message in messages])
        alone = len(partitions) == 1
        validated = [
            self._validate(messages if alone else [each for each in messages if each.partition == partition])
            for partition in partitions
        ]
        for each in validated:
            self._show(each.batch, (*self._hot.hooks, *self._hooks) if is_unseen else self._hooks)
        self._settle()
        if messages:
            self._landing_now = _Unacknowledged(messages, self._writer.submit(self._land_all, validated))

    def _flush_and_wait(self) -> None:
        self._flush()
        self._settle()
        self._on_revoked()

    def _settle(self) -> None:
        """Wait until the batch under way is landed, then acknowledge all of it."""
        if self._landing_now is None:
            return
        batch, self._landing_now = self._landing_now, None
        for landed in batch.landed.result():
            self.state.accepted += landed.accepted
            self.state.rejected += landed.rejected
            self.state.files += len(landed.files)
        self._source.acknowledge(batch.messages)
        self.state.messages += len(batch.messages)
        self.state.batches += 1
        self.state.newest_message_utc = max([message.arrived_at_utc for message in batch.messages])
        self.state.lag = self._source.lag()

    def _look_if_due(self) -> None:
        """Show hot hooks what has come, unless they have looked a moment ago."""
        hot, began = self._hot, time.monotonic()
        if not hot.hooks or len(self._held) == hot.seen or len(self._held) >= self._limits.messages:
            return  # nothing new, or the batch is full and they see it at once
        if began >= hot.next_look:
            self._look(self._held[hot.seen :])
            hot.seen, ended = len(self._held), time.monotonic()
            hot.next_look = ended + max(HOT_SECONDS, (ended - began) / HOT_SHARE)

    def _look(self, messages: Sequence[Message]) -> None:
        # Validated again with the batch: once more is cheaper than to hold up the batch, or the hooks, for each other.
        self._show(self._validate(messages).batch, self._hot.hooks)

    def _validate(self, messages: Sequence[Message]) -> _Validated:
        received_at_utc = self._now()
        batch = parse_events(
            [message.payload for message in messages],
            received_at_utc=received_at_utc,
            arrived_at_utc=[message.arrived_at_utc for message in messages],
            origins=[message.origin for message in messages],
        )
        return _Validated(messages, received_at_utc, batch)

    def _show(self, batch: EventBatch, hooks: Sequence[Hook]) -> None:
        for hook in hooks:
            try:
                hook(batch)
            except Exception:
                self.state.hook_errors += 1
                logger.exception("%s: a hook failed; the batch is landed all the same", self._name)

    def _land_all(self, batches: Sequence[_Validated]) -> list[Landed]:
        """Land one file a partition and shape; in the thread that writes."""
        return [self._land(batch) for batch in batches]

    def _land(self, validated: _Validated) -> Landed:
        messages = validated.messages
        name = BatchName(self._name, messages[0].partition, messages[0].offset, messages[-1].offset)

        def where(index: int) -> dict[str, str]:
            message = messages[index]
            place = {"partition": message.partition, "offset": message.offset, "origin": message.origin}
            return {"stream": self._name, **place}

        attempt = 0
        while True:
            try:
                landed = self._landing.land(
                    validated.batch,
                    name,
                    received_at_utc=validated.received_at_utc,
                    raw=lambda at: messages[at].payload,
                    where=where,
                )
            except OSError as problem:
                self.state.problem = f"landing failed: {problem}"
                logger.exception("%s: landing failed, the batch is kept and tried again", self._name)
                if self._stop.wait(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)]):
                    raise
                attempt += 1
                continue
            self.state.problem = None
            return landed
