"""What a replay says: each day's energy, money and comfort, and why a day would have failed.

Energy and money are those of the whole rest of the day: what a device uses later, it uses, and what was still owed to
devices at midnight is counted as used at midnight's price. Belongs here: sums and words over replayed days.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np

from energy_platform.domain.errors import ReplayImpossible
from energy_platform.domain.intents.declaration import Intent
from energy_platform.domain.intents.expected import expected_of
from energy_platform.domain.intents.loads import SiteDays
from energy_platform.domain.intents.replay import DayRun, run_day, target_kwh


@dataclass(frozen=True, slots=True)
class DayOutcome:
    """One day.

    Args:
        day: local.
        expected_kwh: of the window, from days before.
        target_kwh: what it was to stay below.
        without_kwh: what the window really used.
        with_kwh: what it would have used.
        is_met: whether it would have stayed below.
        is_met_without: whether it did, with nobody switching anything.
        removed_kwh: what control would have taken out of the window.
        day_saved_kwh: what would have been left of that by midnight; below 0 when more came back.
        day_saved_pence: the same in money.
        denied_minutes: minutes in which a device was off and wanted to run, of all devices.
        switchings: how many.
        why_failed: empty when it was met.
    """

    day: date
    expected_kwh: float
    target_kwh: float
    without_kwh: float
    with_kwh: float
    is_met: bool
    is_met_without: bool
    removed_kwh: float
    day_saved_kwh: float
    day_saved_pence: float
    denied_minutes: int
    switchings: int
    why_failed: str = ""


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """All days.

    Args:
        intent: what was replayed.
        days: those that could be.
        left_out: the others on which the goal holds, with the reason.
    """

    intent: Intent
    days: tuple[DayOutcome, ...]
    left_out: tuple[tuple[date, str], ...]

    @property
    def failed(self) -> tuple[DayOutcome, ...]:
        """The days on which the goal would have been missed."""
        return tuple(day for day in self.days if not day.is_met)

    def summary(self) -> dict[str, Any]:
        """The figures over all days."""
        removed = sum(day.removed_kwh for day in self.days)
        without = sum(day.without_kwh for day in self.days)
        expected = sum(day.expected_kwh for day in self.days)
        errors = [abs(day.without_kwh - day.expected_kwh) for day in self.days]
        return {
            "days": len(self.days),
            "days_met": len(self.days) - len(self.failed),
            "days_met_without": sum(day.is_met_without for day in self.days),
            "days_left_out": len(self.left_out),
            "expected_kwh": expected,
            "without_kwh": without,
            "with_kwh": sum(day.with_kwh for day in self.days),
            "removed_kwh": removed,
            "removed_percent": 100 * removed / without if without else 0.0,
            "day_saved_kwh": sum(day.day_saved_kwh for day in self.days),
            "day_saved_pence": sum(day.day_saved_pence for day in self.days),
            "denied_minutes": sum(day.denied_minutes for day in self.days),
            "switchings": sum(day.switchings for day in self.days),
            "expectation_error_percent": 100 * sum(errors) / without if without else 0.0,
        }

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "intent": self.intent.name,
            "digest": self.intent.digest,
            "summary": self.summary(),
            "days": [asdict(day) for day in self.days],
            "left_out": [{"day": day, "reason": reason} for day, reason in self.left_out],
        }


def replay(days: SiteDays, intent: Intent, *, first: date, last: date) -> ReplayOutcome:
    """An intent on every day from ``first`` to ``last`` on which it holds.

    Raises:
        ReplayImpossible: not one day could be replayed; says why of the first.
    """
    done: list[DayOutcome] = []
    left_out: list[tuple[date, str]] = []
    for at, day in enumerate(days.dates):
        if not (first <= day <= last and intent.when.holds_on(day)):
            continue
        expected, missing = expected_of(days, at, intent), _missing_slots(days, at, intent)
        if expected is None:
            left_out.append((day, f"fewer than {intent.least_days} whole days of its kind before it"))
        elif missing:
            left_out.append((day, f"{missing} of its slots are not fully measured"))
        else:
            done.append(judge(run_day(days, at, expected, intent), intent, days, at))
    if not done:
        why = f"{left_out[0][0]}: {left_out[0][1]}" if left_out else "the goal holds on none of them"
        raise ReplayImpossible(f"intent {intent.name}: no day from {first} to {last} can be replayed ({why}).")
    return ReplayOutcome(intent, tuple(done), tuple(left_out))


def judge(run: DayRun, intent: Intent, days: SiteDays, at: int) -> DayOutcome:
    """The figures of a replayed day, and why it failed if it did."""
    window = slice(intent.window_slots.start, intent.window_slots.stop)
    prices = np.array([intent.tariff.pence_at(slot * intent.slot_minutes) for slot in range(intent.slots_a_day)])
    target, without = target_kwh(intent, run.expected), float(run.without_kwh[window].sum())
    with_kwh = float(run.with_kwh[window].sum())
    change = (run.without_kwh - run.with_kwh)[window.start :]
    is_met = with_kwh <= target + 1e-9
    return DayOutcome(
        day=run.day,
        expected_kwh=float(run.expected.total_kwh[window].sum()),
        target_kwh=target,
        without_kwh=without,
        with_kwh=with_kwh,
        is_met=is_met,
        is_met_without=without <= target + 1e-9,
        removed_kwh=without - with_kwh,
        day_saved_kwh=_settled(float(change.sum()) - run.owed_kwh),
        day_saved_pence=_settled(float((change * prices[window.start :]).sum()) - run.owed_kwh * float(prices[-1])),
        denied_minutes=sum(run.denied_minutes.values()),
        switchings=len(run.switched),
        why_failed="" if is_met else _why_failed(run, intent, without - _within_reach(days, at, intent), target),
    )


def _settled(value: float) -> float:
    """Without what adding floats up leaves: energy that came back whole leaves nothing."""
    return round(value, 9) + 0.0


def _within_reach(days: SiteDays, at: int, intent: Intent) -> float:
    """What the devices really used in the window: more cannot be taken out of it."""
    window = slice(intent.window_slots.start, intent.window_slots.stop)
    return sum(float(np.nansum(days.device_kwh[one.channel][at][window])) for one in intent.devices)


def _why_failed(run: DayRun, intent: Intent, least_kwh: float, target: float) -> str:
    if least_kwh > target:
        return f"with every device off all the time it would still have used {least_kwh:.2f} kWh of {target:.2f}"
    if not run.switched:
        return "what was too much came too late, or not from a device that was running"
    limit = max(one.most_minutes_off for one in intent.devices)
    return f"{intent.switchings_per_hour} switchings an hour and at most {limit} minutes off leave too little"


def _missing_slots(days: SiteDays, at: int, intent: Intent) -> int:
    needed = slice(intent.window_slots.start, None)
    loads = [days.total_kwh[at][needed], *(days.device_kwh[one.channel][at][needed] for one in intent.devices)]
    return int(np.isnan(np.stack(loads)).any(axis=0).sum())
