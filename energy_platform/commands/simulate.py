"""``energy simulate homes|sensors|appliances|esp32``: seeded readings with labelled faults, to files or streams.

Files: ``--out x.csv``, ``x.ndjson``, a folder, or ``-``; the labels of planted faults stand beside
as ``x.labels.csv``. Streams: ``--to kinesis://…``, ``kafka://…`` or ``mqtt://…``.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from energy_platform.domain.errors import SimulationInvalid
from energy_platform.domain.simulation.faults import Planted, parse_faults, plant

app = typer.Typer(no_args_is_help=True, help="Seeded meters with labelled faults.")

Event = tuple[str, dict[str, Any]]
Days = Annotated[float, typer.Option(help="Length.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same data.")]
Start = Annotated[datetime, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="First instant, UTC.")]
Faults = Annotated[str, typer.Option(help="all, none, or some of spike,stuck,gap,drift,night_leak,unit_x1000,sign.")]
Times = Annotated[int, typer.Option(min=1, help="Occurrences of each fault.")]
Zone = Annotated[str, typer.Option("--time-zone", help="IANA zone of mornings, weekends and nights.")]
Out = Annotated[str | None, typer.Option(help="File (.csv, .ndjson), folder, or - for standard output.")]
Labels = Annotated[Path | None, typer.Option(help="File for the labels; default beside --out.")]
To = Annotated[str | None, typer.Option(help="kinesis://stream, kafka://topic@host:port, mqtt://host:port/topic.")]
Rate = Annotated[float, typer.Option(min=0, help="Events a second into a stream; 0: as fast as it takes them.")]
Endpoint = Annotated[str | None, typer.Option("--endpoint-url", help="A server that speaks for AWS.")]
Region = Annotated[str | None, typer.Option(help="AWS region.")]
DEFAULT_START = datetime(2024, 1, 1)


@app.command()
def homes(
    count: Annotated[int, typer.Option("--homes", min=1, help="How many homes.")] = 10,
    days: Days = 30,
    seed: Seed = 1,
    start: Start = DEFAULT_START,
    faults: Faults = "none",
    times: Times = 1,
    time_zone: Zone = "Europe/London",
    out: Out = None,
    labels: Labels = None,
    to: To = None,
    rate: Rate = 0,
    endpoint_url: Endpoint = None,
    region: Region = None,
) -> None:
    """Half-hourly electricity and gas of homes; their weather is written beside a file."""
    from energy_platform.domain.simulation.homes import DECIMALS, readings, simulate_homes

    simulated = simulate_homes(count, starts_at_utc=start, days=days, seed=seed, time_zone=time_zone)
    planted = plant(
        simulated.series, parse_faults(faults), seed=seed, times=times, time_zone=time_zone, decimals=DECIMALS
    )
    rows = readings(planted.frame)
    stamped = rows.sort("interval_start_utc", maintain_order=True).with_columns(
        pl.col("interval_start_utc").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    )
    events = ((row["meter_id"], row) for row in stamped.iter_rows(named=True))
    _deliver(Planted(rows, planted.labels), events, "homes", ".csv", out, labels, to, rate, endpoint_url, region)
    if out not in {None, "-"} and to is None:
        place = _target(str(out), "homes", ".csv")
        _write(simulated.weather, place.with_name(place.stem + ".weather.csv"))


@app.command()
def sensors(
    stations: Annotated[int, typer.Option(min=1, help="Pairs of a gas and an electricity sensor.")] = 1,
    every: Annotated[float, typer.Option(min=1, help="Seconds between events.")] = 5.0,
    uniform: Annotated[bool, typer.Option("--uniform", help="Independent noise: nothing to forecast.")] = False,
    days: Days = 1,
    seed: Seed = 1,
    start: Start = DEFAULT_START,
    faults: Faults = "none",
    times: Times = 1,
    time_zone: Zone = "UTC",
    out: Out = None,
    labels: Labels = None,
    to: To = None,
    rate: Rate = 0,
    endpoint_url: Endpoint = None,
    region: Region = None,
) -> None:
    """Events ``{sensor_id, timestamp, data: {value}}`` of gas and electricity sensors."""
    from energy_platform.domain.simulation import sensors as simulation

    plain = simulation.simulate_sensors(
        starts_at_utc=start,
        days=days,
        seed=seed,
        stations=stations,
        every_seconds=every,
        uniform=uniform,
        time_zone=time_zone,
    )
    planted = plant(
        plain, parse_faults(faults), seed=seed, times=times, time_zone=time_zone, decimals=simulation.DECIMALS
    )
    rows = Planted(simulation.sensor_events(planted.frame), planted.labels)
    events = simulation.keyed_events(planted.frame)
    _deliver(rows, events, "sensors", ".ndjson", out, labels, to, rate, endpoint_url, region)


@app.command()
def appliances(
    interval_minutes: Annotated[int, typer.Option(help="Length of an interval.")] = 60,
    days: Days = 30,
    seed: Seed = 1,
    start: Start = DEFAULT_START,
    faults: Faults = "none",
    times: Times = 1,
    time_zone: Zone = "UTC",
    out: Out = None,
    labels: Labels = None,
    to: To = None,
    rate: Rate = 0,
    endpoint_url: Endpoint = None,
    region: Region = None,
) -> None:
    """Rows ``timestamp,appliance,kwh`` of a home's AC, refrigerator, heater and washing machine."""
    from energy_platform.domain.simulation.appliances import DECIMALS, appliance_rows, simulate_appliances

    plain = simulate_appliances(
        starts_at_utc=start, days=days, seed=seed, interval_minutes=interval_minutes, time_zone=time_zone
    )
    planted = plant(plain, parse_faults(faults), seed=seed, times=times, time_zone=time_zone, decimals=DECIMALS)
    rows = appliance_rows(planted.frame)
    events = ((row["appliance"], row) for row in rows.iter_rows(named=True))
    _deliver(Planted(rows, planted.labels), events, "appliances", ".csv", out, labels, to, rate, endpoint_url, region)


