"""The hot path: a batch of events to live values, averages, signals and episodes, within milliseconds of its arrival.

Belongs here: what is kept in memory between batches, what is written with each. Does not belong here: arithmetic
(domain/live), rules (domain/alerts), when a batch is shown (streaming/process.py).

Live values, averages, the windows of rules, episodes and messages of a batch are one transaction. A process that is
killed before it loses what the stream then delivers again; one that is killed after it meets the same samples again and
knows them by their time. A batch that cannot be written is kept and written with the next one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from energy_platform.adapters.operations.live import read_values, read_windows, write_live
from energy_platform.domain.alerts.episodes import Change
from energy_platform.domain.alerts.records import ConfirmedSpike, Signal
from energy_platform.domain.alerts.stream import WindowKey, judge
from energy_platform.domain.alerts.windows import Window
from energy_platform.domain.events import EventBatch
from energy_platform.domain.live import Average, LiveValue, advance, series_of
from energy_platform.domain.live.samples import Key
from energy_platform.streaming.alerting import Alerting

logger = logging.getLogger(__name__)

OnSpike = Callable[[ConfirmedSpike], None]
OnAverages = Callable[[list[Average]], None]
OnChanges = Callable[[list[Change]], None]
# What a store that is away for long may leave waiting here; then the oldest go.
MOST_UNWRITTEN = 200_000
# A value with its window takes about 2 KB; with more of them, those of the meters at hand are read again.
MOST_IN_MEMORY = 200_000
LONGEST_NAME = 200


@dataclass(slots=True)
class _Unwritten:
    """What batches changed and the store does not have yet."""

    values: dict[Key, LiveValue] = field(default_factory=dict)
    windows: dict[WindowKey, Window] = field(default_factory=dict)
    averages: list[Average] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)


class HotRules:
    """Live state and rules of the stream, as a hook of the process.

    Args:
        alerting: where signals go; its store keeps the live state.
        now: the clock on the wall.
        sensor_unit: unit of the sensors' values as their source declares it.
    """

    def __init__(self, alerting: Alerting, *, now: Callable[[], datetime], sensor_unit: str = "kW") -> None:
        self._alerting, self._now, self._sensor_unit = alerting, now, sensor_unit
        self._values: dict[Key, LiveValue] = {}
        self._windows: dict[WindowKey, Window] = {}
        self._known_meters: set[str] = set()
        self._unwritten = _Unwritten()
        self._on_spike: list[OnSpike] = []
        self._on_averages: list[OnAverages] = []
        self._on_changes: list[OnChanges] = []
        self._unanswered: list[tuple[OnSpike, ConfirmedSpike]] = []
        self.samples = self.ignored = 0
        self.problem: str | None = None

    def on_confirmed_spike(self, act: OnSpike) -> None:
        """Call this for each confirmed voltage spike, before anything is written.

        A process that is killed in between calls it again for the same spike, and one that raises is called again with
        the next batch: it must bear that.
        """
        self._on_spike.append(act)

    def on_averages(self, take: OnAverages) -> None:
        """Call this with averages of five once they are written, in the thread of the stream."""
        self._on_averages.append(take)

    def on_changes(self, take: OnChanges) -> None:
        """Call this when episodes have changed, once that is written."""
        self._on_changes.append(take)

    def forget(self) -> None:
        """Drop what is in memory: another process may have gone on with these meters. It is read again when needed."""
        self._values.clear()
        self._windows.clear()
        self._known_meters.clear()

    def __call__(self, batch: EventBatch) -> None:
        """Take a batch in.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the store did not take it; it is kept and written with the next batch.
        """
        now_utc = self._now()
        self._act([*self._unanswered])
        found = series_of(batch, sensor_unit=self._sensor_unit)
        series = [each for each in found if _can_be_kept(each.meter_id) and _can_be_kept(each.channel)]
        self.ignored += len(found) - len(series)
        if not series:
            return
        self._remember({each.meter_id for each in series})
        advanced = [advance(self._values.get(each.key), each, received_at_utc=now_utc) for each in series]
        rules = self._alerting.book.current()
        verdict = judge(rules.stream, advanced, self._windows, site_of=self._alerting.sites.site_of_meter)
        self._act([(act, spike) for spike in verdict.spikes for act in self._on_spike])
        fresh = {each.value.key: each.value for each in advanced}
        self.samples += sum(len(each.values) for each in advanced)
        self._values |= fresh
        self._windows |= verdict.windows
        waiting = self._unwritten
        waiting.values |= fresh
        waiting.windows |= verdict.windows
        waiting.averages += [average for each in advanced for average in each.averages]
        waiting.signals += verdict.signals
        self._write(now_utc)

    def snapshot(self) -> dict[str, Any]:
        """What the health endpoint tells."""
        return {
            "samples": self.samples,
            "ignored": self.ignored,
            "channels": len({(meter, channel) for meter, channel, _ in self._values}),
            "unwritten": len(self._unwritten.values),
            "problem": self.problem or self._alerting.book.problem,
        }

    def _remember(self, meters: set[str]) -> None:
        """Read what the store knows of meters that are new here."""
        unknown = meters - self._known_meters
        if unknown:
            self._values |= {value.key: value for value in read_values(self._alerting.operations, unknown)}
            self._windows |= read_windows(self._alerting.operations, unknown)
            self._known_meters |= unknown

    def _act(self, calls: Iterable[tuple[OnSpike, ConfirmedSpike]]) -> None:
        for call in calls:
            act, spike = call
            try:
                act(spike)
            except Exception:
                logger.exception("acting on %s failed; tried again with the next batch", spike)
                if call not in self._unanswered:
                    self._unanswered.append(call)
            else:
                if call in self._unanswered:
                    self._unanswered.remove(call)

    def _write(self, now_utc: datetime) -> None:
        waiting = self._unwritten

        def beside(connection: sa.Connection) -> None:
            write_live(connection, waiting.values.values(), waiting.averages, waiting.windows, now_utc=now_utc)

        try:
            changes = self._alerting.take(waiting.signals, now_utc=now_utc, beside=beside)
        except Exception as problem:
            self.problem = f"live state is not written: {problem}"
            del waiting.averages[:-MOST_UNWRITTEN], waiting.signals[:-MOST_UNWRITTEN]
            raise
        self.problem, self._unwritten = None, _Unwritten()
        if len(self._values) > MOST_IN_MEMORY:
            self.forget()
        for take_averages in self._on_averages if waiting.averages else ():
            take_averages(waiting.averages)
        for take_changes in self._on_changes if changes else ():
            take_changes(changes)


def _can_be_kept(name: str) -> bool:
    """Whether the store takes a name; a batch must not fail for one meter's. Its samples are landed all the same."""
    return len(name) <= LONGEST_NAME and "\x00" not in name
