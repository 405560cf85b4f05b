"""The control loop: telemetry confirms commands and trips shut-offs; what is asked for is sent, again and in time.

Belongs here: the order of these steps. Does not belong here: what follows from what (domain/control), brokers
(adapters/mqtt_commands.py), alerts (streaming/hot_rules.py). One loop a broker: two of them would send twice,
which a relay bears and the audit trail shows.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import uuid4

import polars as pl

from energy_platform.adapters.operations.commands import advance, open_commands, request_command
from energy_platform.adapters.operations.control_log import keep_for_good
from energy_platform.adapters.operations.devices import kill_switches, latches, list_devices, open_latch
from energy_platform.adapters.operations.store import Operations
from energy_platform.domain.alerts.records import ConfirmedSpike
from energy_platform.domain.control.commands import (
    Command,
    CommandState,
    Patience,
    give_up,
    may_be_sent,
    read_back,
    refuse,
    sent,
)
from energy_platform.domain.control.devices import Action, Device, is_on
from energy_platform.domain.control.dialects import payload
from energy_platform.domain.control.guard import kill_refusal
from energy_platform.domain.control.spikes import SpikeWatch
from energy_platform.domain.errors import StreamUnavailable
from energy_platform.domain.events import EventBatch, Message, parse_events

logger = logging.getLogger(__name__)

SHUT_OFF = "shut-off"
LOOP = "control"
SHUT_OFF_LIVES = timedelta(minutes=1)
# A latched supply that is seen on is switched off again, but not at every sample.
SHUT_OFF_AGAIN = timedelta(minutes=1)
DEVICES_READ_AGAIN = timedelta(seconds=2)
POLL_SECONDS = 0.05
Ended = Callable[[Command], None]


class Line(Protocol):
    """What carries commands; adapters/mqtt_commands.py is one."""

    def poll(self, limit: int, seconds: float) -> list[Message]:
        """Telemetry, as it comes."""

    def send(self, topic: str, content: bytes, *, expires_seconds: float) -> None:
        """Have the broker take a command, or raise ``StreamUnavailable``."""


@dataclass(slots=True)
class DeviceControl:
    """Control over the devices of a store.

    Args:
        operations: the store.
        line: where commands go.
        patience: how long a read-back may take, and how often a command is sent.
        on_ended: called with every command that was confirmed, failed or expired here: the place for alerts.
    """

    operations: Operations
    line: Line
    patience: Patience = field(default_factory=Patience)
    on_ended: Ended = lambda _: None
    counts: dict[str, int] = field(default_factory=dict)
    _devices: dict[tuple[str, str], Device] = field(default_factory=dict)
    _read_at_utc: datetime = datetime(1970, 1, 1)
    _watches: dict[tuple[str, str], SpikeWatch] = field(default_factory=dict)
    _tripped_at_utc: dict[str, datetime] = field(default_factory=dict)
    _problems: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        keep_for_good(self.operations)

    def take(self, batch: EventBatch, *, now_utc: datetime) -> None:
        """Look at telemetry: trip what has to be, confirm what can be."""
        self._read_devices(now_utc)
        if batch.telemetry.is_empty() or not self._devices:
            return
        known = pl.col("meter_id").is_in(list({meter for meter, _ in self._devices}))
        samples = batch.telemetry.filter(known).sort("measured_at_utc", maintain_order=True)
        under_way = open_commands(self.operations)
        waiting = [command for command in under_way if command.state is CommandState.SENT]
        being_shut_off = {command.device_id for command in under_way if command.is_shut_off}
        latched = latches(self.operations)
        for meter_id, channel, stamp, voltage_v in samples.select(
            "meter_id", "channel", "measured_at_utc", "voltage_v"
        ).iter_rows():
            device = self._devices.get((meter_id, channel))
            if device is None or voltage_v is None:
                continue
            at_utc = datetime.fromisoformat(stamp).replace(tzinfo=None)
            if device.device_id not in being_shut_off:
                self._watch(device, at_utc, voltage_v, is_latched=meter_id in latched, now_utc=now_utc)
            for command in [one for one in waiting if one.device_id == device.device_id]:
                after = read_back(command, is_on=is_on(voltage_v), measured_at_utc=at_utc, now_utc=now_utc)
                if not after.is_open:
                    waiting.remove(command)
                    self._move(command, after, now_utc)

    def pump(self, *, now_utc: datetime) -> None:
        """Send what is due, and end what can no longer be."""
        self._read_devices(now_utc)
        for command in open_commands(self.operations):
            device = next((one for one in self._devices.values() if one.device_id == command.device_id), None)
            if device is None:
                self._move(command, give_up(command, now_utc=now_utc, patience=self.patience), now_utc)
            else:
                self._move_on(command, device, now_utc)

    def shut_off(self, device: Device, *, cause: str, now_utc: datetime) -> None:
        """Latch a device's meter and ask for it to be switched off; sent with the next ``pump``."""
        self._tripped_at_utc[device.device_id] = now_utc
        ask_for_shut_off(self.operations, device, cause=cause, now_utc=now_utc)

    def run(self, stop: threading.Event, *, now: Callable[[], datetime]) -> None:
        """Do both until told to stop; a store or broker that fails for a while is waited for.

        Raises:
            StreamUnavailable: the broker refuses the user or a topic.
        """
        while not stop.is_set():
            messages = self.line.poll(1_000, POLL_SECONDS)
            now_utc = now()
            try:
                if messages:
                    self.take(_events(messages, now_utc), now_utc=now_utc)
                self.pump(now_utc=now())
            except Exception:
                # Whoever controls relays must not end because a disk was full for a second.
                logger.exception("control: a round failed and is taken again")
                stop.wait(1.0)

    def snapshot(self) -> dict[str, Any]:
        """What the health endpoint tells."""
        problems = sorted(set(self._problems.values()))
        return {
            "status": "failing" if problems else "ok",
            "problem": "; ".join(problems) or None,
            "devices": len(self._devices),
            "commands": dict(self.counts),
        }

    def _watch(
        self, device: Device, at_utc: datetime, voltage_v: float, *, is_latched: bool, now_utc: datetime
    ) -> None:
        if device.shut_off is None:
            return
        watch = self._watches.setdefault(device.place, SpikeWatch(device.shut_off))
        if watch.rule != device.shut_off:
            watch = self._watches[device.place] = SpikeWatch(device.shut_off)
        is_confirmed = watch.add(at_utc, voltage_v)
        tripped = self._tripped_at_utc.get(device.device_id)
        if tripped is not None and now_utc - tripped < SHUT_OFF_AGAIN and (is_latched or not is_confirmed):
            return
        if is_confirmed:
            cause = watch.evidence
            watch.samples.clear()
            self.shut_off(device, cause=cause, now_utc=now_utc)
        elif is_latched and is_on(voltage_v):
            self.shut_off(device, cause=f"latched, yet on at {voltage_v:.1f} V", now_utc=now_utc)

    def _move_on(self, command: Command, device: Device, now_utc: datetime) -> None:
        killed = kill_refusal(device.site_id, kill_switches(self.operations))
        if killed is not None and command.state is CommandState.REQUESTED:
            self._move(command, refuse(command, why=str(killed), now_utc=now_utc), now_utc)
        elif killed is None and may_be_sent(command, now_utc=now_utc, patience=self.patience):
            try:
                left = (command.expires_at_utc - now_utc).total_seconds()
                self.line.send(device.topic, payload(device, command), expires_seconds=left)
            except StreamUnavailable as problem:
                if command.command_id not in self._problems:
                    logger.warning("%s could not be sent and is tried again: %s", command.command_id, problem)
                self._problems[command.command_id] = problem.problem
                return
            self._problems.pop(command.command_id, None)
            self._move(command, sent(command, now_utc=now_utc), now_utc)
        else:
            why = self._problems.get(command.command_id, "")
            after = give_up(command, now_utc=now_utc, patience=self.patience, problem=why)
            self._move(command, after, now_utc)

    def _move(self, before: Command, after: Command, now_utc: datetime) -> None:
        if after == before or not advance(self.operations, before, after, now_utc=now_utc, actor=LOOP):
            return
        self.counts[after.state.value] = self.counts.get(after.state.value, 0) + 1
        if after.is_open:
            return
        self._problems.pop(after.command_id, None)
        is_good = after.state is CommandState.CONFIRMED
        level = logging.INFO if is_good else logging.ERROR
        told = (after.device_id, after.action.value, after.state.value, after.detail, after.command_id)
        logger.log(level, "%s %s %s: %s (command %s)", *told)
        self.on_ended(after)

    def _read_devices(self, now_utc: datetime) -> None:
        if now_utc - self._read_at_utc >= DEVICES_READ_AGAIN:
            self._devices = {device.place: device for device in list_devices(self.operations)}
            self._read_at_utc = now_utc


