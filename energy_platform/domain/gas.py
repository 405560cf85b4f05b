"""Gas volume to energy, as GB bills do it; the only place that knows the factors.

What belongs here: volume, correction factor and calorific value to kWh, and the bounds outside
which a value is a mistake. Not here: units of energy and power (domain/units.py), which calorific
value holds on a day (a source declares it), and money (tariffs).

Formula: The Gas (Calculation of Thermal Energy) Regulations 1996, SI 1996/439, and the worked
example that every GB gas bill has to print::

    kWh = m³ × volume correction factor × calorific value (MJ/m³) ÷ 3.6

An imperial meter counts hundreds of cubic feet, which bills take as 2.83 m³ each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import polars as pl

from energy_platform.domain.errors import QuantityInvalid

MJ_PER_KWH = 3.6
STANDARD_CORRECTION_FACTOR = 1.02264
"""Temperature and pressure at a domestic meter against 15 °C and 1013.25 mbar."""
BILLED_M3_PER_100_FT3 = 2.83
"""What GB bills use; exactly it is 2.8316846592 (0.06 % more)."""
CALORIFIC_VALUE_BOUNDS_MJ_PER_M3 = (37.5, 43.0)
"""Natural gas in GB networks; outside it the value is another unit or another gas."""
CORRECTION_FACTOR_BOUNDS = (0.8, 100.0)
"""Altitude lowers it a little; a meter before the pressure regulator multiplies by its bar."""


@dataclass(frozen=True, slots=True)
class GasConversion:
    """How the volume of one meter becomes energy; kept with what it converts.

    Args:
        calorific_value_mj_per_m3: of the bill or of the day, 37.5 to 43.0 for natural gas.
        correction_factor: temperature and pressure; site-specific factors are on the bill.
        m3_per_100_ft3: 2.83 as bills take it, or 2.8316846592.
        origin: where the two values come from ("bill of 2024-03", "network LDZ NW, daily").
        is_natural_gas: False lifts the bounds (biogas about 22, propane about 95 MJ/m³).

    Raises:
        QuantityInvalid: a value is out of bounds; the message says what it probably is.

    Example:
        >>> round(GasConversion(39.3).kwh(100.0), 2)
        1116.38
        >>> round(GasConversion(39.3).kwh(283.0), 2)  # 100 units of an imperial meter
        3159.36
    """

    calorific_value_mj_per_m3: float
    correction_factor: float = STANDARD_CORRECTION_FACTOR
    m3_per_100_ft3: float = BILLED_M3_PER_100_FT3
    origin: str = ""
    is_natural_gas: bool = True

    def __post_init__(self) -> None:
        check_calorific_value(self.calorific_value_mj_per_m3, is_natural_gas=self.is_natural_gas)
        check_correction_factor(self.correction_factor)
        if not 2.8 <= self.m3_per_100_ft3 <= 2.84:
            remedy = "100 cubic feet are 2.83 m³ on GB bills and 2.8316846592 m³ exactly."
            raise QuantityInvalid("cubic metres per 100 cubic feet", found=self.m3_per_100_ft3, remedy=remedy)

    @property
    def kwh_per_m3(self) -> float:
        """Energy of one cubic metre at the meter, kWh; 10.6 to 12.3 for natural gas."""
        return self.correction_factor * self.calorific_value_mj_per_m3 / MJ_PER_KWH

    def kwh(self, volume_m3: float) -> float:
        """Energy in kWh of a volume in cubic metres as the meter counted it."""
        return volume_m3 * self.kwh_per_m3

    def kwh_imperial(self, hundreds_of_ft3: float) -> float:
        """Energy in kWh of what an imperial meter counts, hundreds of cubic feet.

        Example:
            >>> round(GasConversion(39.3).kwh_imperial(100), 2)
            3159.36
        """
        return self.kwh(hundreds_of_ft3 * self.m3_per_100_ft3)


def gas_kwh(
    volume_m3: pl.Expr,
    calorific_value_mj_per_m3: pl.Expr | float,
    correction_factor: pl.Expr | float = STANDARD_CORRECTION_FACTOR,
) -> pl.Expr:
    """Energy in kWh row by row, for calorific values that change by day.

    Numbers given as plain floats are checked at once; a column of them is checked with
    ``calorific_values_out_of_bounds`` by whoever loads it. A null volume or value stays null.

    Example:
        >>> days = pl.DataFrame({"m3": [100.0, 100.0], "cv": [39.3, 38.9]})
        >>> days.select(gas_kwh(pl.col("m3"), pl.col("cv")).round(2))["m3"].to_list()
        [1116.38, 1105.02]
    """
    if not isinstance(calorific_value_mj_per_m3, pl.Expr):
        check_calorific_value(calorific_value_mj_per_m3)
    if not isinstance(correction_factor, pl.Expr):
        check_correction_factor(correction_factor)
    return volume_m3 * correction_factor * calorific_value_mj_per_m3 / MJ_PER_KWH


def calorific_values_out_of_bounds(values: pl.Expr) -> pl.Expr:
    """True where a calorific value cannot be that of natural gas in MJ/m³ (null and NaN included).

    Example:
        >>> pl.DataFrame({"cv": [39.3, 10.9, None]}).select(calorific_values_out_of_bounds(pl.col("cv")))["cv"].to_list()
        [False, True, True]
    """
    low, high = CALORIFIC_VALUE_BOUNDS_MJ_PER_M3
    return values.is_between(low, high).not_().fill_null(value=True)


def check_calorific_value(value: float, *, is_natural_gas: bool = True) -> None:
    """Refuse a calorific value that cannot be right.

    Raises:
        QuantityInvalid: not a finite positive number, or out of bounds for natural gas.
    """
    low, high = CALORIFIC_VALUE_BOUNDS_MJ_PER_M3
    if math.isfinite(value) and value > 0 and (not is_natural_gas or low <= value <= high):
        return
    remedy = f"Natural gas has {low} to {high} MJ/m³; the bill prints it as 'calorific value'."
    if 10 <= value <= 12.5:
        remedy += f" {value} looks like kWh/m³: times 3.6 it is {value * MJ_PER_KWH:.1f} MJ/m³."
    elif 950 <= value <= 1150:
        remedy += f" {value} looks like BTU/ft³: divided by 26.84 it is {value / 26.84:.1f} MJ/m³."
    raise QuantityInvalid("calorific value in MJ/m³", found=value, remedy=remedy)


def check_correction_factor(value: float) -> None:
    """Refuse a volume correction factor that cannot be right.

    Raises:
        QuantityInvalid: not within 0.8 to 100.
    """
    low, high = CORRECTION_FACTOR_BOUNDS
    if not low <= value <= high:
        remedy = f"It is {STANDARD_CORRECTION_FACTOR} for homes, and {low} to {high:g} anywhere."
        raise QuantityInvalid("volume correction factor", found=value, remedy=remedy)
