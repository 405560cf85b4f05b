"""What a rule may say, kind by kind. A rule is data: a yml file holds it, nothing here knows of files.

Rules of the stream look at samples as they come; the others look at what is kept or published, every few minutes.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from energy_platform.domain.alerts.records import Severity
from energy_platform.domain.alerts.windows import Limit

ALL = ("*",)
_MAX_AGE = Field(
    default=14, ge=1, description="Days older than this, by the clock on the wall, are history: nobody is told of them."
)
Patterns = tuple[str, ...]
Quantity = Literal["voltage_v", "current_a", "apparent_power_va", "power_kw", "energy_kwh", "value"]
UNITS = {"voltage_v": "V", "current_a": "A", "apparent_power_va": "VA", "power_kw": "kW", "energy_kwh": "kWh"}


class Strict(BaseModel):
    """No unknown fields, never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Rule(Strict):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str = Field(min_length=1, max_length=100, description="A few words; a message begins with them.")
    severity: Severity = Severity.WARNING
    enabled: bool = True


class _NofM(_Rule):
    samples: int = Field(default=1, ge=1, le=1000, description="So many values beyond the limit …")
    of_samples: int = Field(default=1, ge=1, le=1000, description="… of the last so many; as many calm ones end it.")

    @model_validator(mode="after")
    def _n_is_at_most_m(self) -> Self:
        if self.samples > self.of_samples:
            raise ValueError(f"samples is {self.samples}, which is more than of_samples ({self.of_samples})")
        return self


class _OfMeters(_NofM):
    meters: Patterns = Field(default=ALL, min_length=1, description="Names of meters; * and ? stand for any.")
    channels: Patterns = Field(default=ALL, min_length=1, description="Names of channels, likewise.")
    max_gap_minutes: float = Field(
        default=60, gt=0, description="Samples further apart than this are not counted together."
    )

    def is_for(self, meter_id: str, channel: str) -> bool:
        """Whether the rule looks at a channel."""
        return fits(self.meters, meter_id) and fits(self.channels, channel)

    @property
    def max_gap_us(self) -> int:
        """``max_gap_minutes`` in microseconds."""
        return round(self.max_gap_minutes * 60_000_000)


