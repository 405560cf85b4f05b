"""Anomalies on the stream: every event is scored by the champion detectors within a moment of its arrival.

Belongs here: loading the champion beside the loop, scoring a batch, handing on what was found. Does not belong
here: detectors and their rows (domain/scoring), the registry (adapters/detector_registry.py).

A ``StreamScorer`` is a hot hook of the stream process. A thread looks every few seconds where the alias
``champion`` points and loads what it finds. Another scores what has come since it scored last, 20 ms of CPU a round
however few events it holds, so that a busy stream is scored in larger rounds and the loop goes on meanwhile. Until
there is a champion nothing is scored, and the health endpoint says so.
"""

from __future__ import annotations

import logging
import pickle
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import TracebackType
from typing import Any, Protocol, Self

import polars as pl

from energy_platform.adapters.champion_alias import CUTOFF_TAG, MODEL_TAG
from energy_platform.adapters.detector_registry import DetectorRegistry
from energy_platform.adapters.registry_records import RunRecord
from energy_platform.domain.events import EventBatch
from energy_platform.domain.scoring.bundle import Scoring, StreamModels
from energy_platform.domain.scoring.panels import events_of

logger = logging.getLogger(__name__)

RELOAD_SECONDS = 5.0
# Batches that wait to be scored; then the loop waits, because memory has an end.
MOST_WAITING = 256


class ModelStore(Protocol):
    """Where champions are."""

    def champion(self) -> str | None:
        """The version in use."""

    def load(self, version: str) -> StreamModels:
        """Its bundle."""


@dataclass(frozen=True, slots=True)
class RegisteredModels:
    """The bundles of streams in MLflow: a bundle as a version, the alias ``champion`` on the one in use.

    Args:
        registry: of fitted detectors; it vouches for the bytes of a version by their hash.
        name: of the registered model.
    """

    registry: DetectorRegistry
    name: str = "stream-detectors"

    def register(self, models: StreamModels, *, cutoff: date, events: int) -> str:
        """Keep a bundle as a new version, champion unless one knows newer days; gives the version.

        Args:
            models: the bundle.
            cutoff: it knows only events before this day.
            events: how many it was learned on.
        """
        inputs = sum(len(fitted.panel.inputs) for fitted in models.panels)
        record = RunRecord(
            f"{self.name} {cutoff}",
            metrics={"events": events, "panels": len(models.panels), "inputs": inputs},
            tags={CUTOFF_TAG: cutoff.isoformat(), MODEL_TAG: self.name},
        )
        content = pickle.dumps(models, protocol=pickle.HIGHEST_PROTOCOL)
        _, version = self.registry.log(self.name, content, record, description="\n\n".join(models.notes))
        return version

    def champion(self) -> str | None:
        """The version in use; None without one."""
        return self.registry.champion(self.name)

    def load(self, version: str) -> StreamModels:
        """The bundle of a version.

        Raises:
            DetectorInput: the file is not what was registered.
        """
        content = self.registry.load(self.name, version)
        models: StreamModels = pickle.loads(content)  # noqa: S301  # the registry has checked its hash
        return models


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """What the detectors said of some events.

    Args:
        scores: ``domain.scoring.bundle.SCORED``; ``event_at_utc`` is the event's own time.
        scored_at_utc: when they were done.
        version: of the bundle.
    """

    scores: pl.DataFrame
    scored_at_utc: datetime
    version: str

    @property
    def anomalous(self) -> pl.DataFrame:
        """The rows that a detector calls anomalous."""
        return self.scores.filter("is_anomalous")


OnScored = Callable[[ScoredBatch], None]


