"""Planted faults: exactly which values are changed, and a label for each stretch of them.

What belongs here: changing series and saying where. A label holds from ``starts_at_utc`` up to
but not including ``ends_at_utc``; every value in it differs from what the meter would have said,
and no value outside any label does. Stretches of one series never touch, so a detector's recall
can be counted label by label.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from energy_platform.domain.errors import SimulationInvalid
from energy_platform.domain.simulation.climate import Floats, generator, local_clock


class Fault(enum.StrEnum):
    """What goes wrong with a meter or a home, and what ``magnitude`` says of it."""

    SPIKE = "spike"  # one value with this much added
    STUCK = "stuck"  # half a day of the value before, which the magnitude is
    GAP = "gap"  # a quarter of a day with no values; the magnitude is how many
    DRIFT = "drift"  # five days of values that grow to this factor
    NIGHT_LEAK = "night_leak"  # this much added from 0 to 5 h local time, up to three nights, a label each
    UNIT_X1000 = "unit_x1000"  # a day in the next smaller unit: times 1000
    SIGN = "sign"  # a quarter of a day with the sign turned: times -1


LABELS_SCHEMA = pl.Schema(
    [
        ("meter_id", pl.String),
        ("channel", pl.String),
        ("fault", pl.String),
        ("starts_at_utc", pl.Datetime("us")),
        ("ends_at_utc", pl.Datetime("us")),
        ("magnitude", pl.Float64),
    ]
)
LENGTHS: dict[Fault, timedelta] = {
    Fault.SPIKE: timedelta(0),
    Fault.STUCK: timedelta(hours=12),
    Fault.GAP: timedelta(hours=6),
    Fault.DRIFT: timedelta(days=5),
    Fault.UNIT_X1000: timedelta(days=1),
    Fault.SIGN: timedelta(hours=6),
}
NIGHT_HOURS = 5
NIGHTS = 3
FIRST_DRIFT, LAST_DRIFT = 1.1, 1.6
LARGEST_PART = 6
"""A stretch is at most this part of its series, so that short simulations have room for all faults."""
TRIES = 200


# Those that can lie in few places first: a leak needs nights, a spike fits anywhere.
_ROOM_NEEDED = (
    Fault.NIGHT_LEAK,
    Fault.DRIFT,
    Fault.UNIT_X1000,
    Fault.STUCK,
    Fault.GAP,
    Fault.SIGN,
    Fault.SPIKE,
)


@dataclass(frozen=True, slots=True)
class Planted:
    """The changed series (gap rows are gone) and the labels, one row a stretch (``LABELS_SCHEMA``)."""

    frame: pl.DataFrame
    labels: pl.DataFrame


@dataclass(slots=True)
class _Series:
    """One meter and channel while faults are planted in it."""

    meter_id: str
    channel: str
    rows: npt.NDArray[np.int64]
    at_us: npt.NDArray[np.int64]
    original: Floats
    values: Floats
    is_taken: npt.NDArray[np.bool_]
    is_gone: npt.NDArray[np.bool_]
    night_of: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """First and last+1 position, new values (None: gone) and what to write as magnitude."""

    begin: int
    end: int
    values: Floats | None
    magnitude: float


def parse_faults(text: str) -> tuple[Fault, ...]:
    """Faults by name, separated by commas; ``all`` and ``none`` are understood.

    Raises:
        SimulationInvalid: a name is not known.

    Example:
        >>> parse_faults("spike,gap")
        (<Fault.SPIKE: 'spike'>, <Fault.GAP: 'gap'>)
    """
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    if words in ([], ["none"]):
        return ()
    if words == ["all"]:
        return tuple(Fault)
    known = {fault.value: fault for fault in Fault}
    unknown = [word for word in words if word not in known]
    if unknown:
        raise SimulationInvalid(f"no fault is named {', '.join(unknown)}. Known: {', '.join(known)}, all, none.")
    return tuple(known[word] for word in words)


def plant(
    frame: pl.DataFrame,
    faults: Sequence[Fault],
    *,
    seed: int,
    times: int = 1,
    time_zone: str = "UTC",
    decimals: int = 4,
    avoid: pl.DataFrame | None = None,
) -> Planted:
    """Plant each fault ``times`` times, each in a series drawn at random.

    Args:
        frame: meter_id, channel, at_utc, value; evenly spaced, sorted by time within a series.
        faults: what to plant.
        seed: of places and series.
        times: occurrences of each fault (a night leak's nights count as one).
        time_zone: in which nights are nights.
        decimals: of the changed values, those of the unchanged ones.
        avoid: labels whose times are kept free in every series.

    Raises:
        SimulationInvalid: there is no room left for a fault.
    """
    if not faults or times < 1:
        return Planted(frame, pl.DataFrame(schema=LABELS_SCHEMA))
    all_series = _split(frame, time_zone)
    if avoid is not None:
        _keep_free(all_series, avoid)
    if not all_series:
        raise SimulationInvalid("faults cannot be planted where there are no values. Give more --days.")
    random = generator(seed, 2)
    labels: list[tuple[object, ...]] = []
    for fault in sorted(faults, key=_ROOM_NEEDED.index):
        for _ in range(times):
            labels += _plant_one(fault, all_series, random, decimals)
    values = frame["value"].to_numpy().copy()
    is_gone = np.zeros(frame.height, dtype=np.bool_)
    for item in all_series:
        values[item.rows], is_gone[item.rows] = item.values, item.is_gone
    changed = frame.with_columns(pl.Series("value", values)).filter(pl.Series(~is_gone))
    found = pl.DataFrame(labels, schema=LABELS_SCHEMA, orient="row")
    return Planted(changed, found.sort("meter_id", "channel", "starts_at_utc"))


def _split(frame: pl.DataFrame, time_zone: str) -> list[_Series]:
    """The frame as series; nights are numbered from 1, other times are 0."""
    clock = local_clock(frame["at_utc"], time_zone)
    night = (
        clock.select(
            pl.when(pl.col("hour") < NIGHT_HOURS).then(pl.col("local_date").cast(pl.Int32).cast(pl.Int64)).otherwise(0)
        )
        .to_series()
        .to_numpy()
    )
    at_us = frame["at_utc"].dt.epoch("us").to_numpy()
    values = frame["value"].to_numpy()
    found = []
    for (meter_id, channel), rows in frame.with_row_index("row").group_by("meter_id", "channel", maintain_order=True):
        at = rows["row"].cast(pl.Int64).to_numpy()
        empty = np.zeros(len(at), dtype=np.bool_)
        args = (at, at_us[at], values[at], values[at].copy(), empty, empty.copy(), night[at])
        found.append(_Series(str(meter_id), str(channel), *args))
    return found


def _keep_free(all_series: Sequence[_Series], avoid: pl.DataFrame) -> None:
    """Mark the times of other labels as taken."""
    times = avoid.select(pl.col("starts_at_utc").dt.epoch("us"), pl.col("ends_at_utc").dt.epoch("us"))
    for starts_us, ends_us in times.iter_rows():
        for item in all_series:
            item.is_taken |= (item.at_us >= starts_us) & (item.at_us < ends_us)


def _plant_one(
    fault: Fault, all_series: Sequence[_Series], random: np.random.Generator, decimals: int
) -> list[tuple[object, ...]]:
    """Find a series and a place where the fault changes every value, change them, and label it."""
    for attempt in range(TRIES):
        item = all_series[int(random.integers(len(all_series)))]
        stretches = _draw(fault, item, random, decimals, 1 + attempt // (TRIES // 4))
        if stretches and all(_fits(item, stretch) for stretch in stretches):
            return [_apply(fault, item, stretch) for stretch in stretches]
    raise SimulationInvalid(f"there is no room for another {fault}. Give more --days or fewer --faults.")


def _draw(fault: Fault, item: _Series, random: np.random.Generator, decimals: int, squeeze: int) -> list[_Stretch]:
    """One try at a place: the stretches it would be, ``squeeze`` times shorter; empty when there is no place for it."""
    count = len(item.values)
    if count < 8:
        return []
    if fault is Fault.NIGHT_LEAK:
        usual = float(np.median(np.abs(item.original)))
        return _nights(item, random, max(round(usual, decimals), 10.0**-decimals), decimals, max(1, NIGHTS // squeeze))
    step_us = max(1, int(item.at_us[1] - item.at_us[0]))
    length = max(1, min(int(LENGTHS[fault] / timedelta(microseconds=step_us)), count // (LARGEST_PART * squeeze)))
    begin = int(random.integers(1, count - length))
    return [_stretch(fault, item.original, begin, begin + length, decimals)]


def _stretch(fault: Fault, original: Floats, begin: int, end: int, decimals: int) -> _Stretch:
    """What the fault makes of the values from ``begin`` to ``end``."""
    part = original[begin:end]
    if fault is Fault.GAP:
        return _Stretch(begin, end, None, float(end - begin))
    if fault is Fault.STUCK:
        held = _free_value(float(original[begin - 1]), part, decimals)
        return _Stretch(begin, end, np.full(end - begin, held), held)
    if fault is Fault.SPIKE:
        added = round(5 * float(np.abs(original).max()) + 10.0**-decimals, decimals)
        return _Stretch(begin, end, np.round(part + added, decimals), added)
    factors: dict[Fault, Floats | float] = {
        Fault.DRIFT: np.linspace(FIRST_DRIFT, LAST_DRIFT, end - begin) if end - begin > 1 else LAST_DRIFT,
        Fault.UNIT_X1000: 1000.0,
        Fault.SIGN: -1.0,
    }
    factor = factors[fault]
    last = LAST_DRIFT if fault is Fault.DRIFT else float(np.max(factor))
    return _Stretch(begin, end, np.round(part * factor, decimals), last)


def _free_value(held: float, part: Floats, decimals: int) -> float:
    """``held``, or the nearest value to it that the meter would not have said by itself."""
    unit = 10.0**decimals
    used = set(np.round(part * unit).astype(np.int64).tolist())
    middle = round(held * unit)
    away = next(step for step in range(len(used) + 1) if middle + step not in used)
    return float(round((middle + away) / unit, decimals))


def _nights(item: _Series, random: np.random.Generator, added: float, decimals: int, most: int) -> list[_Stretch]:
    """Up to ``most`` nights in a row, each a stretch with the same leak, where no other fault lies."""
    nights = np.unique(item.night_of[item.night_of > 0])
    if not len(nights):
        return []
    taken = item.is_taken
    is_free = ~(taken | np.append(taken[1:], False) | np.append(False, taken[:-1]))
    first = int(random.integers(max(1, len(nights) - most + 1)))
    found = []
    for night in nights[first : first + most]:
        places = _longest_run(np.flatnonzero((item.night_of == night) & is_free))
        if not len(places):
            return []
        begin, end = int(places[0]), int(places[-1]) + 1
        found.append(_Stretch(begin, end, np.round(item.original[begin:end] + added, decimals), added))
    return found


def _longest_run(places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The longest run of neighbouring positions, the first of equally long ones."""
    return max(np.split(places, np.flatnonzero(np.diff(places) > 1) + 1), key=len)


def _fits(item: _Series, stretch: _Stretch) -> bool:
    """Whether the stretch changes each of its values and touches no other stretch."""
    around = slice(max(0, stretch.begin - 1), stretch.end + 1)
    if item.is_taken[around].any():
        return False
    return stretch.values is None or bool((stretch.values != item.original[stretch.begin : stretch.end]).all())


def _apply(fault: Fault, item: _Series, stretch: _Stretch) -> tuple[object, ...]:
    """Change the values and give the label's row."""
    place = slice(stretch.begin, stretch.end)
    item.is_taken[place] = True
    if stretch.values is None:
        item.is_gone[place] = True
    else:
        item.values[place] = stretch.values
    step_us = int(item.at_us[1] - item.at_us[0])
    starts, ends = int(item.at_us[stretch.begin]), int(item.at_us[stretch.end - 1]) + step_us
    as_time = np.array([starts, ends], dtype="datetime64[us]").tolist()
    return item.meter_id, item.channel, fault.value, as_time[0], as_time[1], stretch.magnitude
