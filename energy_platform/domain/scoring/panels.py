"""The channels of a site at one instant as one row, although they come one by one.

Belongs here: events as rows of one quantity each, rows of all quantities, waiting for what is missing.
Does not belong here: what the rows are judged by (bundle.py).

Nothing is filled in: an instant with a missing input is passed on with a null there, and no detector judges it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from energy_platform.domain.events import EventBatch

PANEL_CHANNEL = "panel"
# Meter, channel and quantity of one number; the quantity is the column that it stands in.
Input = tuple[str, str, str]

EVENTS = pl.Schema(
    [
        ("meter_id", pl.String()),
        ("channel", pl.String()),
        ("event_at_utc", pl.Datetime("us")),
        ("quantity", pl.String()),
        ("value", pl.Float64()),
    ]
)
# So many later instants of a site, and one that still lacks an input is passed on as it is.
PATIENCE = 2
# Instants that are remembered as passed on, so that a repeated message does not bring them up again.
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Panel:
    """What belongs together.

    Args:
        name: of the site; rows carry it as their meter.
        inputs: the numbers of one instant, in the order of the columns.
    """

    name: str
    inputs: tuple[Input, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """A column an input: ``meter/channel/quantity``."""
        return tuple("/".join(one) for one in self.inputs)

    def rows(self, micros: Iterable[int], values: np.ndarray) -> pl.DataFrame:
        """Instants as ``READINGS`` with a column an input; ``value`` is how many inputs are known.

        Args:
            micros: event times in microseconds since 1970, UTC.
            values: shape (instants, inputs), NaN where missing.
        """
        known = (~np.isnan(values)).sum(axis=1).astype(np.float64)
        return pl.DataFrame(
            {
                "meter_id": pl.Series([self.name] * len(values), dtype=pl.String),
                "channel": pl.Series([PANEL_CHANNEL] * len(values), dtype=pl.String),
                "event_at_utc": pl.Series(list(micros), dtype=pl.Int64).cast(pl.Datetime("us")),
                "value": known,
                **{name: values[:, place] for place, name in enumerate(self.columns)},
            }
        )

    def whole_rows(self, events: pl.DataFrame) -> pl.DataFrame:
        """The instants of some history that have every input, oldest first: what detectors learn from.

        Args:
            events: ``EVENTS``.
        """
        keys = ["meter_id", "channel", "quantity"]
        numbered = pl.DataFrame(self.inputs, schema=keys, orient="row").with_row_index("place")
        found = events.join(numbered, on=keys).unique(["event_at_utc", "place"], keep="last", maintain_order=True)
        whole = found.filter(pl.len().over("event_at_utc") == len(self.inputs)).sort("event_at_utc", "place")
        values = whole["value"].to_numpy().reshape(-1, len(self.inputs))
        micros = whole["event_at_utc"].cast(pl.Int64).to_list()[:: len(self.inputs)]
        return self.rows(micros, values)


def events_of(batch: EventBatch) -> pl.DataFrame:
    """The accepted events of a batch as ``EVENTS``: a row a number, in the order they came, the event's own time.

    Energy of readings, ``value`` of sensors, and of telemetry voltage, current and apparent power.
    """
    parts = [
        batch.readings.select("meter_id", "channel", at="interval_start_utc", energy_kwh="energy_kwh"),
        batch.sensors.select("meter_id", "channel", at="measured_at_utc", value="value"),
        batch.telemetry.select(
            "meter_id", "channel", "voltage_v", "current_a", "apparent_power_va", at="measured_at_utc"
        ),
    ]
    long = [
        part.unpivot(index=["meter_id", "channel", "at"], variable_name="quantity", value_name="number")
        for part in parts
        if not part.is_empty()
    ]
    if not long:
        return pl.DataFrame(schema=EVENTS)
    event_at = pl.col("at").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us")
    return pl.concat([part.with_columns(event_at_utc=event_at, value="number").select(EVENTS.names()) for part in long])


@dataclass(slots=True)
class Assembler:
    """Puts the inputs of a panel together as they come, in any order.

    Args:
        panel: what belongs together.
        patience: later instants after which one is passed on although an input is missing.
    """

    panel: Panel
    patience: int = PATIENCE
    late: int = 0
    _places: dict[Input, int] = field(default_factory=dict, repr=False)
    _waiting: dict[int, np.ndarray] = field(default_factory=dict, repr=False)
    _passed: set[int] = field(default_factory=set, repr=False)
    _order: deque[int] = field(default_factory=deque, repr=False)

    def __post_init__(self) -> None:
        self._places = {one: place for place, one in enumerate(self.panel.inputs)}

    def add(self, events: pl.DataFrame) -> pl.DataFrame:
        """Take in ``EVENTS``; gives the instants that are whole, or will not be waited for, oldest first.

        A number for an instant that was passed on already is counted in ``late`` and changes nothing.
        """
        columns = (events[name].to_list() for name in ("meter_id", "channel", "quantity", "value"))
        for micro, *key, value in zip(events["event_at_utc"].cast(pl.Int64).to_list(), *columns, strict=True):
            place = self._places.get((key[0], key[1], key[2]))
            if place is None:
                continue
            if micro in self._passed:
                self.late += 1
                continue
            row = self._waiting.get(micro)
            if row is None:
                row = self._waiting[micro] = np.full(len(self._places), np.nan)
            row[place] = value
        instants = sorted(self._waiting)
        patient = set(instants[-self.patience :]) if self.patience else set()
        return self._pass_on(
            [micro for micro in instants if micro not in patient or not np.isnan(self._waiting[micro]).any()]
        )

    def drain(self) -> pl.DataFrame:
        """All that wait, as they are."""
        return self._pass_on(sorted(self._waiting))

    def _pass_on(self, instants: list[int]) -> pl.DataFrame:
        values = [self._waiting.pop(micro) for micro in instants]
        self._passed.update(instants)
        self._order.extend(instants)
        while len(self._order) > _REMEMBERED:
            self._passed.discard(self._order.popleft())
        return self.panel.rows(instants, np.stack(values) if values else np.empty((0, len(self._places))))
