"""A site's load by local day and slot: all of it, and that of each device.

Belongs here: from readings to arrays, and which days are whole. Does not belong here: reading tables (serving/intents.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from energy_platform.domain.errors import ReplayImpossible
from energy_platform.domain.intents.declaration import Intent

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SiteDays:
    """Load of some days, oldest first; NaN where a reading is missing.

    Args:
        dates: local days, without gaps between the first and the last.
        total_kwh: shape (days, slots).
        device_kwh: the same by channel.
    """

    dates: tuple[date, ...]
    total_kwh: Floats
    device_kwh: Mapping[str, Floats]


def site_days(readings: pl.DataFrame, intent: Intent) -> SiteDays:
    """The load of a site's local days.

    Args:
        readings: channel, local_date, local_minute (of the interval's start), interval_minutes, energy_kwh; one row
            an interval and channel.
        intent: which channels and slots.

    Returns:
        Every day from the first reading to the last. A slot has a value when readings cover all of it; on a day of 23 or
        25 hours the hour that is not there is missing and the one that is there twice counts twice over, so that such a
        day is not whole either.

    Raises:
        ReplayImpossible: there are no readings, a channel is not among them, or they are coarser than the slots.
    """
    known = set(readings["channel"].unique())
    wanted = [device.channel for device in intent.devices]
    named = [*wanted, *intent.never] + ([intent.total_channel] if intent.total_channel else [])
    if missing := sorted(set(named) - known):
        there = ", ".join(sorted(known)) or "no channel at all"
        raise ReplayImpossible(
            f"intent {intent.name}: the site {intent.site_id} has no readings of '{missing[0]}' in these days; it has {there}."
        )
    coarsest = max(readings["interval_minutes"].unique().to_list())
    if coarsest > intent.slot_minutes:
        raise ReplayImpossible(
            f"intent {intent.name}: readings are of {coarsest} minutes and slots of {intent.slot_minutes}; "
            f"give slot_minutes: {coarsest}."
        )
    slots = _by_slot(readings, intent.slot_minutes)
    known_days = slots["local_date"].unique().sort().to_list()
    count = (known_days[-1] - known_days[0]).days + 1
    dates = [known_days[0] + timedelta(days=number) for number in range(count)]
    of_total = pl.col("channel") == intent.total_channel if intent.total_channel else pl.lit(value=True)
    return SiteDays(
        tuple(dates),
        _whole(slots.filter(of_total), dates, intent),
        {channel: _whole(slots.filter(pl.col("channel") == channel), dates, intent) for channel in wanted},
    )


def _by_slot(readings: pl.DataFrame, minutes: int) -> pl.DataFrame:
    """Energy by channel, day and slot, and how many minutes of it readings cover."""
    return (
        readings.with_columns(slot=pl.col("local_minute") // minutes)
        .group_by("channel", "local_date", "slot")
        .agg(pl.col("energy_kwh").sum(), covered=pl.col("interval_minutes").cast(pl.Int64).sum())
    )


def _whole(slots: pl.DataFrame, dates: Sequence[date], intent: Intent) -> Floats:
    """Days by slots; a slot that is not covered exactly once by each channel is missing."""
    channels = slots["channel"].n_unique()
    summed = slots.group_by("local_date", "slot").agg(
        pl.col("energy_kwh").sum(),
        is_whole=(pl.len() == channels) & (pl.col("covered") == intent.slot_minutes).all(),
    )
    found = summed.filter("is_whole")
    days = found.select((pl.col("local_date") - dates[0]).dt.total_days())["local_date"].to_numpy()
    values = np.full((len(dates), intent.slots_a_day), np.nan)
    values[days, found["slot"].to_numpy()] = found["energy_kwh"].to_numpy()
    return values
