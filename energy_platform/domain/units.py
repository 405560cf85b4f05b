"""Units that readings arrive in, and the factor that makes each of them kWh.

What belongs here: names and aliases of units, and the factor of each to kWh over an interval.
Not here: gas factors (domain/gas.py), registers (domain/registers.py), samples of power that
are not on a grid (domain/power_samples.py).
"""

from __future__ import annotations

import enum

import polars as pl

from energy_platform.domain.errors import QuantityInvalid
from energy_platform.domain.gas import MJ_PER_KWH, GasConversion

MJ_PER_THERM = 105.505585257348
"""The therm of the UK Units of Measurement Regulations 1995 (100,000 BTU); 29.3071 kWh."""


class Unit(enum.StrEnum):
    """A unit of energy, of mean power over an interval, or of gas volume."""

    WH = "Wh"
    KWH = "kWh"
    MWH = "MWh"
    MJ = "MJ"
    GJ = "GJ"
    THERM = "therm"
    W = "W"
    KW = "kW"
    MW = "MW"
    M3 = "m3"
    FT3 = "ft3"
    HUNDRED_FT3 = "100ft3"


ENERGY_KWH_PER_UNIT: dict[Unit, float] = {
    Unit.WH: 0.001,
    Unit.KWH: 1.0,
    Unit.MWH: 1000.0,
    Unit.MJ: 1 / MJ_PER_KWH,
    Unit.GJ: 1000 / MJ_PER_KWH,
    Unit.THERM: MJ_PER_THERM / MJ_PER_KWH,
}
POWER_KW_PER_UNIT: dict[Unit, float] = {Unit.W: 0.001, Unit.KW: 1.0, Unit.MW: 1000.0}
GAS_UNITS = frozenset({Unit.M3, Unit.FT3, Unit.HUNDRED_FT3})

_ALIASES: dict[str, Unit] = {
    "therms": Unit.THERM,
    "thm": Unit.THERM,
    "m³": Unit.M3,
    "m^3": Unit.M3,
    "cubic metres": Unit.M3,
    "cubic meters": Unit.M3,
    "ft³": Unit.FT3,
    "ft^3": Unit.FT3,
    "cf": Unit.FT3,
    "cubic feet": Unit.FT3,
    "ccf": Unit.HUNDRED_FT3,
    "hcf": Unit.HUNDRED_FT3,
    "100 ft3": Unit.HUNDRED_FT3,
    "100ft³": Unit.HUNDRED_FT3,
    "hundreds of cubic feet": Unit.HUNDRED_FT3,
    "watt": Unit.W,
    "watts": Unit.W,
    "kilowatt": Unit.KW,
    "kilowatts": Unit.KW,
}
_REACTIVE_OR_APPARENT = frozenset({"va", "kva", "mva", "var", "kvar", "vah", "kvah", "varh", "kvarh"})
_BY_LOWER = {unit.value.lower(): unit for unit in Unit}


def parse_unit(text: str) -> Unit:
    """The unit that a word means; case does not matter (``KWH``), except that ``mW`` is no MW.

    Raises:
        QuantityInvalid: the word is no known unit, or is one of apparent or reactive power,
            which is no energy without a power factor.

    Example:
        >>> parse_unit("KWH"), parse_unit("m³"), parse_unit("CCF")
        (<Unit.KWH: 'kWh'>, <Unit.M3: 'm3'>, <Unit.HUNDRED_FT3: '100ft3'>)
    """
    word = text.strip()
    lower = word.lower()
    if lower in _REACTIVE_OR_APPARENT:
        remedy = "Apparent and reactive quantities are no energy; land them as telemetry, or measure active power."
        raise QuantityInvalid("unit", found=text, remedy=remedy)
    unit = _ALIASES.get(lower) or _BY_LOWER.get(lower)
    if unit is None or word in {"mW", "mWh", "mJ"}:  # milli, a million-fold mistake if taken for mega
        known = ", ".join(sorted([*Unit, *_ALIASES], key=str.lower))
        raise QuantityInvalid("unit", found=text, remedy=f"Known units: {known}.")
    return unit


def kwh_factor(unit: Unit | str, *, interval_minutes: float | None = None, gas: GasConversion | None = None) -> float:
    """The number that a value in ``unit`` is multiplied by to be kWh.

    Args:
        unit: a ``Unit`` or any word that ``parse_unit`` knows.
        interval_minutes: needed for W, kW and MW: they are taken as the mean over the interval.
        gas: needed for m³ and ft³.

    Returns:
        kWh per unit, > 0.

    Raises:
        QuantityInvalid: the unit is not known, or needs an interval or a calorific value.

    Example:
        >>> kwh_factor("kW", interval_minutes=30), kwh_factor("Wh"), round(kwh_factor("therm"), 4)
        (0.5, 0.001, 29.3071)
        >>> round(100 * kwh_factor("ccf", gas=GasConversion(39.3)), 2)
        3159.36
    """
    known = unit if isinstance(unit, Unit) else parse_unit(unit)
    if known in ENERGY_KWH_PER_UNIT:
        return ENERGY_KWH_PER_UNIT[known]
    if known in POWER_KW_PER_UNIT:
        if interval_minutes is None or not interval_minutes > 0:
            remedy = "Declare interval_minutes: power is energy only over a time."
            raise QuantityInvalid(f"interval in minutes of a value in {known}", found=interval_minutes, remedy=remedy)
        return POWER_KW_PER_UNIT[known] * interval_minutes / 60
    if gas is None:
        remedy = "Declare calorific_value_mj_per_m3 (it is on the bill): a volume of gas has no fixed energy."
        raise QuantityInvalid(f"gas conversion of a value in {known}", found=None, remedy=remedy)
    cubic_metres = {Unit.M3: 1.0, Unit.FT3: gas.m3_per_100_ft3 / 100, Unit.HUNDRED_FT3: gas.m3_per_100_ft3}
    return cubic_metres[known] * gas.kwh_per_m3


def to_kwh(
    values: pl.Expr, unit: Unit | str, *, interval_minutes: float | None = None, gas: GasConversion | None = None
) -> pl.Expr:
    """A column in ``unit`` as kWh; nulls stay null. Arguments and errors as ``kwh_factor``.

    Example:
        >>> pl.DataFrame({"power": [2.0, None]}).select(to_kwh(pl.col("power"), "kW", interval_minutes=30))["power"].to_list()
        [1.0, None]
    """
    return values * kwh_factor(unit, interval_minutes=interval_minutes, gas=gas)
