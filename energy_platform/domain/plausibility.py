"""What looks wrong with a whole source though every row of it can be read.

Belongs here: signs of swapped days and months and of a wrong unit, as sentences. Does not belong here:
faults of single rows (domain/readings/reasons.py), anomalies of meters (domain/anomalies).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import date, timedelta

# A home draws 0.1 to 2 kW on average; an office floor tens. Above and below it, the unit is the first suspect.
_MOST_MEAN_KW = 1000.0
_LEAST_MEAN_KW = 0.0001
# Fewer holes than this may be outages. A swap of a year and more makes a hundred.
_MANY_HOLES = 14


def swapped_days(days: Collection[date]) -> str | None:
    """A sentence when the days look as if day and month were swapped wherever both can be a month.

    Such a file has holes: of March only the days stay that are 13 or later, and what was 2 March
    stands in February. Swapping the days back closes them.

    Example:
        >>> march = [date(2012, 3, 1) + timedelta(days=n) for n in range(61)]
        >>> written = [day if day.day > 12 else day.replace(month=day.day, day=day.month) for day in march]
        >>> swapped_days(march) is None, swapped_days(written) is None
        (True, False)
    """
    as_read = set(days)
    swapped = {day if day.day > 12 else day.replace(month=day.day, day=day.month) for day in as_read}
    holes, holes_swapped = _holes(as_read), _holes(swapped)
    if holes < _MANY_HOLES or holes_swapped > holes / 4:
        return None
    return (
        f"day and month look swapped wherever the day is 12 or less: {holes} days are missing as the stamps stand, "
        f"{holes_swapped} with the two exchanged. Ask the publisher, or mend the file before landing it."
    )


def _holes(days: Collection[date]) -> int:
    return (max(days) - min(days)) // timedelta(days=1) + 1 - len(days) if days else 0


def doubtful_unit(meter: str, mean_kw: float, unit: str) -> str | None:
    """A sentence when a meter's mean power is not that of anything that is metered.

    Example:
        >>> doubtful_unit("M1", 350_000.0, "kWh")
        'M1 draws 350,000 kW on average: is its unit really kWh?'
        >>> doubtful_unit("M1", 0.4, "kWh") is None
        True
    """
    most = math.inf if unit in {"MW", "MWh"} else _MOST_MEAN_KW  # who writes megawatts measures a grid
    if mean_kw != 0 and not _LEAST_MEAN_KW <= abs(mean_kw) <= most:
        amount = f"{mean_kw:,.0f}" if abs(mean_kw) > 1 else f"{mean_kw:.2g}"
        return f"{meter} draws {amount} kW on average: is its unit really {unit}?"
    return None