@app.command()
def esp32(
    meter_id: Annotated[str, typer.Option(help="Name of the meter.")] = "esp32-1",
    every: Annotated[float, typer.Option(min=0.05, help="Seconds between messages.")] = 2.0,
    overvoltages: Annotated[int, typer.Option(min=0, help="Single messages at 320 V, labelled.")] = 0,
    command_topic: Annotated[str, typer.Option(help="Where commands come over MQTT.")] = "esp32/sub",
    days: Days = 1,
    seed: Seed = 1,
    start: Start = DEFAULT_START,
    faults: Faults = "none",
    times: Times = 1,
    time_zone: Zone = "Asia/Kolkata",
    out: Out = None,
    labels: Labels = None,
    to: To = None,
    rate: Rate = 0,
    endpoint_url: Endpoint = None,
    region: Region = None,
) -> None:
    """An ESP32 meter: main and two devices, keys a to i; over MQTT its relays obey commands."""
    from energy_platform.domain.simulation import esp32 as simulation

    simulated = simulation.simulate_esp32(
        meter_id,
        starts_at_utc=start,
        days=days,
        seed=seed,
        every_seconds=every,
        faults=parse_faults(faults),
        times=times,
        overvoltages=overvoltages,
        time_zone=time_zone,
    )
    meter = simulation.Esp32Meter(meter_id)
    ticks = simulated.ticks.drop("at_utc")
    events = ((meter_id, meter.payload(tick)) for tick in ticks.iter_rows(named=True))

    def obey(command: bytes) -> None:
        done = "obeyed" if meter.obey(command) else "ignored"
        typer.echo(f"{done} {command[:200]!r}", err=True)

    rows = Planted(simulation.messages(simulated) if to is None else pl.DataFrame(), simulated.labels)
    _deliver(
        rows, events, "esp32", ".ndjson", out, labels, to, rate, endpoint_url, region, obey=obey, listen=command_topic
    )


def _deliver(
    planted: Planted,
    events: Iterable[Event],
    name: str,
    suffix: str,
    out: str | None,
    labels: Path | None,
    to: str | None,
    rate: float,
    endpoint_url: str | None,
    region: str | None,
    *,
    obey: Any = None,
    listen: str = "",
) -> None:
    """Rows to a file or events to a stream, and the labels beside; the labels are written first."""
    if (out is None) == (to is None):
        raise SimulationInvalid("nothing says where it goes. Give either --out FILE or --to ADDRESS.")
    beside = labels
    if beside is None and out not in {None, "-"}:
        place = _target(str(out), name, suffix)
        beside = place.with_name(place.stem + ".labels.csv")
    if beside is not None:
        _write(planted.labels, beside)
    elif planted.labels.height:
        typer.echo(planted.labels.write_csv(), err=True, nl=False)
    if to is not None:
        _send(events, to, rate=rate, endpoint_url=endpoint_url, region=region, obey=obey, listen=listen)
    elif out == "-":
        for text in _chunks(planted.frame, suffix):
            sys.stdout.write(text)
    else:
        _write(planted.frame, _target(str(out), name, suffix))


def _send(
    events: Iterable[Event],
    to: str,
    *,
    rate: float,
    endpoint_url: str | None,
    region: str | None,
    obey: Any,
    listen: str,
) -> None:
    """Events into a stream at a rate; says how many were acknowledged."""
    from energy_platform.adapters.event_sinks import Paced, open_sink, parse_address

    sink = open_sink(parse_address(to), endpoint_url=endpoint_url, region=region, on_command=obey, command_topic=listen)
    count, pace = 0, Paced(rate)
    with ExitStack() as closing:
        closing.callback(sink.close)
        for key, event in events:
            pace.wait()
            sink.send(key, json.dumps(event, default=str).encode())
            count += 1
    typer.echo(f"{count} events sent and acknowledged", err=True)


def _target(out: str, name: str, suffix: str) -> Path:
    """The file that ``--out`` means: itself when it has a known suffix, else a file in that folder."""
    path = Path(out)
    return path if path.suffix in {".csv", ".ndjson"} else path / (name + suffix)


def _write(frame: pl.DataFrame, path: Path) -> None:
    """Replace a file by a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        for text in _chunks(frame, path.suffix):
            file.write(text)
    temporary.replace(path)
    typer.echo(f"{path}: {frame.height:,} rows", err=True)


def _chunks(frame: pl.DataFrame, suffix: str) -> Iterator[str]:
    """The frame as text, a hundred thousand rows at a time; a nested value is flattened in CSV."""
    nested = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Struct)]
    flat = frame.unnest(nested) if nested and suffix == ".csv" else frame
    slices = chain(flat.iter_slices(100_000)) if flat.height else iter([flat])
    for position, part in enumerate(slices):
        if suffix == ".csv":
            yield part.write_csv(include_header=position == 0, datetime_format="%Y-%m-%dT%H:%M:%SZ")
        else:
            stamps = pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")
            yield part.with_columns(stamps).write_ndjson()
