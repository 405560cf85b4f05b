"""The three kinds of source: readings, weather, telemetry."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from energy_platform.domain.columns import TELEMETRY_VALUES
from energy_platform.domain.errors import QuantityInvalid
from energy_platform.domain.sources.fields import Key, Quality, Strict, Zone
from energy_platform.domain.sources.formats import Csv, Format, Timestamp
from energy_platform.domain.sources.quantity import TEMPERATURE, Value
from energy_platform.domain.units import ENERGY_KWH_PER_UNIT, POWER_KW_PER_UNIT, Unit, kwh_factor


class _Declaration(Strict):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str = Field(min_length=1)
    sample: bool = Field(default=False, description="Whether `energy run` without options lands its path.")
    path: str | None = Field(default=None, description="Where it is: a path, or package:<package>/<path in it>.")
    files: tuple[str, ...] = Field(default=("*.csv", "*.csv.gz"), min_length=1, description="File name patterns.")
    format: Format = Csv()
    timestamp: Timestamp

    @model_validator(mode="after")
    def _sample_has_a_path(self) -> Self:
        if self.sample and self.path is None:
            raise ValueError("a sample needs a path")
        return self


class ReadingsSource(_Declaration):
    """A source of energy readings."""

    kind: Literal["readings"] = "readings"
    value: Value
    interval_minutes: int = Field(ge=1, le=44_640)
    interval_minutes_column: str | None = Field(
        default=None, description="Column with the length of each row's interval; `interval_minutes` where it is empty."
    )
    meter: Key
    channel: Key = Key(constant="main")
    site: Key | None = Field(default=None, description="The site of a meter; left out, each meter is its own site.")
    site_attributes: tuple[str, ...] = Field(default=(), description="Columns kept in lake.sites as JSON.")
    site_zone: Zone = Field(description="Zone in which the local days of the sites are counted.")
    country: str = Field(
        pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$", description="Whose public holidays: GB-ENG, DE-HE, PT."
    )
    commodity: Literal["electricity", "gas"] = "electricity"
    commodity_column: str | None = Field(
        default=None, description="Column that says electricity or gas; `commodity` where it is empty."
    )
    station: str | None = Field(default=None, description="Weather station of the sites.")
    availability: Literal["history", "live"] = Field(
        default="live",
        description="history: readings count as known when their interval ended; live: when they were loaded.",
    )
    quality: Literal["measured", "estimated"] | Quality = "measured"

    @model_validator(mode="after")
    def _value_is_energy(self) -> Self:
        if self.value.unit == TEMPERATURE:
            raise ValueError(f"unit '{self.value.unit}' is no unit of energy; readings need {', '.join(Unit)}")
        if self.is_wide == (self.value.column is not None):
            raise ValueError("say value.column, or meter.header or channel.header (a wide table), one of them")
        if self.value.measures != "interval":
            if 1440 % self.interval_minutes:
                raise ValueError(f"interval_minutes of {self.value.measures} must divide the day")
            if self.interval_minutes_column is not None:
                raise ValueError(f"{self.value.measures} have no interval of their own: no interval_minutes_column")
        if self.value.measures == "register":
            try:
                self.value.register_rules(self.interval_minutes)
            except QuantityInvalid as error:
                raise ValueError(str(error)) from None
        return self

    @property
    def is_wide(self) -> bool:
        """Whether each row holds several values, named by the headers above them."""
        return self.meter.header is not None or self.channel.header is not None

    @property
    def is_instants(self) -> bool:
        """Whether rows are instants (samples, register reads) that energy is computed from."""
        return self.value.measures != "interval"

    @property
    def kwh_per_unit(self) -> float | None:
        """What every value is multiplied by to be kWh (kW for samples); None when it differs by row."""
        unit = Unit(self.value.unit)
        gas = self.value.calorific_value
        if unit in ENERGY_KWH_PER_UNIT:
            return ENERGY_KWH_PER_UNIT[unit]
        if unit in POWER_KW_PER_UNIT:
            if self.is_instants:
                return POWER_KW_PER_UNIT[unit]
            by_row = self.interval_minutes_column is not None
            return None if by_row else kwh_factor(unit, interval_minutes=self.interval_minutes)
        if gas is None or gas.mj_per_m3 is None:
            return None
        return kwh_factor(unit, gas=gas.conversion(gas.mj_per_m3))


class WeatherSource(_Declaration):
    """A source of outdoor temperature."""

    kind: Literal["weather"]
    value: Value
    station: Key
    interval_minutes: int = Field(default=60, ge=1, le=1440)

    @model_validator(mode="after")
    def _value_is_temperature(self) -> Self:
        if self.value.unit != TEMPERATURE:
            raise ValueError(f"unit '{self.value.unit}' is no unit of temperature; weather needs {TEMPERATURE}")
        if self.value.column is None or self.station.header is not None:
            raise ValueError("weather is read from long tables: say value.column")
        return self


class TelemetrySource(_Declaration):
    """A source of what devices measure at instants: voltage, current, power. None of it is energy."""

    kind: Literal["telemetry"]
    meter: Key
    channel: Key = Key(constant="main")
    columns: dict[Literal["voltage_v", "current_a", "apparent_power_va", "active_power_w"], str] = Field(
        min_length=1, description="Which column of the file holds which quantity."
    )

    @property
    def quantities(self) -> tuple[tuple[str, str], ...]:
        """Column of lake.telemetry and of the file, for each quantity, in the order of the table."""
        return tuple((name, self.columns[name]) for name in TELEMETRY_VALUES if name in self.columns)  # type: ignore[index]


SourceDeclaration = ReadingsSource | WeatherSource | TelemetrySource
