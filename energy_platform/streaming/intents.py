"""An intent at work: once a slot it looks at live load, lets the planner decide, and asks for commands like anybody else.

It may act only when this very intent was replayed on history, and what it asks for passes the same guard as every other
command: protected list, latches, kill switches, rate limits. What it remembers is in the operations store, so a process that
starts again goes on, and gives back what an earlier one took. Belongs here: the turns. Does not belong here: the decision
(domain/intents/planner.py), sending (streaming/control.py).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from energy_platform.adapters.operations import Operations
from energy_platform.adapters.operations.commands import find_command, request_command
from energy_platform.adapters.operations.devices import get_device, list_devices
from energy_platform.adapters.operations.intents import IntentDay, keep_day, list_days, list_replays
from energy_platform.adapters.operations.live import list_live
from energy_platform.domain.control.commands import Command, CommandState
from energy_platform.domain.control.devices import Action, Device
from energy_platform.domain.errors import DeclarationInvalid, IntentNotReplayed
from energy_platform.domain.intents.declaration import Intent
from energy_platform.domain.intents.expected import Expected
from energy_platform.domain.intents.planner import DeviceNow, Situation, Switching, decide
from energy_platform.domain.intents.replay import target_kwh
from energy_platform.domain.intervals import offset_minutes_at
from energy_platform.domain.live import LiveChannel

logger = logging.getLogger(__name__)

# A load that was told of longer ago is not the present; nothing is planned by it.
STALE_AFTER = timedelta(minutes=5)
COMMAND_LIVES = timedelta(minutes=2)
WHOLE_LOAD = "main"
_NEVER_CAME_ABOUT = {CommandState.REFUSED, CommandState.EXPIRED, CommandState.FAILED}


def expect_may_act(operations: Operations, intent: Intent, *, path: str) -> dict[str, Device]:
    """The devices of an intent by channel, when it may act.

    Raises:
        IntentNotReplayed: this very intent was never replayed on history.
        DeclarationInvalid: a device names none of the registry, one of another site, or one that is protected.
        DeviceNotFound: the registry has no such device.
    """
    if not list_replays(operations, intent.digest):
        raise IntentNotReplayed(intent.name, path=path)
    found = {}
    for one in intent.devices:
        if one.device_id is None:
            problem = f"the device with the load '{one.channel}' has no device_id"
            raise DeclarationInvalid(path, problem=problem, remedy="Name the device of the registry to act with it.")
        device = get_device(operations, one.device_id)
        wrong = "is protected" if device.protected else ""
        if device.site_id != intent.site_id:
            wrong = f"belongs to the site '{device.site_id}'"
        if wrong:
            raise DeclarationInvalid(path, problem=f"the device '{one.device_id}' {wrong}", remedy="Leave it out.")
        found[one.channel] = device
    return found


@dataclass(slots=True)
class _Memory:
    """What is remembered of a day between two turns; times are minutes of the local day."""

    minute: int
    avoided_kwh: dict[str, float] = field(default_factory=dict)
    load_kw: dict[str, float] = field(default_factory=dict)
    off_since: dict[str, int] = field(default_factory=dict)
    off_by: dict[str, str] = field(default_factory=dict)
    switched_at: list[int] = field(default_factory=list)


@dataclass(slots=True)
class IntentRunner:
    """One intent at one site.

    Args:
        operations: live state, commands, what is remembered.
        intent: the goal; checked by ``expect_may_act``.
        devices: its devices by channel.
        zone: of the site.
        expect: what to expect of a local day, or None; asked once a day.
    """

    operations: Operations
    intent: Intent
    devices: Mapping[str, Device]
    zone: str
    expect: Callable[[date], Expected | None]
    problem: str | None = None
    _expected: dict[date, Expected | None] = field(default_factory=dict)

    def turn(self, now_utc: datetime) -> list[Command]:
        """What the intent asks for now; nothing between two slots, or when the present is not known."""
        local = now_utc + timedelta(minutes=offset_minutes_at(self.zone, now_utc))
        minute = local.hour * 60 + local.minute
        asked = [command for day in self._unfinished(local.date()) for command in self._give_back(day, now_utc)]
        slot, window = minute // self.intent.slot_minutes, self.intent.window_slots
        if slot < window.start or not self.intent.when.holds_on(local.date()):
            return asked
        known = self._day(local.date(), minute, now_utc)
        if known is None or known.is_over:
            return asked
        is_taken = known.state["begun"] and known.state["minute"] // self.intent.slot_minutes == slot
        return asked if is_taken else asked + self._take_turn(known, minute, now_utc)

    def _take_turn(self, known: IntentDay, minute: int, now_utc: datetime) -> list[Command]:
        memory = _Memory(**{name: value for name, value in known.state.items() if name != "begun"})
        loads = self._loads_kw(now_utc)
        if loads is None:
            return []
        ends = self.intent.window_slots.stop * self.intent.slot_minutes
        hours = max(0, min(minute, ends) - memory.minute) / 60 if known.state["begun"] else 0.0
        used = known.used_kwh + loads[WHOLE_LOAD] * hours
        self._remember(memory, loads, hours)
        memory.minute = minute
        asked = [
            self._ask(switching, now_utc) for switching in decide(self.intent, self._situation(memory, used, known.day))
        ]
        for command, channel in asked:
            self._note(memory, command, channel, minute)
        is_over = minute >= ends and not memory.off_since
        state = {name: getattr(memory, name) for name in _Memory.__slots__} | {"begun": True}
        keep_day(self.operations, replace(known, used_kwh=used, state=state, is_over=is_over, updated_at_utc=now_utc))
        return [command for command, _ in asked]

    def _remember(self, memory: _Memory, loads: Mapping[str, float], hours: float) -> None:
        """Loads of what is on, what is saved by what is off; a device whose command came to nothing is not off."""
        for channel, command_id in list(memory.off_by.items()):
            command = find_command(self.operations, command_id)
            if command is None or command.state in _NEVER_CAME_ABOUT:
                memory.off_since.pop(channel, None)
                memory.off_by.pop(channel)
        for channel in self.devices:
            if channel in memory.off_since:
                saved = memory.load_kw.get(channel, 0.0) * hours
                memory.avoided_kwh[channel] = memory.avoided_kwh.get(channel, 0.0) + saved
            else:
                memory.load_kw[channel] = loads[channel]

    def _situation(self, memory: _Memory, used_kwh: float, day: date) -> Situation:
        intent, window, minutes = self.intent, self.intent.window_slots, self.intent.slot_minutes
        expected = self._expected[day]
        if expected is None:
            raise AssertionError("a day without expectation has no turn")
        slot = memory.minute // minutes
        return Situation(
            passed_minutes=memory.minute - window.start * minutes,
            left_minutes=window.stop * minutes - memory.minute,
            used_kwh=used_kwh,
            avoided_kwh=sum(memory.avoided_kwh.values()),
            expected_so_far_kwh=float(expected.total_kwh[window.start : min(slot, window.stop)].sum()),
            expected_rest_kwh=float(expected.total_kwh[slot : window.stop].sum()),
            target_kwh=target_kwh(intent, expected),
            devices=[
                DeviceNow(
                    one,
                    memory.load_kw.get(one.channel, 0.0),
                    memory.minute - memory.off_since[one.channel] if one.channel in memory.off_since else None,
                )
                for one in intent.devices
            ],
            switched_minutes_ago=[memory.minute - at for at in memory.switched_at],
            price_now_pence=intent.tariff.pence_at(memory.minute),
            price_after_pence=intent.tariff.pence_at(min(window.stop * minutes, 1_439)),
        )

    def _ask(self, switching: Switching, now_utc: datetime) -> tuple[Command, str]:
        device = self.devices[switching.channel]
        # The same slot asks under the same identifier: a process that starts again in between switches nothing twice.
        stamp = f"{now_utc - timedelta(minutes=now_utc.minute % self.intent.slot_minutes):%Y-%m-%dT%H:%M}"
        named = f"{self.intent.digest} {device.device_id} {switching.action.value} {stamp}"
        asked = Command(
            command_id=f"intent-{hashlib.sha256(named.encode()).hexdigest()[:32]}",
            device_id=device.device_id,
            site_id=device.site_id,
            action=switching.action,
            requester=f"intent:{self.intent.name}",
            reason=switching.reason,
            requested_at_utc=now_utc,
            expires_at_utc=now_utc + COMMAND_LIVES,
        )
        kept, _ = request_command(self.operations, asked, now_utc=now_utc)
        if not kept.is_open:
            logger.warning("%s: %s %s: %s", self.intent.name, device.device_id, kept.state.value, kept.detail)
        return kept, switching.channel

    def _note(self, memory: _Memory, command: Command, channel: str, minute: int) -> None:
        if command.state in _NEVER_CAME_ABOUT:
            return
        memory.switched_at.append(minute)
        if command.action is Action.OFF:
            memory.off_since[channel], memory.off_by[channel] = minute, command.command_id
            return
        memory.off_since.pop(channel, None)
        memory.off_by.pop(channel, None)
        if next(one.kind for one in self.intent.devices if one.channel == channel) == "shift":
            memory.avoided_kwh.pop(channel, None)

    def _loads_kw(self, now_utc: datetime) -> dict[str, float] | None:
        """The load of each device, and of the site under ``main``; None when one of them is not known now."""
        meters = {device.meter_id for device in list_devices(self.operations, [self.intent.site_id])}
        live = {(one.meter_id, one.channel): one for one in list_live(self.operations, meter_ids=meters)}
        total = self.intent.total_channel or WHOLE_LOAD
        places = {channel: [device.place] for channel, device in self.devices.items()}
        places[WHOLE_LOAD] = [place for place in live if place[1] == total]
        loads: dict[str, float] = {}
        for channel, of_channel in places.items():
            powers = [_power_kw(live.get(place), now_utc) for place in of_channel]
            known = [power for power in powers if power is not None]
            if not known or len(known) < len(powers):
                self.problem = f"the load of '{channel}' is not known now; nothing is planned"
                logger.warning("%s: %s", self.intent.name, self.problem)
                return None
            loads[channel] = sum(known)
        self.problem = None
        return loads

    def _day(self, day: date, minute: int, now_utc: datetime) -> IntentDay | None:
        """The day as it stands; None when nothing can be expected of it, or it would begin when its window is over."""
        if day not in self._expected:
            self._expected = {day: self.expect(day)}
        expected, window = self._expected[day], self.intent.window_slots
        if expected is None:
            self.problem = "there are too few whole days before this one to expect anything of it; nothing is planned"
            return None
        known = next((one for one in list_days(self.operations, self.intent.name) if one.day == day), None)
        if known is not None and known.digest == self.intent.digest:
            return known
        if known is None and minute >= window.stop * self.intent.slot_minutes:
            return None
        fresh = {name: getattr(_Memory(minute), name) for name in _Memory.__slots__} | {"begun": False}
        return IntentDay(
            name=self.intent.name,
            day=day,
            digest=self.intent.digest,
            expected_kwh=float(expected.total_kwh[window.start : window.stop].sum()),
            target_kwh=target_kwh(self.intent, expected),
            used_kwh=known.used_kwh if known else 0.0,
            # An intent that was changed during its window goes on with what it took.
            state=known.state if known else fresh,
            is_over=False,
            updated_at_utc=now_utc,
        )

    def _unfinished(self, today: date) -> list[IntentDay]:
        return [one for one in list_days(self.operations, self.intent.name) if not one.is_over and one.day < today]

    def _give_back(self, day: IntentDay, now_utc: datetime) -> list[Command]:
        """What a process that ended took on an earlier day and never gave back."""
        left = [channel for channel in day.state["off_since"] if channel in self.devices]
        asked = [self._ask(Switching(channel, Action.ON, "its day is over"), now_utc)[0] for channel in left]
        if all(command.state not in _NEVER_CAME_ABOUT for command in asked):
            keep_day(self.operations, replace(day, is_over=True, updated_at_utc=now_utc))
        return asked


def _power_kw(live: LiveChannel | None, now_utc: datetime) -> float | None:
    """Power of a channel; apparent power stands for it where a meter tells no other, and is never less."""
    if live is None or now_utc - live.last_seen_utc > STALE_AFTER:
        return None
    if "power_kw" in live.values:
        return live.values["power_kw"].value
    if "apparent_power_va" in live.values:
        return live.values["apparent_power_va"].value / 1000
    return None
