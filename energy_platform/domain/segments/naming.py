"""Names of segments, made from their numbers.

Belongs here: what a shape is called and how two of one kind are told apart. Does not belong here: the shapes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from energy_platform.domain.segments.shapes import HOURS, Floats

# Part of the day by its hours, [from, to).
NIGHT, MORNING, MIDDAY, EVENING, LATE = (0, 6), (6, 10), (10, 16), (16, 22), (22, 24)
_PARTS = {"night": NIGHT, "morning-peak": MORNING, "midday": MIDDAY, "evening-peak": EVENING, "late-evening": LATE}
# Over an even day; below it no hour stands out.
FLAT_PEAK = 1.3
# Two peaks: both this far over an even day, and the trough between them this far below the lower one.
TWO_PEAKS, TROUGH_SHARE = 1.2, 0.8


def names(shapes: Floats) -> list[str]:
    """A name for each of some shapes, no two alike.

    Two of one kind are told apart by the hour of their peak, then by the share of energy in it, in percent of the day.

    Args:
        shapes: shares of the mean day, shape (segments, 24).

    Example:
        >>> even = np.full(24, 1.0)
        >>> evening, night = even.copy(), even.copy()
        >>> evening[19], night[3] = 3.0, 4.0
        >>> names(np.stack([even / 24, evening / evening.sum(), night / night.sum()]))
        ['flat', 'evening-peak', 'night']
    """
    kinds = [kind(shape) for shape in shapes]
    peaks = [int(np.argmax(shape)) for shape in shapes]
    found = _apart(kinds, [f"{name}-{hour}h" for name, hour in zip(kinds, peaks, strict=True)])
    shares = [f"{name}-{100 * shape.max():.1f}pct" for name, shape in zip(found, shapes, strict=True)]
    found = _apart(found, shares)
    return _apart(found, [f"{name}-{place}" for place, name in enumerate(found, start=1)])


def _apart(names: Sequence[str], longer: Sequence[str]) -> list[str]:
    """Each name as it is where nobody shares it, the longer one elsewhere."""
    count = Counter(names)
    return [name if count[name] == 1 else long for name, long in zip(names, longer, strict=True)]


def kind(shape: Floats) -> str:
    """What one shape is: flat, two-peak, or where in the day most energy goes beyond an even day.

    Args:
        shape: shares of the mean day, shape (24,).
    """
    level = shape * HOURS
    if level.max() < FLAT_PEAK:
        return "flat"
    morning, evening = (level[slice(*part)].max() for part in (MORNING, EVENING))
    first, second = (int(np.argmax(level[slice(*part)])) + part[0] for part in (MORNING, EVENING))
    lower = min(morning, evening)
    is_apart = level[first : second + 1].min() <= TROUGH_SHARE * lower
    if lower >= TWO_PEAKS and is_apart and level.max() <= max(morning, evening):
        return "two-peak"
    return max(_PARTS, key=lambda name: float(level[slice(*_PARTS[name])].mean()))
