"""Live values: what was measured last, a short window of it, and the average of each five values.

A sample that is not newer than the newest known one of its meter, channel and quantity is late or was delivered again:
it is counted as such and changes nothing else, so that a stream may repeat itself after a crash. It is landed all the
same, and the lake sorts it in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from energy_platform.domain.live.samples import Key, Series

AVERAGED_SAMPLES = 5
WINDOW_SAMPLES = 20
OFF_BELOW_V = 50.0
CLOCK_AHEAD = timedelta(minutes=5)
_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class LiveValue:
    """The newest of one quantity of one channel.

    Args:
        meter_id: of the meter.
        channel: of the meter.
        quantity: what is measured.
        unit: of the values.
        commodity: ``electricity`` or ``gas``.
        at_utc: when the newest sample was measured.
        received_at_utc: when it came here: last seen.
        window_at_us: stamps of the newest samples, at most ``WINDOW_SAMPLES``, oldest first, microseconds since 1970.
        window: their values; the last one is the newest.
        block: samples that wait for the average of the five they belong to, 0 to 4.
        samples: samples that counted so far.
        late: samples that came late or again.
    """

    meter_id: str
    channel: str
    quantity: str
    unit: str
    commodity: str
    at_utc: datetime
    received_at_utc: datetime
    window_at_us: tuple[int, ...]
    window: tuple[float, ...]
    block: int
    samples: int
    late: int

    @property
    def key(self) -> Key:
        """What it is kept under."""
        return self.meter_id, self.channel, self.quantity

    @property
    def value(self) -> float:
        """The newest value."""
        return self.window[-1]

    @property
    def window_mean(self) -> float:
        """Mean of the window's values, each of equal weight."""
        return sum(self.window) / len(self.window)

    @property
    def window_from_utc(self) -> datetime:
        """When the oldest value of the window was measured."""
        return utc_of(self.window_at_us[0])


@dataclass(frozen=True, slots=True)
class Average:
    """The mean of five values of one quantity of one channel, which follow each other and are in no other average."""

    meter_id: str
    channel: str
    quantity: str
    unit: str
    commodity: str
    from_utc: datetime
    at_utc: datetime
    average: float


@dataclass(frozen=True, slots=True)
class LiveChannel:
    """A channel of a meter as it is now.

    Args:
        meter_id: of the meter.
        channel: of the meter.
        commodity: ``electricity`` or ``gas``.
        is_on: its newest voltage is 50 V or more; ``None`` when it tells no voltage.
        last_seen_utc: when its newest sample came here.
        values: by quantity.
    """

    meter_id: str
    channel: str
    commodity: str
    is_on: bool | None
    last_seen_utc: datetime
    values: Mapping[str, LiveValue]


@dataclass(frozen=True, slots=True)
class Advanced:
    """What a series made of a live value: the value, the averages that were completed, and the samples that counted."""

    value: LiveValue
    averages: tuple[Average, ...]
    at_us: list[int]
    values: list[float]


def advance(before: LiveValue | None, series: Series, *, received_at_utc: datetime) -> Advanced:
    """Take a series in.

    Args:
        before: what was known of this meter, channel and quantity.
        series: stamps ascending.
        received_at_utc: when it came here.

    Example:
        >>> ten = Series("m", "main", "power_kw", "kW", "gas", list(range(10)), [1.0] * 5 + [2.0] * 5)
        >>> [each.average for each in advance(None, ten, received_at_utc=datetime(2024, 1, 1)).averages]
        [1.0, 2.0]
    """
    at_us, values = _newer(series, _known_until(before, series, received_at_utc))
    late = (before.late if before else 0) + len(series.values) - len(values)
    if before is not None and not values:
        return Advanced(_with_late(before, late), (), at_us, values)
    waiting = before.block if before else 0
    known_at, known = (before.window_at_us, before.window) if before else ((), ())
    chain_at, chain = [*known_at, *at_us], [*known, *values]
    start = len(known) - waiting
    full = (waiting + len(values)) // AVERAGED_SAMPLES
    averages = tuple(_average(series, chain_at, chain, start + number * AVERAGED_SAMPLES) for number in range(full))
    value = LiveValue(
        series.meter_id,
        series.channel,
        series.quantity,
        series.unit,
        series.commodity,
        at_utc=utc_of(at_us[-1]),
        received_at_utc=received_at_utc,
        window_at_us=tuple(chain_at[-WINDOW_SAMPLES:]),
        window=tuple(chain[-WINDOW_SAMPLES:]),
        block=(waiting + len(values)) % AVERAGED_SAMPLES,
        samples=(before.samples if before else 0) + len(values),
        late=late,
    )
    return Advanced(value, averages, at_us, values)


def channels_of(values: Iterable[LiveValue]) -> list[LiveChannel]:
    """Live values by channel, in order of meter and channel."""
    found: dict[tuple[str, str], dict[str, LiveValue]] = {}
    for value in values:
        found.setdefault((value.meter_id, value.channel), {})[value.quantity] = value
    return [
        LiveChannel(
            meter,
            channel,
            next(iter(by_quantity.values())).commodity,
            by_quantity["voltage_v"].value >= OFF_BELOW_V if "voltage_v" in by_quantity else None,
            max(value.received_at_utc for value in by_quantity.values()),
            by_quantity,
        )
        for (meter, channel), by_quantity in sorted(found.items())
    ]


def utc_of(at_us: int) -> datetime:
    """Microseconds since 1970 as the platform keeps times."""
    return _EPOCH + timedelta(microseconds=at_us)


def micros_of(at_utc: datetime) -> int:
    """A time as microseconds since 1970.

    Example:
        >>> micros_of(utc_of(1_700_000_000_123_456))
        1700000000123456
    """
    return (at_utc - _EPOCH) // timedelta(microseconds=1)


def _known_until(before: LiveValue | None, series: Series, received_at_utc: datetime) -> int | None:
    """What a sample must be later than; one stamp from a clock far ahead does not silence a meter until then."""
    if before is None:
        return None
    ahead = received_at_utc + CLOCK_AHEAD
    return None if before.at_utc > ahead >= utc_of(series.at_us[-1]) else micros_of(before.at_utc)


def _newer(series: Series, newest_us: int | None) -> tuple[list[int], list[float]]:
    """The samples later than what is known and than each other; of equal stamps the first counts."""
    if (newest_us is None or series.at_us[0] > newest_us) and len(set(series.at_us)) == len(series.at_us):
        return series.at_us, series.values
    at_us: list[int] = []
    values: list[float] = []
    for stamp, value in zip(series.at_us, series.values, strict=True):
        if newest_us is None or stamp > newest_us:
            at_us.append(stamp)
            values.append(value)
            newest_us = stamp
    return at_us, values


def _with_late(value: LiveValue, late: int) -> LiveValue:
    return replace(value, late=late)


def _average(series: Series, chain_at: list[int], chain: list[float], start: int) -> Average:
    end = start + AVERAGED_SAMPLES
    return Average(
        series.meter_id,
        series.channel,
        series.quantity,
        series.unit,
        series.commodity,
        from_utc=utc_of(chain_at[start]),
        at_utc=utc_of(chain_at[end - 1]),
        average=sum(chain[start:end]) / AVERAGED_SAMPLES,
    )
