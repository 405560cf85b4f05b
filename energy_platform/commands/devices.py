"""``energy devices``: what can be switched, switching it, stopping all switching, and the loop that does it."""

import getpass
import logging
import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from energy_platform.commands.mqtt_broker import named_broker
from energy_platform.commands.stream import MqttVersion
from energy_platform.domain.control.devices import Action
from energy_platform.domain.control.guard import EVERYWHERE
from energy_platform.settings import get_settings

if TYPE_CHECKING:
    from energy_platform.adapters.operations import Operations

app = typer.Typer(no_args_is_help=True, help="Devices that can be switched, and the guard before them.")

Reason = Annotated[str, typer.Option(help="Why; it stands in the audit trail.")]
Scope = Annotated[str, typer.Option("--site", help="Site; * is every one.")]


@app.command()
def register(
    path: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The devices of a site, yml.")],
) -> None:
    """Make the devices of a site those of a file."""
    from energy_platform.adapters.control_files import load_devices
    from energy_platform.adapters.operations.devices import register_devices

    declared = load_devices(path)
    with _operations() as operations:
        gone = register_devices(operations, declared, actor=_actor(), now_utc=_now())
    typer.echo(f"{declared.site_id}: {len(declared.devices)} devices registered")
    for device_id in gone:
        typer.echo(f"{device_id} is no longer a device")


@app.command("list")
def list_() -> None:
    """Print every device, what it may be told, and whether something holds it."""
    from energy_platform.adapters.operations.devices import kill_switches, latches, list_devices
    from energy_platform.commands.output import print_table

    with _operations() as operations:
        devices, latched, killed = list_devices(operations), latches(operations), kill_switches(operations)
    rows = [
        [
            device.device_id,
            device.site_id,
            f"{device.meter_id}/{device.channel}",
            device.protocol,
            "protected" if device.protected else ", ".join(device.capabilities),
            latched[device.meter_id].cause if device.meter_id in latched else None,
        ]
        for device in devices
    ]
    print_table(f"{len(rows)} devices", ["device", "site", "meter/channel", "protocol", "may be", "latched"], rows)
    for scope, reason in killed.items():
        typer.echo(f"STOPPED: {'every site' if scope == EVERYWHERE else scope}: {reason}")


@app.command()
def switch(
    device_id: Annotated[str, typer.Argument(help="Identifier, as `energy devices list` prints it.")],
    action: Annotated[Action, typer.Argument(help="on or off.")],
    reason: Reason,
    expires_seconds: Annotated[float, typer.Option(min=1, max=3_600, help="Nothing is sent later.")] = 60.0,
    command_id: Annotated[str | None, typer.Option(help="Your own identifier; asked for twice, done once.")] = None,
) -> None:
    """Ask for a device to be switched; `energy devices control` sends it."""
    from energy_platform.adapters.operations.commands import request_command
    from energy_platform.adapters.operations.devices import get_device
    from energy_platform.domain.control.commands import Command

    now_utc = _now()
    with _operations() as operations:
        device = get_device(operations, device_id)
        asked = Command(
            command_id=command_id or uuid4().hex,
            device_id=device_id,
            site_id=device.site_id,
            action=action,
            requester=_actor(),
            reason=reason,
            requested_at_utc=now_utc,
            expires_at_utc=now_utc + timedelta(seconds=expires_seconds),
        )
        kept, was_known = request_command(operations, asked, now_utc=now_utc)
    known = ", known already" if was_known else ""
    typer.echo(f"{kept.command_id}: {kept.state.value}{known}{': ' + kept.detail if kept.detail else ''}")
    raise typer.Exit(0 if kept.is_open or was_known else 2)


@app.command()
def clear(device_id: Annotated[str, typer.Argument(help="A device of the latched meter.")], reason: Reason) -> None:
    """Clear the latch of a meter that was shut off; it stays off until it is switched on."""
    from energy_platform.adapters.operations.devices import clear_latch, get_device

    with _operations() as operations:
        device = get_device(operations, device_id)
        is_cleared = clear_latch(operations, device, reason=reason, actor=_actor(), now_utc=_now())
    typer.echo(f"{device.meter_id} {'may be switched on again' if is_cleared else 'was not latched'}")


