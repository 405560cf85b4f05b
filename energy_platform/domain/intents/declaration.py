"""What an intent says: the goal, when it holds, what may be switched, what a kilowatt-hour costs.

Belongs here: the fields and what they must not contradict. Does not belong here: yml files (adapters/control_files.py).
"""

from __future__ import annotations

import hashlib
from datetime import date
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from energy_platform.domain.control.devices import Identifier
from energy_platform.domain.sources.fields import Strict

MINUTES_A_DAY = 1_440
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def minute_of_day(text: str) -> int:
    """A local time as minutes after midnight; ``24:00`` is the end of the day.

    Example:
        >>> minute_of_day("17:30"), minute_of_day("24:00")
        (1050, 1440)
    """
    hours, colon, minutes = text.partition(":")
    if not (colon and hours.isdigit() and minutes.isdigit() and len(minutes) == 2 and int(minutes) < 60):
        raise ValueError(f"'{text}' is no time; write HH:MM in quotes")
    minute = 60 * int(hours) + int(minutes)
    if minute > MINUTES_A_DAY:
        raise ValueError(f"'{text}' is after the end of the day")
    return minute


def _is_time(text: str) -> str:
    minute_of_day(text)
    return text


LocalTime = Annotated[str, AfterValidator(_is_time)]


class Span(Strict):
    """A part of the local day."""

    starts: LocalTime
    ends: LocalTime

    @model_validator(mode="after")
    def _ends_later(self) -> Self:
        if minute_of_day(self.ends) <= minute_of_day(self.starts):
            raise ValueError(f"it ends at {self.ends}, not after {self.starts}; one over midnight is two")
        return self

    def holds(self, minute: int) -> bool:
        """Whether a minute of the day is within it."""
        return minute_of_day(self.starts) <= minute < minute_of_day(self.ends)


class Window(Span):
    """When the goal holds."""

    days: tuple[Weekday, ...] = Field(default=WEEKDAYS[:5], min_length=1)

    def holds_on(self, day: date) -> bool:
        """Whether a local day is one of its weekdays.

        Example:
            >>> Window(starts="17:00", ends="21:00").holds_on(date(2024, 6, 1))
            False
        """
        return WEEKDAYS[day.weekday()] in self.days


class Band(Span):
    """A part of the day with its own price."""

    pence_per_kwh: float = Field(ge=0, le=10_000)


class Tariff(Strict):
    """What a kilowatt-hour costs: flat, or by time of use. A pence is the hundredth of the currency."""

    currency: str = Field(default="GBP", pattern=r"^[A-Z]{3}$")
    pence_per_kwh: float = Field(ge=0, le=10_000, description="Outside all bands.")
    bands: tuple[Band, ...] = ()

    @model_validator(mode="after")
    def _bands_are_apart(self) -> Self:
        ordered = sorted(self.bands, key=lambda band: minute_of_day(band.starts))
        for earlier, later in pairwise(ordered):
            if minute_of_day(later.starts) < minute_of_day(earlier.ends):
                raise ValueError(f"the band from {later.starts} begins before the one from {earlier.starts} ends")
        return self

    def pence_at(self, minute: int) -> float:
        """Price at a minute of the local day.

        Example:
            >>> evening = Band(starts="16:00", ends="19:00", pence_per_kwh=40)
            >>> tariff = Tariff(pence_per_kwh=20, bands=(evening,))
            >>> tariff.pence_at(16 * 60), tariff.pence_at(19 * 60)
            (40.0, 20.0)
        """
        return next((band.pence_per_kwh for band in self.bands if band.holds(minute)), self.pence_per_kwh)


class Sheddable(Strict):
    """A load that may be switched off for a while.

    ``shed``: what it did not use is not used later (a light). ``shift``: it is, as soon as it may (a water heater).
    """

    channel: str = Field(min_length=1, max_length=200, description="Channel of the site's readings that is its load.")
    device_id: Identifier | None = Field(default=None, description="In the registry of devices; needed to act.")
    kind: Literal["shed", "shift"] = "shed"
    runs_above_kw: float = Field(default=0.05, gt=0, description="It wants to run when it would draw more.")
    most_minutes_off: int = Field(default=60, ge=5, le=720, description="At a stretch, for comfort.")


class Intent(Strict):
    """A goal for a site."""

    name: Identifier
    description: str = Field(min_length=1, max_length=500)
    site_id: str = Field(min_length=1, max_length=200)
    reduce_percent: float = Field(gt=0, le=90, description="How much less than expected, over each window.")
    when: Window
    total_channel: str | None = Field(
        default=None, description="Channel of the whole load; left out: all channels together."
    )
    devices: tuple[Sheddable, ...] = Field(min_length=1)
    never: tuple[str, ...] = Field(default=(), description="Channels that are never switched.")
    switchings_per_hour: int = Field(default=2, ge=1, le=60, description="Of all its devices together, on and off.")
    tariff: Tariff
    slot_minutes: Literal[1, 5, 10, 15, 30, 60] = 5
    expect_from_days: int = Field(
        default=28, ge=7, le=366, description="How many days before a day tell what to expect."
    )
    least_days: int = Field(
        default=3, ge=1, le=60, description="Fewer days of its kind before it: nothing is expected."
    )

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        channels = [device.channel for device in self.devices]
        if twice := sorted({name for name in channels if channels.count(name) > 1}):
            raise ValueError(f"the channel '{twice[0]}' stands twice in devices")
        if barred := sorted(set(channels) & set(self.never)):
            raise ValueError(f"the channel '{barred[0]}' stands in devices and in never")
        if self.total_channel in channels:
            raise ValueError(f"'{self.total_channel}' is the whole load; it cannot be one of its devices")
        for time in (self.when.starts, self.when.ends):
            if minute_of_day(time) % self.slot_minutes:
                raise ValueError(f"{time} is not on the grid of {self.slot_minutes} minutes")
        return self

    @property
    def digest(self) -> str:
        """What names this very intent: any change of any field gives another one."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    @property
    def slots_a_day(self) -> int:
        """How many slots a local day of 24 hours has."""
        return MINUTES_A_DAY // self.slot_minutes

    @property
    def window_slots(self) -> range:
        """The slots of the day in which the goal holds."""
        return range(
            minute_of_day(self.when.starts) // self.slot_minutes, minute_of_day(self.when.ends) // self.slot_minutes
        )
