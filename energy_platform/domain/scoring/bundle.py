"""The detectors of a stream: learned from its history, and what they say of what comes.

Belongs here: which detectors score a stream, fitting them, the scores as rows. Does not belong here: a
detector's rule (domain/anomalies/detectors), where a bundle is kept (adapters/stream_models.py).

Every reading is judged by its own channel's mean and spread. The channels of a site are judged together, as one
row an instant, by the four models of the stream-mining system this replaces: k-means with two centres,
an isolation forest of 100 trees, a one-class SVM and a mixture of three normal distributions. There they answered with
a cluster's number or ±1; here every answer is a distance, anomalous or not, and the time of the event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from energy_platform.domain.anomalies.detectors import reading_detectors
from energy_platform.domain.anomalies.detectors.mean_sigma import MeanSigma
from energy_platform.domain.anomalies.protocol import READING_SCORES, FittedDetector, Grain
from energy_platform.domain.errors import DetectorInput
from energy_platform.domain.scoring.panels import Assembler, Input, Panel

_OF_A_CHANNEL = MeanSigma(Grain.READING)
OF_A_CHANNEL = _OF_A_CHANNEL.name
OF_A_PANEL = ("k_means_2", "isolation_forest", "one_class_svm", "gaussian_mixture")
# With fewer inputs there is nothing to see together.
LEAST_INPUTS = 2

SCORED = pl.Schema([("detector", pl.String()), *READING_SCORES.items(), ("quantity", pl.String())])


@dataclass(frozen=True, slots=True)
class FittedPanel:
    """A panel and its detectors by name."""

    panel: Panel
    detectors: Mapping[str, FittedDetector]


@dataclass(frozen=True, slots=True)
class StreamModels:
    """What scores a stream; it can be pickled.

    Args:
        channels: the detector of single readings by quantity (energy_kwh, value, voltage_v …).
        panels: those of several channels together.
        learned_from_utc: oldest event that was learned from.
        learned_until_utc: newest.
        notes: how each was fitted, or why it was not, in words.
    """

    channels: Mapping[str, FittedDetector]
    panels: tuple[FittedPanel, ...]
    learned_from_utc: datetime
    learned_until_utc: datetime
    notes: tuple[str, ...] = ()


def learn(events: pl.DataFrame, site_of: Mapping[str, str]) -> StreamModels:
    """Fit the detectors of a stream on its history.

    Args:
        events: ``EVENTS``.
        site_of: site by meter; a meter without one is a site of its own.

    Raises:
        DetectorInput: there is no event to learn from.
    """
    if events.is_empty():
        raise DetectorInput("there is nothing to learn from: the history has no readings. Load some, or name another.")
    notes: list[str] = []
    channels: dict[str, FittedDetector] = {}
    for (quantity,), rows in events.group_by("quantity", maintain_order=True):
        fitted = _OF_A_CHANNEL.fit(rows.drop("quantity"))
        channels[str(quantity)] = fitted
        notes.append(f"{OF_A_CHANNEL} of {quantity}: {fitted.note}")
    panels = []
    for panel in panels_of(events, site_of):
        detectors = {}
        rows = panel.whole_rows(events)
        for name in OF_A_PANEL:
            try:
                detectors[name] = reading_detectors(panel.columns)[name].fit(rows)
            except DetectorInput as problem:
                notes.append(f"{panel.name}, {name} is left out: {problem}")
            else:
                notes.append(f"{panel.name}, {name}: {detectors[name].note}")
        if detectors:
            panels.append(FittedPanel(panel, detectors))
    first, last = events["event_at_utc"].min(), events["event_at_utc"].max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        raise DetectorInput("the history has no times")
    return StreamModels(channels, tuple(panels), first, last, tuple(notes))


def panels_of(events: pl.DataFrame, site_of: Mapping[str, str]) -> list[Panel]:
    """The sites with at least ``LEAST_INPUTS`` inputs, each as a panel, inputs in order of their names."""
    inputs: dict[str, list[Input]] = {}
    for meter, channel, quantity in events.select("meter_id", "channel", "quantity").unique().sort(pl.all()).rows():
        inputs.setdefault(site_of.get(meter, meter), []).append((meter, channel, quantity))
    return [Panel(site, tuple(found)) for site, found in sorted(inputs.items()) if len(found) >= LEAST_INPUTS]


@dataclass(slots=True)
class Scoring:
    """A stream being scored by one bundle: it remembers instants that are not whole yet.

    Args:
        models: the bundle.
    """

    models: StreamModels
    assemblers: tuple[Assembler, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.assemblers = tuple(Assembler(fitted.panel) for fitted in self.models.panels)

    def score(self, events: pl.DataFrame) -> pl.DataFrame:
        """What every detector says of ``EVENTS``: ``SCORED``, each row with the time of its event.

        Each event has one row of its channel's detector where its quantity was learned; each instant of a panel
        that became whole one of each of the panel's.
        """
        parts = [*self._channels(events), *self._panels([one.add(events) for one in self.assemblers])]
        return pl.concat(parts) if parts else pl.DataFrame(schema=SCORED)

    def drain(self) -> pl.DataFrame:
        """The instants that still wait for an input, as they are: none is whole, so none is judged."""
        parts = list(self._panels([one.drain() for one in self.assemblers]))
        return pl.concat(parts) if parts else pl.DataFrame(schema=SCORED)

    def _channels(self, events: pl.DataFrame) -> Iterator[pl.DataFrame]:
        for quantity, fitted in self.models.channels.items():
            rows = events.filter(pl.col("quantity") == quantity)
            if not rows.is_empty():
                yield _scored(fitted.score(rows.drop("quantity")), OF_A_CHANNEL, quantity)

    def _panels(self, whole: list[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        for fitted, rows in zip(self.models.panels, whole, strict=True):
            if not rows.is_empty():
                for name, detector in fitted.detectors.items():
                    yield _scored(detector.score(rows), name, "panel")


def _scored(scores: pl.DataFrame, detector: str, quantity: str) -> pl.DataFrame:
    told = scores.with_columns(detector=pl.lit(detector), quantity=pl.lit(quantity))
    return told.select(SCORED.names()).cast(SCORED)
