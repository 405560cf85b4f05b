"""What the numbers of a source are: unit, interval energy, power samples or register, gas conversion."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from energy_platform.domain.errors import QuantityInvalid
from energy_platform.domain.gas import (
    BILLED_M3_PER_100_FT3,
    STANDARD_CORRECTION_FACTOR,
    GasConversion,
)
from energy_platform.domain.power_samples import SampleRules
from energy_platform.domain.registers import RegisterRules
from energy_platform.domain.sources.fields import Strict
from energy_platform.domain.units import GAS_UNITS, POWER_KW_PER_UNIT, Unit

TEMPERATURE = "degC"


def _known_unit(word: str) -> str:
    if word != TEMPERATURE and word not in set(Unit):
        raise ValueError(f"'{word}' is no unit that declarations know; write one of {', '.join(Unit)}, {TEMPERATURE}")
    return word


class CalorificValue(Strict):
    """What makes a volume of gas energy; the same for all rows or from a column."""

    mj_per_m3: float | None = Field(default=None, description="The calorific value of the bill, MJ/m³.")
    column: str | None = Field(default=None, description="Column that holds it, MJ/m³.")
    correction_factor: float = STANDARD_CORRECTION_FACTOR
    m3_per_100_ft3: float = BILLED_M3_PER_100_FT3
    is_natural_gas: bool = True

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        if (self.mj_per_m3 is None) == (self.column is None):
            raise ValueError("say mj_per_m3 (it is on the bill) or column, one of them")
        try:
            self.conversion(self.mj_per_m3 or 39.0)
        except QuantityInvalid as error:
            raise ValueError(str(error)) from None
        return self

    def conversion(self, mj_per_m3: float) -> GasConversion:
        """The conversion at one calorific value."""
        return GasConversion(
            mj_per_m3,
            self.correction_factor,
            self.m3_per_100_ft3,
            is_natural_gas=self.is_natural_gas,
        )


class Samples(Strict):
    """How samples of power become energy; see domain/power_samples.py."""

    method: Literal["hold", "trapezoid"] = "trapezoid"
    max_gap_seconds: float = Field(default=300.0, gt=0, description="Samples further apart give no energy.")
    min_coverage: float = Field(default=0.9, gt=0, le=1, description="An interval covered less is missing.")


class Register(Strict):
    """What is known of a cumulative register; see domain/registers.py."""

    digits: int | None = Field(default=None, ge=3, le=12, description="Digits before the point, where it rolls over.")
    jitter_seconds: float = Field(default=30.0, ge=0, description="A read this close to the grid stands for it.")
    max_power_kw: float = Field(default=100.0, gt=0, description="More cannot flow; a larger step is an error.")
    spread_gaps: bool = Field(default=False, description="Spread the energy of a gap evenly, as estimated.")


class Value(Strict):
    """What the numbers are."""

    column: str | None = Field(default=None, description="Column of the number; left out in wide tables.")
    alternatives: tuple[str, ...] = Field(default=(), description="Where it is when it is not in `column`.")
    unit: Annotated[str, AfterValidator(_known_unit)] = Unit.KWH.value
    measures: Literal["interval", "samples", "register"] = Field(
        default="interval",
        description="interval: energy of (or mean power over) each interval; samples: power at instants; "
        "register: a counter that only grows.",
    )
    null_words: tuple[str, ...] = Field(
        default=(), description="What stands there when there is no value, besides nothing."
    )
    calorific_value: CalorificValue | None = Field(default=None, description="Needed for volumes of gas.")
    samples: Samples = Samples()
    register_: Register = Field(default=Register(), alias="register")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.unit == TEMPERATURE:
            return self
        unit = Unit(self.unit)
        if (unit in GAS_UNITS) != (self.calorific_value is not None):
            raise ValueError(f"calorific_value is for {', '.join(sorted(GAS_UNITS))}, which need it")
        if self.measures == "samples" and unit not in POWER_KW_PER_UNIT:
            raise ValueError(f"samples are of power: {', '.join(POWER_KW_PER_UNIT)}; found {unit}")
        if self.measures == "register" and unit in POWER_KW_PER_UNIT:
            raise ValueError(f"a register counts energy or volume, never {unit}")
        if self.measures == "register" and self.calorific_value is not None and self.calorific_value.column:
            raise ValueError("the calorific value of a register must be constant: a step would mix two of them")
        return self

    def sample_rules(self, interval_minutes: int) -> SampleRules:
        """How power samples (as kW) become intervals of so many minutes."""
        said = self.samples
        return SampleRules("kW", interval_minutes, said.method, said.max_gap_seconds, said.min_coverage)

    def register_rules(self, interval_minutes: int, *, kwh_per_unit: float = 1.0) -> RegisterRules:
        """How reads become intervals of so many minutes; of a register that shows units of ``kwh_per_unit``.

        The rules then hold in that unit, power included: digits count what the register shows.
        """
        said = self.register_
        most = said.max_power_kw / kwh_per_unit
        return RegisterRules(interval_minutes, said.digits, said.jitter_seconds, most, said.spread_gaps)