def ask_for_shut_off(operations: Operations, device: Device, *, cause: str, now_utc: datetime) -> Command:
    """Latch a device's meter and ask for it to be switched off, whatever limits there are but the kill switch."""
    open_latch(operations, device, cause=cause, now_utc=now_utc)
    asked = Command(
        command_id=f"shut-off-{uuid4().hex}",
        device_id=device.device_id,
        site_id=device.site_id,
        action=Action.OFF,
        requester=SHUT_OFF,
        reason=cause,
        requested_at_utc=now_utc,
        expires_at_utc=now_utc + SHUT_OFF_LIVES,
        is_shut_off=True,
    )
    kept, _ = request_command(operations, asked, now_utc=now_utc)
    logger.error("%s is shut off: %s%s", device.device_id, cause, "" if kept.is_open else f" ({kept.detail})")
    return kept


def shut_off_on_spike(operations: Operations, *, now: Callable[[], datetime]) -> Callable[[ConfirmedSpike], None]:
    """For ``HotRules.on_confirmed_spike``: a stream that control does not hear itself (Kinesis, Kafka) trips through it.

    A meter that is latched already is left alone, so that the same spike may be told twice.
    """

    def act(spike: ConfirmedSpike) -> None:
        place = (spike.meter_id, spike.channel)
        device = next((one for one in list_devices(operations) if one.place == place and one.shut_off), None)
        if device is None or device.meter_id in latches(operations):
            return
        cause = (
            f"{spike.samples} of the last {spike.of_samples} samples above {spike.limit_v:g} V, {spike.voltage_v:.1f} V"
        )
        ask_for_shut_off(operations, device, cause=cause, now_utc=now())

    return act


def _events(messages: list[Message], now_utc: datetime) -> EventBatch:
    return parse_events(
        [message.payload for message in messages],
        received_at_utc=now_utc,
        arrived_at_utc=[message.arrived_at_utc for message in messages],
        origins=[message.origin for message in messages],
    )
