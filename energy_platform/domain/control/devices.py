"""Devices that can be switched: where each hangs, what it can do, what must never be done to it.

Belongs here: the fields of a declaration and which device feeds which. Does not belong here: yml files
(adapters/control_files.py), whether one request is allowed (guard.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from energy_platform.domain.live import OFF_BELOW_V
from energy_platform.domain.simulation.esp32 import CHANNELS as ESP32_CHANNELS
from energy_platform.domain.sources.fields import Strict

MAIN = "main"
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]


class Action(StrEnum):
    """What a relay can be told."""

    ON = "on"
    OFF = "off"


class ShutOff(Strict):
    """When a device is switched off without being asked: too much voltage on ``samples`` of the last ``of``."""

    above_v: float = Field(default=300.0, gt=OFF_BELOW_V, le=10_000)
    samples: int = Field(default=3, ge=2, le=1_000, description="A single sample is noise more often than danger.")
    of: int = Field(default=5, ge=2, le=1_000)
    within_seconds: float = Field(default=60.0, gt=0, le=3_600, description="Older samples do not count.")

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.samples > self.of:
            raise ValueError(f"{self.samples} samples of the last {self.of} can never be above it")
        return self


class Device(Strict):
    """One relay.

    Example:
        >>> Device(device_id="heater", site_id="home", meter_id="esp32", channel="dev1", topic="esp32/sub").protected
        False
    """

    device_id: Identifier
    site_id: Identifier
    meter_id: str = Field(min_length=1, max_length=200, description="Meter whose telemetry shows what the relay does.")
    channel: str = Field(default=MAIN, min_length=1, max_length=200)
    description: str = Field(default="", max_length=500)
    protocol: Literal["esp32", "structured"] = "esp32"
    topic: str = Field(pattern=r"^[^#+\x00]{1,200}$", description="MQTT topic that its commands are sent to.")
    capabilities: tuple[Action, ...] = Field(default=(Action.ON, Action.OFF), min_length=1)
    protected: bool = Field(default=False, description="Never switched off, by anybody: a refrigerator, a pump.")
    switchings_per_hour: int = Field(default=6, ge=1, le=60, description="Asked for; a shut-off is not counted out.")
    shut_off: ShutOff | None = None

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.protocol == "esp32" and self.channel not in ESP32_CHANNELS:
            raise ValueError(f"an esp32 meter has the channels {', '.join(ESP32_CHANNELS)}, not '{self.channel}'")
        if self.shut_off is not None and Action.OFF not in self.capabilities:
            raise ValueError("a device that is shut off needs the capability off")
        return self

    @property
    def place(self) -> tuple[str, str]:
        """Meter and channel, as telemetry names them."""
        return self.meter_id, self.channel


class SiteDevices(Strict):
    """A file of devices: those of one site."""

    site_id: Identifier
    devices: tuple[Device, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _are_distinct(self) -> Self:
        for what, names in (
            ("device_id", [device.device_id for device in self.devices]),
            ("meter and channel", [" ".join(device.place) for device in self.devices]),
        ):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{what} '{twice[0]}' is declared twice")
        return self


def fed_by(device: Device, devices: Iterable[Device]) -> list[Device]:
    """The devices that lose power with this one: for ``main`` all others of its meter.

    Example:
        >>> main, fridge = (
        ...     Device(device_id=name, site_id="home", meter_id="esp32", channel=channel, topic="esp32/sub")
        ...     for name, channel in (("main", "main"), ("fridge", "dev1"))
        ... )
        >>> [other.device_id for other in fed_by(main, [main, fridge])], fed_by(fridge, [main, fridge])
        (['fridge'], [])
    """
    if device.channel != MAIN:
        return []
    return [other for other in devices if other.meter_id == device.meter_id and other.device_id != device.device_id]


def is_on(voltage_v: float) -> bool:
    """What a voltage says of the relay before it.

    Example:
        >>> is_on(0.0), is_on(230.4)
        (False, True)
    """
    return voltage_v >= OFF_BELOW_V