class StreamScorer:
    """A hot hook that scores what it is shown.

    Args:
        store: where champions are.
        on_scored: called with every round of scores, in the thread that scores. One that fails is logged and counted.
        now: the clock, naive UTC.
        reload_seconds: how often the alias is looked at.
    """

    def __init__(
        self,
        store: ModelStore,
        on_scored: Sequence[OnScored] = (),
        *,
        now: Callable[[], datetime],
        reload_seconds: float = RELOAD_SECONDS,
    ) -> None:
        self._store, self._on_scored, self._now = store, tuple(on_scored), now
        self._reload_seconds = reload_seconds
        self._loaded: tuple[str, StreamModels] | None = None
        self._scoring: tuple[str, Scoring] | None = None
        self._closing = threading.Event()
        self._waiting: queue.Queue[EventBatch | None] = queue.Queue(MOST_WAITING)
        self._watcher = threading.Thread(target=self._watch, name="champion", daemon=True)
        self._worker = threading.Thread(target=self._score_all, name="scoring", daemon=True)
        self._counts = {
            "events": 0,
            "unscored_events": 0,
            "scores": 0,
            "anomalous": 0,
            "sink_errors": 0,
            "failed_rounds": 0,
        }
        self._slowest_seconds = 0.0
        self._problem: str | None = None

    def __enter__(self) -> Self:
        self._watcher.start()
        self._worker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Score what waits, and tell of the instants that will not become whole any more."""
        self._closing.set()
        self._waiting.put(None)
        self._worker.join()
        self._watcher.join(timeout=5)

    def __call__(self, batch: EventBatch) -> None:
        """Leave a batch to be scored; waits only while ``MOST_WAITING`` others do."""
        self._waiting.put(batch)

    def score(self, batches: Sequence[EventBatch]) -> None:
        """Score the accepted events of some batches together and hand the scores on."""
        events = pl.concat([events_of(batch) for batch in batches])
        self._counts["events"] += events.height
        loaded = self._loaded
        if loaded is None:
            self._counts["unscored_events"] += events.height
            return
        began = time.perf_counter()
        if self._scoring is None or self._scoring[0] != loaded[0]:
            # Instants that waited under the old bundle are told as they are; the new one begins afresh.
            self._drain()
            self._scoring = (loaded[0], Scoring(loaded[1]))
        self._hand_on(self._scoring[1].score(events), loaded[0])
        self._slowest_seconds = max(self._slowest_seconds, time.perf_counter() - began)

    def reload(self) -> None:
        """Look where the alias points, and load what is new; a failure keeps what is loaded."""
        try:
            version = self._store.champion()
            if version is not None and (self._loaded is None or self._loaded[0] != version):
                self._loaded = (version, self._store.load(version))
                logger.info("detectors of the stream: version %s is loaded", version)
            self._problem = None if version is not None else "no detectors are registered: `energy stream learn`"
        except Exception as problem:
            # The registry is away, or holds something unusable: the stream goes on, and health tells of it.
            self._problem = f"{type(problem).__name__}: {problem}"
            logger.exception("the detectors of the stream cannot be loaded; the last ones stay")

    def snapshot(self) -> dict[str, Any]:
        """For the health endpoint: the version in use, counts, the slowest round, and what is wrong with loading."""
        version = None if self._loaded is None else self._loaded[0]
        slowest = round(self._slowest_seconds, 4)
        return {"version": version, "problem": self._problem, "slowest_round_seconds": slowest, **self._counts}

    def _watch(self) -> None:
        while True:
            self.reload()
            if self._closing.wait(self._reload_seconds):
                return

    def _score_all(self) -> None:
        """Rounds of whatever waits, until the end is among it."""
        is_open = True
        while is_open:
            waiting = [self._waiting.get()]
            while not self._waiting.empty():
                waiting.append(self._waiting.get())
            is_open = None not in waiting
            batches = [batch for batch in waiting if batch is not None]
            try:
                if batches:
                    self.score(batches)
            except Exception:
                self._counts["failed_rounds"] += 1
                logger.exception("a round was not scored; the stream goes on")
        self._drain()

    def _drain(self) -> None:
        """Tell of the instants that wait for an input, as they are."""
        if self._scoring is not None:
            self._hand_on(self._scoring[1].drain(), self._scoring[0])

    def _hand_on(self, scores: pl.DataFrame, version: str) -> None:
        if scores.is_empty():
            return
        found = ScoredBatch(scores, self._now(), version)
        self._counts["scores"] += scores.height
        self._counts["anomalous"] += int(scores["is_anomalous"].sum())
        for take in self._on_scored:
            try:
                take(found)
            except Exception:
                self._counts["sink_errors"] += 1
                logger.exception("scores could not be handed on; the stream goes on")
