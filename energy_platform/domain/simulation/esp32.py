"""ESP32 meters: a main supply and two devices behind relays that obey commands.

The payload on ``esp32/pub`` has the keys a to i, strings of two decimals: voltage, current and
apparent power (VA, not W) of main, then of dev1, then of dev2. It carries no time and no id.
Commands on ``esp32/sub`` are ``{"message": "dev1off"}``; a relay that is off shows no voltage.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from energy_platform.domain.errors import SimulationInvalid
from energy_platform.domain.simulation.climate import (
    Floats,
    bump,
    generator,
    instants,
    local_clock,
    series,
    temperature_c,
)
from energy_platform.domain.simulation.faults import LABELS_SCHEMA, Fault, Planted, plant

TOPIC_READINGS = "esp32/pub"
TOPIC_COMMANDS = "esp32/sub"
CHANNELS = ("main", "dev1", "dev2")
PAYLOAD_KEYS: dict[str, tuple[str, str, str]] = {
    "main": ("a", "b", "c"),
    "dev1": ("d", "e", "f"),
    "dev2": ("g", "h", "i"),
}
"""Per channel the keys of voltage (V), current (A) and apparent power (VA)."""
DECIMALS = 2
OVERVOLTAGE = "overvoltage"
OVERVOLTAGE_V = 320.0


@dataclass(frozen=True, slots=True)
class Esp32Ticks:
    """What one meter would send with all relays on, a row a message, and the labels of planted faults.

    ``ticks``: at_utc, voltage_v, main_va, dev1_va, dev2_va (as measured, faults included) and
    dev1_true_va, dev2_true_va (what switching the device off takes from main).
    """

    meter_id: str
    ticks: pl.DataFrame
    labels: pl.DataFrame


@dataclass(slots=True)
class Esp32Meter:
    """The meter's state: which relays are on. A switched-off main switches all off.

    Example:
        >>> meter = Esp32Meter("esp32-1")
        >>> meter.obey('{"message": "dev1off"}'), meter.relays["dev1"]
        (True, False)
    """

    meter_id: str
    relays: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(CHANNELS, True))

    def obey(self, command: str | bytes) -> bool:
        """Do what a command says; False when it is none of mainon … dev2off, which changes nothing."""
        try:
            content = json.loads(command)
        except (ValueError, RecursionError):
            return False
        message = content.get("message") if isinstance(content, dict) else None
        for channel in CHANNELS:
            if message == f"{channel}on" or message == f"{channel}off":  # noqa: PLR1714  it may be a list, which no set takes
                self.relays[channel] = message == f"{channel}on"
                return True
        return False

    def payload(self, tick: dict[str, float]) -> dict[str, str]:
        """The message for one row of ``Esp32Ticks.ticks``, relays as they are now."""
        is_on = {channel: self.relays[channel] and self.relays["main"] for channel in CHANNELS}
        switched_off = sum(tick[f"{device}_true_va"] for device in CHANNELS[1:] if not is_on[device])
        power = {"main": tick["main_va"] - switched_off, "dev1": tick["dev1_va"], "dev2": tick["dev2_va"]}
        message: dict[str, str] = {}
        for channel, keys in PAYLOAD_KEYS.items():
            voltage = tick["voltage_v"] if is_on[channel] else 0.0
            apparent = power[channel] if is_on[channel] else 0.0
            current = apparent / voltage if voltage else 0.0
            message |= {key: f"{value:.2f}" for key, value in zip(keys, (voltage, current, apparent), strict=True)}
        return message


def simulate_esp32(
    meter_id: str,
    *,
    starts_at_utc: datetime,
    days: float,
    seed: int,
    every_seconds: float = 2.0,
    faults: Sequence[Fault] = (),
    times: int = 1,
    overvoltages: int = 0,
    time_zone: str = "Asia/Kolkata",
) -> Esp32Ticks:
    """One meter: main carries a base load and both devices; nominal 240 V.

    Faults are of the measured apparent power of one channel (a gap loses whole messages, so it is
    labelled for all three); ``overvoltages`` are single messages at 320 V on all channels.

    Raises:
        SimulationInvalid: no time, or no room for the faults.
    """
    if every_seconds <= 0:
        raise SimulationInvalid(f"a message every {every_seconds} s cannot be. Give --every above 0.")
    at_utc = instants(starts_at_utc, days, timedelta(seconds=every_seconds))
    clock = local_clock(at_utc, time_zone)
    number = sum(meter_id.encode())
    voltage, base, dev1, dev2 = _loads(at_utc, clock, seed, number)
    true = {"main": base + dev1 + dev2, "dev1": dev1, "dev2": dev2}
    plain = pl.concat([series(meter_id, name, at_utc, va, decimals=DECIMALS) for name, va in true.items()])
    planted = _plant(plain, faults, seed=seed + number, times=times, time_zone=time_zone)
    wide = planted.frame.pivot("channel", index="at_utc", values="value").drop_nulls()
    truth = pl.DataFrame(
        {"at_utc": at_utc, "voltage_v": voltage, "dev1_true_va": np.round(dev1, 2), "dev2_true_va": np.round(dev2, 2)}
    )
    renamed = wide.rename({name: f"{name}_va" for name in CHANNELS})
    ticks = truth.join(renamed, on="at_utc", how="inner", maintain_order="left")
    raised, marks = _overvoltages(ticks, meter_id, overvoltages, timedelta(seconds=every_seconds), seed + number)
    labels = pl.concat([planted.labels, marks]).sort("starts_at_utc", "channel")
    return Esp32Ticks(meter_id, raised, labels)


def messages(simulated: Esp32Ticks) -> pl.DataFrame:
    """All messages with the relays on: received_at_utc, topic, meter_id, payload (a … i), as a file keeps them."""
    meter = Esp32Meter(simulated.meter_id)
    payloads = [meter.payload(tick) for tick in simulated.ticks.drop("at_utc").iter_rows(named=True)]
    fields = pl.Struct({key: pl.String for keys in PAYLOAD_KEYS.values() for key in keys})
    return pl.DataFrame(
        {
            "received_at_utc": simulated.ticks["at_utc"],
            "topic": [TOPIC_READINGS] * len(payloads),
            "meter_id": [simulated.meter_id] * len(payloads),
            "payload": pl.Series(payloads, dtype=fields),
        }
    )


def _loads(at_utc: pl.Series, clock: pl.DataFrame, seed: int, number: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Voltage (V), base load, dev1 (a cooler that follows the heat) and dev2 (lights), VA."""
    random, count = generator(seed, 6, number), len(at_utc)
    hour, is_weekend = clock["hour"].to_numpy(), clock["is_weekend"].to_numpy()
    heat = np.clip((temperature_c(at_utc, seed=seed) - 5) / 15, 0.15, 1.2)
    busy = np.where(is_weekend, 1.2, 1.0) * (0.4 + bump(hour, 8, 1.5) + 1.3 * bump(hour, 20, 2.0))
    voltage = 240 - 3 * busy + random.normal(0, 1.2, count)
    base = 120 * busy * random.gamma(20, 1 / 20, count)
    cooler = 450 * heat * (0.5 + 0.5 * bump(hour, 15, 4)) * random.gamma(30, 1 / 30, count)
    lights = 10 + 90 * bump(hour, 20.5, 2.0) * random.gamma(30, 1 / 30, count)
    return np.round(voltage, 2), np.maximum(base, 5.0), np.maximum(cooler, 5.0), lights