class ThresholdRule(_OfMeters):
    """Samples, or the average of each five, beyond a limit."""

    kind: Literal["threshold"]
    of: Literal["samples", "averages"] = "averages"
    quantity: Quantity
    commodity: Literal["electricity", "gas"] | None = None
    above: float | None = None
    below: float | None = None
    clears_at: float | None = Field(default=None, description="Calm on the safe side of this; default the limit.")
    unit: str = Field(default="", description="Of `value`, which has none by itself; else it must be the quantity's.")

    @model_validator(mode="after")
    def _one_limit_with_its_unit(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError("say above or below, one of them")
        if self.clears_at is not None:
            if self.above is not None and self.clears_at > self.above:
                raise ValueError(f"clears_at is {self.clears_at:g}; it must not lie above the limit {self.above:g}")
            if self.below is not None and self.clears_at < self.below:
                raise ValueError(f"clears_at is {self.clears_at:g}; it must not lie below the limit {self.below:g}")
        known = UNITS.get(self.quantity)
        if self.unit and known and self.unit != known:
            raise ValueError(f"unit is '{self.unit}', but {self.quantity} is in {known}")
        if self.quantity == "value" and not self.unit:
            raise ValueError("say the unit of value: what the source of these sensors declares")
        return self

    @property
    def limit(self) -> Limit:
        """The limit as samples are held against it."""
        value = self.above if self.above is not None else self.below
        if value is None:
            raise ValueError("a threshold has a limit")
        calm = value if self.clears_at is None else self.clears_at
        return Limit(value, calm, self.above is not None, self.samples, self.of_samples, self.max_gap_us)

    def looks_at(self, quantity: str, commodity: str, unit: str) -> bool:
        """Whether the rule is for values of this quantity; another unit is another quantity."""
        is_commodity = self.commodity is None or self.commodity == commodity
        return self.quantity == quantity and is_commodity and unit == (self.unit or UNITS.get(quantity, ""))


class VoltageSpikeRule(_OfMeters):
    """Voltage above a limit on N of M samples. What is confirmed here may switch a home off."""

    kind: Literal["voltage_spike"]
    above_v: float = Field(default=300, gt=0)
    clears_at_v: float | None = Field(default=None, gt=0)
    samples: int = Field(default=3, ge=2, le=1000, description="At least two: one sample may be a fault of the meter.")
    of_samples: int = Field(default=5, ge=2, le=1000)

    @model_validator(mode="after")
    def _clears_below(self) -> Self:
        if self.clears_at_v is not None and self.clears_at_v > self.above_v:
            raise ValueError(f"clears_at_v is {self.clears_at_v:g}; it must not lie above {self.above_v:g}")
        return self

    @property
    def limit(self) -> Limit:
        """The limit as samples are held against it."""
        calm = self.above_v if self.clears_at_v is None else self.clears_at_v
        return Limit(self.above_v, calm, True, self.samples, self.of_samples, self.max_gap_us)

    def looks_at(self, quantity: str, commodity: str, unit: str) -> bool:
        """Whether the rule is for values of this quantity."""
        return quantity == "voltage_v" and commodity != "gas" and unit == "V"


class SilenceRule(_Rule):
    """A live meter from which nothing has come for so long."""

    kind: Literal["silence"]
    after_minutes: float = Field(gt=0)
    meters: Patterns = Field(default=ALL, min_length=1)
    forgotten_after_days: float = Field(
        default=30, gt=0, description="A meter that was last seen longer ago is one that was taken down."
    )


class ForecastBandRule(_NofM):
    """Days outside the band that was forecast for them a day ahead."""

    kind: Literal["forecast_band"]
    side: Literal["above", "below", "either"] = "either"
    beyond_share: float = Field(
        default=0, ge=0, description="How far beyond, as a share of the band's width: 0.5 is half a band more."
    )
    meters: Patterns = Field(default=ALL, min_length=1)
    commodity: Literal["electricity", "gas"] | None = None
    max_age_days: int = _MAX_AGE


class AnomalyRule(_Rule):
    """Anomalies whose detectors have a measured record good enough to wake somebody."""

    kind: Literal["anomaly"]
    max_false_alarm_share: float = Field(
        default=0.01, gt=0, le=1, description="At most this share of good days looks so bad."
    )
    critical_false_alarm_share: float = Field(
        default=0, ge=0, le=1, description="It is critical from this share down; 0: never."
    )
    max_age_days: int = _MAX_AGE
    meters: Patterns = Field(default=ALL, min_length=1)


class BudgetRule(_Rule):
    """Energy of a site over a billing period: near a budget, or heading beyond it.

    A tariff whose unit price jumps at so many kWh is a budget of so many kWh.
    """

    kind: Literal["energy_budget"]
    kwh: float = Field(gt=0, description="Budget, or the kWh at which the tariff jumps, for one period.")
    period_months: Literal[1, 2, 3, 6, 12] = 1
    commodity: Literal["electricity", "gas"] = "electricity"
    warn_at_share: float = Field(default=0.8, gt=0, le=1, description="Share of the budget used that is told of.")
    sites: Patterns = Field(default=ALL, min_length=1)
    max_age_days: int = _MAX_AGE


class DataQualityRule(_Rule):
    """Files of which much was refused, or days of which much is missing."""

    kind: Literal["data_quality"]
    max_rejected_share: float = Field(default=0.05, ge=0, le=1)
    min_completeness: float = Field(default=0.5, ge=0, le=1)
    days: int = Field(default=3, ge=1, le=60, description="How many of a source's newest days are looked at.")
    sources: Patterns = Field(default=ALL, min_length=1)
    max_age_days: int = _MAX_AGE


class ModelDriftRule(_Rule):
    """The check models_have_not_drifted fails."""

    kind: Literal["model_drift"]


class JobFailureRule(_Rule):
    """Runs of jobs that fail; over when a later run of the job succeeds."""

    kind: Literal["job_failure"]
    jobs: Patterns = Field(default=ALL, min_length=1)


class CheckFailureRule(_Rule):
    """Asset checks that fail; over when the check passes again."""

    kind: Literal["check_failure"]
    checks: Patterns = Field(default=ALL, min_length=1, description="asset/key:check; * and ? stand for any.")
    including_warnings: bool = False


class FreshnessRule(_Rule):
    """Assets that are later than their freshness policy allows."""

    kind: Literal["freshness"]
    assets: Patterns = Field(default=ALL, min_length=1)


class CommandFailureRule(_Rule):
    """Device commands that failed or expired; over when a command to the device is confirmed.

    The control loop sees them (domain/control/failures.py); a shut-off that fails is critical whatever is said here.
    """

    kind: Literal["command_failure"]
    name: Literal["command_failed"]


StreamRule = ThresholdRule | VoltageSpikeRule
Rule = Annotated[
    ThresholdRule
    | VoltageSpikeRule
    | SilenceRule
    | ForecastBandRule
    | AnomalyRule
    | BudgetRule
    | DataQualityRule
    | ModelDriftRule
    | JobFailureRule
    | CheckFailureRule
    | FreshnessRule
    | CommandFailureRule,
    Field(discriminator="kind"),
]
RULE: TypeAdapter[Rule] = TypeAdapter(Rule)


def fits(patterns: Patterns, name: str) -> bool:
    """Whether a name is one of the patterns.

    Example:
        >>> fits(("esp32-*",), "esp32-1")
        True
    """
    return any(pattern == "*" or fnmatchcase(name, pattern) for pattern in patterns)
