"""What to switch now, so that a window stays below its goal: from live load, what is to be expected, and prices.

The same function plans a replay and a real evening: it is given what can be known at that moment and nothing else.
Belongs here: the decision. Does not belong here: how loads react (replay.py), whether a command is allowed
(domain/control/guard.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from energy_platform.domain.control.devices import Action
from energy_platform.domain.intents.declaration import Intent, Sheddable

# The window's start says little about how its rest will go: before this, expectations are taken as they are.
TRUSTED_AFTER_MINUTES = 30
MOST_CORRECTION = 2.0
# A device is given back only when the goal stays in reach by this share, or it would be taken away again at once.
EASED_BELOW = 0.95
MINUTES_AN_HOUR = 60


@dataclass(frozen=True, slots=True)
class DeviceNow:
    """A device at the moment of the decision.

    Args:
        device: as declared.
        load_kw: what it draws; of a device that is off, what it drew before.
        off_minutes: how long it has been off by this intent; None when it is not.
    """

    device: Sheddable
    load_kw: float
    off_minutes: int | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known at one moment of a window.

    Args:
        passed_minutes: since the window began; beyond its end, devices are only given back.
        left_minutes: to its end; 0 or less after it.
        used_kwh: in the window so far.
        avoided_kwh: what devices would have used on top while they were off, as far as it has not come back.
        expected_so_far_kwh: what was to be expected up to now.
        expected_rest_kwh: what is to be expected from now to the end.
        target_kwh: what the window may use in all.
        devices: all that the intent may switch.
        switched_minutes_ago: its switchings, newest or oldest first.
        price_now_pence: of a kilowatt-hour.
        price_after_pence: when the window is over.
    """

    passed_minutes: int
    left_minutes: int
    used_kwh: float
    avoided_kwh: float
    expected_so_far_kwh: float
    expected_rest_kwh: float
    target_kwh: float
    devices: Sequence[DeviceNow]
    switched_minutes_ago: Sequence[int]
    price_now_pence: float
    price_after_pence: float


@dataclass(frozen=True, slots=True)
class Switching:
    """One thing to do, and why."""

    channel: str
    action: Action
    reason: str


def projected_kwh(now: Situation) -> float:
    """What the window will use if nothing more is switched before it must be.

    That is what was used so far, and the rest as expected, corrected by how the window would have gone without the intent,
    less what the devices that are off go on saving.
    """
    rest = now.expected_rest_kwh
    if now.passed_minutes >= TRUSTED_AFTER_MINUTES and now.expected_so_far_kwh > 0:
        ratio = (now.used_kwh + now.avoided_kwh) / now.expected_so_far_kwh
        rest *= min(MOST_CORRECTION, max(1 / MOST_CORRECTION, ratio))
    return now.used_kwh + rest - sum(_saving_kwh(one, now) for one in now.devices if one.off_minutes is not None)


def _saving_kwh(one: DeviceNow, now: Situation) -> float:
    """What a device saves from now on while it is off for as long as it may be; one that is on, if it were."""
    minutes = min(now.left_minutes, one.device.most_minutes_off - (one.off_minutes or 0))
    return one.load_kw * max(0, minutes) / MINUTES_AN_HOUR


def decide(intent: Intent, now: Situation) -> list[Switching]:
    """What to switch now; never more than the intent's switchings an hour, and never a device that is not its own."""
    recent = sum(minutes < MINUTES_AN_HOUR for minutes in now.switched_minutes_ago)
    budget = intent.switchings_per_hour - recent
    wished = [*_gives_back(now), *_takes(intent, now)]
    return wished[: max(0, budget)]


def _gives_back(now: Situation) -> Iterator[Switching]:
    """Devices that must not be off any longer, or need not be; the one that was off longest first."""
    is_off = [(one.off_minutes, one) for one in now.devices if one.off_minutes is not None]
    projected = projected_kwh(now)
    for minutes, one in sorted(is_off, key=lambda pair: -pair[0]):
        if now.left_minutes <= 0:
            yield Switching(one.device.channel, Action.ON, "the window is over")
        elif minutes >= one.device.most_minutes_off:
            yield Switching(one.device.channel, Action.ON, f"off for {minutes} minutes, the most that is allowed")
        elif projected + _saving_kwh(one, now) < EASED_BELOW * now.target_kwh:
            projected += _saving_kwh(one, now)
            reason = f"the goal is in reach with it: {projected:.2f} of {now.target_kwh:.2f} kWh"
            yield Switching(one.device.channel, Action.ON, reason)


def _takes(intent: Intent, now: Situation) -> Iterator[Switching]:
    """Devices to take away, until what they would use makes up for what is too much."""
    if now.left_minutes <= 0:
        return
    too_much = projected_kwh(now) - now.target_kwh
    off = sum(one.off_minutes is not None for one in now.devices)
    running = [one for one in now.devices if one.off_minutes is None and one.load_kw > one.device.runs_above_kw]
    for one in sorted(running, key=lambda each: _worth_pence_an_hour(each, now), reverse=True):
        # Each device that is off must be given back within the hour that follows the window: no more than that may be.
        if too_much <= 0 or off >= intent.switchings_per_hour:
            return
        reason = (
            f"{projected_kwh(now):.2f} kWh are to be expected of {now.target_kwh:.2f}; it draws {one.load_kw:.2f} kW"
        )
        yield Switching(one.device.channel, Action.OFF, reason)
        too_much -= _saving_kwh(one, now)
        off += 1


def _worth_pence_an_hour(one: DeviceNow, now: Situation) -> tuple[float, float]:
    """What an hour without it saves: a load that comes back later is only worth the difference of prices."""
    later = now.price_after_pence if one.device.kind == "shift" else 0.0
    return one.load_kw * (now.price_now_pence - later), one.load_kw