def _plant(frame: pl.DataFrame, faults: Sequence[Fault], *, seed: int, times: int, time_zone: str) -> Planted:
    """Plant gaps first, which take whole messages and so every channel's row, then faults of values beside them."""
    main = frame.filter(pl.col("channel") == "main")
    gaps = plant(main, [fault for fault in faults if fault is Fault.GAP], seed=seed, times=times)
    others = [fault for fault in faults if fault is not Fault.GAP]
    planted = plant(frame, others, seed=seed, times=times, time_zone=time_zone, decimals=DECIMALS, avoid=gaps.labels)
    kept = planted.frame.join(gaps.frame.select("at_utc"), on="at_utc", how="semi")
    every = [gaps.labels.with_columns(pl.lit(channel).alias("channel")) for channel in CHANNELS]
    return Planted(kept, pl.concat([planted.labels, *every]))


def _overvoltages(
    ticks: pl.DataFrame, meter_id: str, count: int, step: timedelta, seed: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lift the voltage of single messages far above the 300 V at which a house is switched off."""
    if count > ticks.height // 2:
        raise SimulationInvalid(f"{count} overvoltages do not fit into {ticks.height} messages. Give more --days.")
    places = (
        np.sort(generator(seed, 7).choice(ticks.height, size=count, replace=False)) if count else np.empty(0, np.int64)
    )
    voltage = ticks["voltage_v"].to_numpy().copy()
    voltage[places] = OVERVOLTAGE_V
    at = ticks["at_utc"].gather(places.astype(np.int64))
    rows = [(meter_id, channel, OVERVOLTAGE, when, when + step, OVERVOLTAGE_V) for when in at for channel in CHANNELS]
    labels = pl.DataFrame(rows, schema=LABELS_SCHEMA, orient="row")
    return ticks.with_columns(pl.Series("voltage_v", voltage)), labels
