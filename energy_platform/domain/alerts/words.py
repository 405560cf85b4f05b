"""An alert in words: values with their units, what they were held against, what it means that it is over."""

from __future__ import annotations

from energy_platform.domain.alerts.windows import Limit

NAMES = {
    "voltage_v": "voltage",
    "current_a": "current",
    "apparent_power_va": "apparent power",
    "power_kw": "power",
    "energy_kwh": "energy",
    "value": "value",
}


def amount(value: float, unit: str) -> str:
    """A value as people read it: three digits behind the point below 1, two below 100, one below 1,000.

    Example:
        >>> amount(310, "V"), amount(0.4321, "kW"), amount(12345.6, "kWh")
        ('310.0 V', '0.432 kW', '12,346 kWh')
    """
    size = abs(value)
    digits = 3 if size < 1 else 2 if size < 100 else 1 if size < 1000 else 0
    return f"{value:,.{digits}f} {unit}".rstrip()


def beyond(limit: Limit, unit: str) -> str:
    """The limit as the end of a sentence.

    Example:
        >>> beyond(Limit(300, 300, samples=3, of_samples=5), "V")
        'above the limit of 300 V'
    """
    return f"{'above' if limit.is_upper else 'below'} the limit of {plain(limit.value)} {unit}".rstrip()


def broken(quantity: str, value: float, limit: Limit, unit: str, *, of: str) -> str:
    """What was seen, in one sentence.

    Example:
        >>> broken("voltage_v", 310, Limit(300, 300, samples=3, of_samples=5), "V", of="samples")
        'The voltage is 310.0 V, above the limit of 300 V on 3 of the last 5 samples.'
    """
    what = NAMES.get(quantity, quantity)
    subject = (
        f"The average of five {'values' if what == 'value' else what + ' samples'}"
        if of == "averages"
        else f"The {what}"
    )
    count = f" on {limit.samples} of the last {limit.of_samples} {of}" if limit.of_samples > 1 else ""
    return f"{subject} is {amount(value, unit)}, {beyond(limit, unit)}{count}."


def over(value: float, limit: Limit, unit: str, *, of: str) -> str:
    """What ended it, in one sentence.

    Example:
        >>> over(240, Limit(300, 290, samples=3, of_samples=5), "V", of="samples")
        'It is over: now 240.0 V, and none of the last 5 samples was above 290 V.'
    """
    side = "above" if limit.is_upper else "below"
    which = f"none of the last {limit.of_samples} {of} was" if limit.of_samples > 1 else "no longer"
    return f"It is over: now {amount(value, unit)}, and {which} {side} {plain(limit.clears_at)} {unit}.".replace(
        " .", "."
    )


def plain(value: float) -> str:
    """A limit as it was written.

    Example:
        >>> plain(300.0), plain(0.25)
        ('300', '0.25')
    """
    return f"{value:,.10g}"
