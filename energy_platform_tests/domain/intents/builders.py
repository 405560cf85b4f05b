"""Intents and site loads with known contents."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from energy_platform.domain.intents.declaration import Intent
from energy_platform.domain.intents.loads import SiteDays
from energy_platform.domain.intents.replay import DayRun

MONDAY = date(2024, 6, 3)


def intent(**changes) -> Intent:
    said = {
        "name": "evenings",
        "description": "a test",
        "site_id": "home",
        "reduce_percent": 10,
        "when": {"starts": "17:00", "ends": "21:00"},
        "devices": [{"channel": "heater", "kind": "shift", "most_minutes_off": 120}],
        "never": ["fridge"],
        "switchings_per_hour": 2,
        "tariff": {"pence_per_kwh": 20, "bands": [{"starts": "17:00", "ends": "21:00", "pence_per_kwh": 30}]},
        "slot_minutes": 15,
        "least_days": 3,
    }
    return Intent.model_validate(said | changes)


def days(
    count: int = 10, *, base_kw: float = 1.0, first: date = MONDAY, slot_minutes: int = 15, **device_kw
) -> SiteDays:
    """Even days: a base load, and devices that draw the same power all day."""
    slots, hours = 24 * 60 // slot_minutes, slot_minutes / 60
    loads = {name: np.full((count, slots), kw * hours) for name, kw in device_kw.items()}
    total = np.full((count, slots), base_kw * hours) + sum(loads.values())
    return SiteDays(tuple(first + timedelta(days=n) for n in range(count)), total, loads)


def most_in_an_hour(run: DayRun, goal: Intent) -> int:
    """The most switchings within any sixty minutes of a replayed day, counted again from what was switched."""
    at = [done.slot * goal.slot_minutes for done in run.switched]
    return max((sum(0 <= other - minute < 60 for other in at) for minute in at), default=0)
