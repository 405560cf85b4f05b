"""N of M with hysteresis: when do samples break a limit, and when is that over.

A limit is broken when at least ``samples`` of the last ``of_samples`` values lie beyond it. It is over when the last
``of_samples`` values all lie on the safe side of ``clears_at``, which is the limit itself or a value short of it: a
value that swings around the limit opens once and recovers once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Limit:
    """What values are held against.

    Args:
        value: the limit; a value equal to it does not break it.
        clears_at: a value counts as calm when it is on the safe side of this, or equal to it.
        is_upper: values above break it, else values below.
        samples: so many …
        of_samples: … of the last so many.
        max_gap_us: samples further apart are strangers: what was counted before the gap is forgotten.
    """

    value: float
    clears_at: float
    is_upper: bool = True
    samples: int = 1
    of_samples: int = 1
    max_gap_us: int | None = None

    def is_beyond(self, value: float) -> bool:
        """Whether a value breaks it."""
        return value > self.value if self.is_upper else value < self.value

    def is_calm(self, value: float) -> bool:
        """Whether a value is far enough on the safe side."""
        return value <= self.clears_at if self.is_upper else value >= self.clears_at


@dataclass(frozen=True, slots=True)
class Window:
    """What is remembered between two batches.

    Args:
        bits: of the last samples, the newest is bit 0; 1 breaks the limit.
        calm: calm samples since the last one that was not, while the limit is broken.
        is_broken: whether the limit is broken.
        newest_us: stamp of the newest sample.
    """

    bits: int = 0
    calm: int = 0
    is_broken: bool = False
    newest_us: int | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """A place in the series where something is to be told: broken (still, or for the first time), or over.

    Args:
        position: index of the sample that decided it.
        is_breach: broken, else over.
        breaches: samples beyond the limit that no earlier turn told of.
    """

    position: int
    is_breach: bool
    breaches: int


def slide(window: Window, limit: Limit, at_us: Sequence[int], values: Sequence[float]) -> tuple[Window, list[Turn]]:
    """Move a window over the next samples.

    Returns:
        The window after them, and the turns in order: at most one "still broken" a call, behind the last change.

    Example:
        >>> limit = Limit(300, 300, samples=3, of_samples=5)
        >>> slide(Window(), limit, [1, 2, 3, 4], [310.0, 240.0, 310.0, 310.0])[1]
        [Turn(position=3, is_breach=True, breaches=3)]
    """
    if not window.is_broken and window.bits == 0 and not _any_beyond(limit, values):
        return (replace(window, newest_us=at_us[-1]) if at_us else window), []
    mask, turns = (1 << limit.of_samples) - 1, list[Turn]()
    bits, calm, is_broken, newest_us = window.bits, window.calm, window.is_broken, window.newest_us
    untold, last_beyond = 0, -1
    for position, (stamp, value) in enumerate(zip(at_us, values, strict=True)):
        if limit.max_gap_us is not None and newest_us is not None and stamp - newest_us > limit.max_gap_us:
            bits, calm = 0, 0
        newest_us, is_beyond = stamp, limit.is_beyond(value)
        if not is_broken:
            bits = (bits << 1 | is_beyond) & mask
            if bits.bit_count() >= limit.samples:
                turns.append(Turn(position, is_breach=True, breaches=bits.bit_count()))
                is_broken, calm, bits = True, 0, 0
            continue
        if is_beyond:
            untold, last_beyond = untold + 1, position
        calm = calm + 1 if limit.is_calm(value) else 0
        if calm >= limit.of_samples:
            if untold:
                turns.append(Turn(last_beyond, is_breach=True, breaches=untold))
            turns.append(Turn(position, is_breach=False, breaches=0))
            is_broken, calm, untold = False, 0, 0
    if untold:
        turns.append(Turn(last_beyond, is_breach=True, breaches=untold))
    return Window(bits, calm, is_broken, newest_us), turns


def _any_beyond(limit: Limit, values: Sequence[float]) -> bool:
    if not values:
        return False
    return limit.is_beyond(max(values) if limit.is_upper else min(values))
