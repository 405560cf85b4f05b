"""An intent on days that have passed: the planner decides slot by slot, and loads react as their kind says.

What really happened without the intent is known here, so its effect is exact as far as the model of a device is: off, it
draws nothing; given back, a ``shift`` draws what it was denied as fast as it ever drew, a ``shed`` does not. The planner
sees only what had been measured before each slot. Belongs here: the simulation of a day. Does not belong here: sums and
judgements (outcome.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

import numpy as np

from energy_platform.domain.control.devices import Action
from energy_platform.domain.intents.declaration import Intent, Sheddable
from energy_platform.domain.intents.expected import Expected
from energy_platform.domain.intents.loads import Floats, SiteDays
from energy_platform.domain.intents.planner import DeviceNow, Situation, Switching, decide


@dataclass(frozen=True, slots=True)
class Switched:
    """A switching of a replayed day: the slot at whose start it was done."""

    slot: int
    switching: Switching


@dataclass(frozen=True, slots=True)
class DayRun:
    """A day with the intent.

    Args:
        day: local.
        expected: of it, from days before.
        without_kwh: what was really used, by slot.
        with_kwh: what would have been used, by slot.
        denied_minutes: minutes in which a device was off and wanted to run, by channel.
        switched: in order.
        owed_kwh: denied to devices that use it later, and not yet used at midnight.
    """

    day: date
    expected: Expected
    without_kwh: Floats
    with_kwh: Floats
    denied_minutes: dict[str, int]
    switched: tuple[Switched, ...]
    owed_kwh: float


@dataclass(slots=True)
class _Device:
    """A device while a day runs."""

    device: Sheddable
    wants_kwh: Floats
    most_kwh: float
    drew_kwh: float = 0.0
    off_since: int | None = None
    owed_kwh: float = 0.0
    avoided_kwh: float = 0.0
    denied_minutes: int = 0

    def switch(self, slot: int, action: Action) -> None:
        """Off, or on again; what a ``shift`` was denied comes back then, so that it is avoided no longer."""
        self.off_since = slot if action is Action.OFF else None
        if action is Action.ON and self.device.kind == "shift":
            self.avoided_kwh = 0.0

    def run(self, slot: int, slot_minutes: int) -> float:
        """What it draws in a slot."""
        wants = float(self.wants_kwh[slot])
        if self.off_since is not None:
            # What the planner can know of it: it would go on as before. What it really wanted is for the account only.
            self.avoided_kwh += self.drew_kwh
            if wants > self.device.runs_above_kw * slot_minutes / 60:
                self.denied_minutes += slot_minutes
            if self.device.kind == "shift":
                self.owed_kwh += wants
            return 0.0
        returned = min(self.owed_kwh, max(0.0, self.most_kwh - wants))
        self.owed_kwh -= returned
        self.drew_kwh = wants + returned
        return self.drew_kwh


@dataclass(slots=True)
class _Day:
    """A day while it runs."""

    intent: Intent
    expected: Expected
    devices: dict[str, _Device]
    used_kwh: float = 0.0
    switched: list[Switched] = field(default_factory=list)

    def situation(self, slot: int) -> Situation:
        """What is known at the start of a slot."""
        intent, window = self.intent, self.intent.window_slots
        minutes, expected = intent.slot_minutes, self.expected.total_kwh
        return Situation(
            passed_minutes=(slot - window.start) * minutes,
            left_minutes=(window.stop - slot) * minutes,
            used_kwh=self.used_kwh,
            avoided_kwh=sum(one.avoided_kwh for one in self.devices.values()),
            expected_so_far_kwh=float(expected[window.start : min(slot, window.stop)].sum()),
            expected_rest_kwh=float(expected[slot : window.stop].sum()),
            target_kwh=target_kwh(intent, self.expected),
            devices=[
                DeviceNow(
                    one.device,
                    one.drew_kwh * 60 / minutes,
                    None if one.off_since is None else (slot - one.off_since) * minutes,
                )
                for one in self.devices.values()
            ],
            switched_minutes_ago=[(slot - done.slot) * minutes for done in self.switched],
            price_now_pence=intent.tariff.pence_at(slot * minutes),
            price_after_pence=intent.tariff.pence_at(min(window.stop * minutes, 1_439)),
        )

    def switch(self, slot: int) -> None:
        """Let the planner decide, and do it."""
        for switching in decide(self.intent, self.situation(slot)):
            self.devices[switching.channel].switch(slot, switching.action)
            self.switched.append(Switched(slot, switching))


def target_kwh(intent: Intent, expected: Expected) -> float:
    """What a window may use in all."""
    window = intent.window_slots
    return float(expected.total_kwh[window.start : window.stop].sum()) * (1 - intent.reduce_percent / 100)


def run_day(days: SiteDays, at: int, expected: Expected, intent: Intent) -> DayRun:
    """The day at an index, with the intent, from the start of its window to midnight.

    Args:
        days: load; the day itself must be whole from the window's start on, devices included.
        at: index of the day.
        expected: of it.
        intent: the goal.
    """
    window = intent.window_slots
    devices = {
        one.channel: _Device(
            one,
            days.device_kwh[one.channel][at],
            expected.most_kwh[one.channel],
            drew_kwh=float(np.nan_to_num(days.device_kwh[one.channel][at][max(0, window.start - 1)])),
        )
        for one in intent.devices
    }
    run = _Day(intent, expected, devices)
    without, with_intent = days.total_kwh[at], days.total_kwh[at].copy()
    for slot in range(window.start, intent.slots_a_day):
        run.switch(slot)
        wanted = sum(float(one.wants_kwh[slot]) for one in devices.values())
        drawn = sum(one.run(slot, intent.slot_minutes) for one in devices.values())
        with_intent[slot] = without[slot] - wanted + drawn
        if slot < window.stop:
            run.used_kwh += with_intent[slot]
    return DayRun(
        days.dates[at],
        expected,
        without,
        with_intent,
        {channel: one.denied_minutes for channel, one in devices.items()},
        tuple(run.switched),
        sum(one.owed_kwh for one in devices.values()),
    )