@app.command()
def stop(reason: Reason, scope: Scope = EVERYWHERE) -> None:
    """Throw the kill switch: nothing is sent to a site, or to any, until it is released."""
    from energy_platform.adapters.operations.devices import throw_kill_switch

    with _operations() as operations:
        throw_kill_switch(operations, scope, reason=reason, actor=_actor(), now_utc=_now())
    typer.echo(f"all control of {'every site' if scope == EVERYWHERE else scope} is stopped")


@app.command()
def release(reason: Reason, scope: Scope = EVERYWHERE) -> None:
    """Release the kill switch of a site, or the one of every site."""
    from energy_platform.adapters.operations.devices import release_kill_switch

    with _operations() as operations:
        was = release_kill_switch(operations, scope, reason=reason, actor=_actor(), now_utc=_now())
    typer.echo("released" if was else "it was not thrown")


@app.command()
def log(
    subject: Annotated[str | None, typer.Option(help="Command, meter or site; all of them without it.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 50,
) -> None:
    """Print the audit trail, oldest first."""
    from energy_platform.adapters.operations.control_log import log_entries

    with _operations() as operations:
        for entry in log_entries(operations, subject=subject, limit=limit):
            stamp = f"{entry.at_utc:%Y-%m-%d %H:%M:%S}"
            typer.echo(f"{stamp}  {entry.kind:11}  {entry.subject}  {entry.became:10}  {entry.actor}: {entry.detail}")


@app.command()
def control(
    topics: Annotated[list[str], typer.Option("--topic", help="Topic filter of the telemetry, such as esp32/pub.")],
    host: Annotated[str, typer.Option(help="The broker.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="Default 1883, with --ca 8883.")] = None,
    client_id: Annotated[str, typer.Option(help="At the broker; not that of a stream process.")] = "energy-control",
    version: Annotated[MqttVersion, typer.Option(help="Of the protocol.")] = MqttVersion.V311,
    ca: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Authorities to trust: TLS.")] = None,
    certificate: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Client certificate.")] = None,
    key: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Its private key.")] = None,
    confirm_seconds: Annotated[float, typer.Option(min=0.1, max=600, help="Wait for a read-back.")] = 10.0,
    attempts: Annotated[int, typer.Option(min=1, max=20, help="How often a command is sent.")] = 3,
    health_port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of GET /health.")] = 8082,
    health_host: Annotated[str, typer.Option(help="Its address; loopback unless told otherwise.")] = "127.0.0.1",
) -> None:
    """Send commands, confirm them by telemetry and shut off what must be, until SIGTERM or Ctrl-C."""
    from energy_platform.adapters.mqtt_commands import MqttCommands
    from energy_platform.alerting import open_alerting
    from energy_platform.domain.control.commands import Command, Patience
    from energy_platform.domain.control.failures import signal_of
    from energy_platform.streaming.control import DeviceControl
    from energy_platform.streaming.health import health_endpoint

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = get_settings()
    broker = named_broker(
        settings,
        host=host,
        port=port,
        client_id=client_id,
        version=version.value,
        certificates=(ca, certificate, key),
    )
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.set())
    with _operations() as operations, open_alerting(settings) as alerting:

        def tell(ended: Command) -> None:
            if (seen := signal_of(ended)) is not None:
                alerting.take([seen], now_utc=_now())

        line = MqttCommands(broker, topics)
        loop = DeviceControl(operations, line, patience=Patience(confirm_seconds, attempts), on_ended=tell)
        try:
            with health_endpoint(loop.snapshot, host=health_host, port=health_port) as bound:
                typer.echo(f"control: http://{health_host}:{bound}/health")
                loop.run(stopping, now=_now)
        finally:
            line.close()
    typer.echo(f"control: stopped; {loop.counts}")


def _operations() -> "Operations":
    from energy_platform.adapters.operations import Operations
    from energy_platform.adapters.operations.control_log import keep_for_good

    operations = Operations.open(get_settings().operations_address)
    keep_for_good(operations)
    return operations


def _actor() -> str:
    return f"cli:{getpass.getuser()}"


def _now() -> datetime:
    return datetime.now(tz=UTC).replace(tzinfo=None)
