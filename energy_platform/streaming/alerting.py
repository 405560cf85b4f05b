"""Alerting as one thing: signals to episodes and messages, messages to channels, the digest.

Belongs here: the order of these steps. Does not belong here: rules and states (domain/alerts), tables
(adapters/operations), services (adapters/notify). Used by the stream process, the Dagster sensors and the command line;
any number of them may deliver at once, because each message is leased.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Self

import sqlalchemy as sa

from energy_platform.adapters.alert_rules import RuleBook
from energy_platform.adapters.notify import Channel, DeliveryFailed, outgoing
from energy_platform.adapters.operations import Operations
from energy_platform.adapters.operations.episodes import list_episodes
from energy_platform.adapters.operations.live import forget_averages
from energy_platform.adapters.operations.outbox import (
    Message,
    forget_messages,
    lease_due,
    list_messages,
    mark_delivered,
    mark_failed,
    put_messages,
    take_signals,
)
from energy_platform.domain.alerts.content import digest_content, message_content
from energy_platform.domain.alerts.episodes import Change
from energy_platform.domain.alerts.records import EpisodeState, Signal
from energy_platform.domain.alerts.routing import Notice, Routing, notices
from energy_platform.domain.alerts.rules import CommandFailureRule, Rule

logger = logging.getLogger(__name__)

LIVING = (EpisodeState.OPEN, EpisodeState.ACKNOWLEDGED, EpisodeState.SNOOZED)
DIGEST_LOOKS_BACK = timedelta(days=1)
SITES_READ_AGAIN = timedelta(minutes=1)
DELIVER_SECONDS = 1.0
ROUND_SECONDS, LAST_ROUND_SECONDS = 60.0, 5.0
CLEAN_EVERY = timedelta(hours=1)
MOST_IN_DIGEST = 200


@dataclass(frozen=True, slots=True)
class Sites:
    """Which site a meter belongs to, and the zone of each site's clock."""

    site_of_meter: Mapping[str, str] = field(default_factory=dict)
    zone_of_site: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a round of deliveries came to."""

    delivered: int = 0
    failed: int = 0


@dataclass(slots=True)
class Alerting:
    """Alerting over one operations store.

    Args:
        operations: the store.
        book: the rules, read again when their files change.
        channels: by name.
        dagster_url: where links lead.
        read_sites: reads what is known of sites; asked once a minute at most.
    """

    operations: Operations
    book: RuleBook
    channels: Mapping[str, Channel]
    dagster_url: str
    read_sites: Callable[[], Sites] = Sites
    sites: Sites = field(default_factory=Sites)
    _sites_read_at_utc: datetime | None = None

    def take(
        self,
        signals: Sequence[Signal],
        *,
        now_utc: datetime,
        beside: Callable[[sa.Connection], None] | None = None,
    ) -> list[Change]:
        """Take signals to their episodes; these, their steps and messages are written in one transaction.

        What breaks a rule that does not hold (any more) opens nothing.
        """
        rules = self.book.current()
        routing, signals = rules.routing, [each for signal in signals for each in _ruled(signal, rules.rules)]
        if not signals and beside is None:
            return []

        def tell(change: Change) -> list[tuple[Notice, str, Mapping[str, Any]]]:
            return self._messages(change, routing, signals, now_utc)

        return take_signals(self.operations, signals, tell=tell, now_utc=now_utc, beside=beside)

    def deliver(self, *, now_utc: datetime, limit: int = 200, seconds: float = 300) -> Delivered:
        """Send what is due, one message after another; one that a channel does not take is tried again later.

        Args:
            now_utc: the time on the wall.
            limit: messages at most.
            seconds: after which no further one is begun.
        """
        delivered = failed = 0
        deadline = time.monotonic() + seconds
        while delivered + failed < limit and time.monotonic() < deadline:
            # Leased one at a time: a lease is for one message's time-outs, not for those of all before it.
            leased = lease_due(self.operations, now_utc=now_utc, channels=list(self.channels), limit=1)
            if not leased:
                break
            message = leased[0]
            try:
                self._send(message)
            except DeliveryFailed as problem:
                failed += 1
                again = mark_failed(self.operations, message, problem=str(problem), now_utc=now_utc)
                level = logging.WARNING if again else logging.ERROR
                fate = f"tried again at {again:%H:%M:%S}" if again else "given up"
                logger.log(level, "%s did not take %s (%s); %s", message.channel, message.delivery_key, problem, fate)
            else:
                delivered += 1
                mark_delivered(self.operations, message.delivery_key, now_utc=now_utc)
        return Delivered(delivered, failed)

    def digest(self, *, now_utc: datetime) -> list[str]:
        """Put the digest of the day into the outbox, once a day and channel; the delivery keys it has."""
        routing = self.book.current().routing
        named = sorted(self.channels) if routing.digest_channels == "all" else routing.digest_channels
        over = [
            episode
            for episode in list_episodes(self.operations, states=[EpisodeState.RECOVERED], limit=MOST_IN_DIGEST)
            if episode.recovered_at_utc is not None and episode.recovered_at_utc >= now_utc - DIGEST_LOOKS_BACK
        ]
        content = digest_content(
            list_episodes(self.operations, states=LIVING, limit=MOST_IN_DIGEST),
            over,
            undelivered=sum(1 for each in list_messages(self.operations, is_delivered=False) if each.failed_at_utc),
            zone_of=self.sites.zone_of_site,
            zone=routing.time_zone,
            dagster_url=self.dagster_url,
            now_utc=now_utc,
        )
        keys = {name: f"digest-{now_utc:%Y-%m-%d}-{name}" for name in named if name in self.channels}
        made = [(Notice(key, name, now_utc, key), "digest", content) for name, key in keys.items()]
        with self.operations.engine.begin() as connection:
            put_messages(connection, made, now_utc=now_utc)
        forget_messages(self.operations, now_utc=now_utc)
        forget_averages(self.operations, now_utc=now_utc)
        return list(keys.values())

    def look_at_sites(self, *, now_utc: datetime) -> None:
        """Read again which meter belongs to which site, when that was not done for a minute.

        When it cannot be read, what was known stays: alerts do not wait for it.
        """
        known = self._sites_read_at_utc
        if known is not None and now_utc - known < SITES_READ_AGAIN:
            return
        self._sites_read_at_utc = now_utc
        try:
            self.sites = self.read_sites()
        except Exception:
            logger.exception("the published sites cannot be read; the ones known before count")

    def _messages(
        self, change: Change, routing: Routing, signals: Sequence[Signal], now_utc: datetime
    ) -> list[tuple[Notice, str, Mapping[str, Any]]]:
        step, episode = change.step, change.episode
        zone = self.sites.zone_of_site.get(episode.subject.site_id or "")
        found = notices(step, episode, routing, channels=self.channels, zone=zone, now_utc=now_utc)
        if step is None or not found:
            return []
        text = next(
            (
                signal.text
                for signal in signals
                if (signal.rule, signal.subject, signal.at_utc) == (episode.rule, episode.subject, step.at_utc)
                and signal.is_breach != episode.is_over
            ),
            episode.text,
        )
        content = message_content(
            episode, step, text=text, zone=zone or routing.time_zone, dagster_url=self.dagster_url
        )
        return [(notice, step.kind.value, content) for notice in found]

    def _send(self, message: Message) -> None:
        channel = self.channels[message.channel]
        channel.send(outgoing(channel, message.kind, message.content, message.delivery_key))


def _ruled(signal: Signal, rules: Mapping[str, Rule]) -> list[Signal]:
    """The signal as its rule wants it, or none when the rule does not hold; an end is always taken."""
    rule = rules.get(signal.rule)
    if rule is None or not rule.enabled:
        return [] if signal.is_breach else [signal]
    if isinstance(rule, CommandFailureRule) and rule.severity.rank > signal.severity.rank:
        return [replace(signal, severity=rule.severity)]
    return [signal]


class Deliverer:
    """A thread that delivers what is due, and keeps up with the sites; a ``with`` block long.

    Args:
        alerting: whose messages.
        now: the clock.
        every_seconds: how long it sleeps when nobody wakes it.
    """

    def __init__(
        self, alerting: Alerting, *, now: Callable[[], datetime], every_seconds: float = DELIVER_SECONDS
    ) -> None:
        self._alerting, self._now, self._every = alerting, now, every_seconds
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="deliveries", daemon=True)
        self.problem: str | None = None

    def wake(self) -> None:
        """Look at once: a message was just written."""
        self._wake.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """One last round, then the end; what is not delivered waits in the store."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        cleaned_at_utc = datetime(1970, 1, 1)
        while True:
            is_last = self._stop.is_set()
            self._wake.clear()
            try:
                self._alerting.look_at_sites(now_utc=self._now())
                self._alerting.deliver(now_utc=self._now(), seconds=LAST_ROUND_SECONDS if is_last else ROUND_SECONDS)
                if self._now() - cleaned_at_utc >= CLEAN_EVERY:
                    cleaned_at_utc = self._now()
                    forget_averages(self._alerting.operations, now_utc=cleaned_at_utc)
                self.problem = None
            except Exception as problem:
                self.problem = f"deliveries fail: {problem}"
                logger.exception("a round of deliveries failed and is taken again")
            if is_last:
                return
            self._wake.wait(self._every)
