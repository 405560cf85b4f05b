"""``energy intents``: declared goals for a site's load, and what they would have done to days that have passed."""

import json
import logging
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from energy_platform.settings import get_settings

if TYPE_CHECKING:
    from energy_platform.domain.intents.outcome import DayOutcome, ReplayOutcome

app = typer.Typer(no_args_is_help=True, help="Declared goals for a site's load.")

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The intent, yml.")]


@app.command()
def check(path: File) -> None:
    """Say what an intent means, or what is wrong with it."""
    from energy_platform.adapters.control_files import load_intent

    intent = load_intent(path)
    days, never = ", ".join(intent.when.days), ", ".join(intent.never) or "nothing named"
    typer.echo(f"{intent.name} ({intent.digest}) at {intent.site_id}: {intent.description}")
    typer.echo(f"{intent.reduce_percent:g} % less than expected, {intent.when.starts} to {intent.when.ends} on {days}")
    typer.echo(f"may switch {', '.join(device.channel for device in intent.devices)}; never {never}")


@app.command("replay")
def replay_(
    path: File,
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First local day.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last local day.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as one JSON object.")] = False,
) -> None:
    """Show what an intent would have done to published days: energy, money, comfort, and where it would have failed.

    Switches nothing. An intent may act only after a replay of it as it now stands.
    """
    from energy_platform.adapters.control_files import load_intent
    from energy_platform.adapters.operations import Operations
    from energy_platform.adapters.operations.intents import KnownReplay, keep_replay
    from energy_platform.domain.intents.outcome import replay
    from energy_platform.serving.intents import published_days
    from energy_platform.serving.published import open_published

    settings, intent = get_settings(), load_intent(path)
    generation = open_published(settings).current()
    from_day, to_day = first.date() if first else None, last.date() if last else None
    days = published_days(generation, intent, first=from_day, last=to_day)
    outcome = replay(days, intent, first=from_day or days.dates[0], last=to_day or days.dates[-1])
    known = KnownReplay(
        digest=intent.digest,
        name=intent.name,
        first_day=outcome.days[0].day,
        last_day=outcome.days[-1].day,
        generation_id=generation.generation_id,
        summary=outcome.summary(),
        replayed_at_utc=datetime.now(tz=UTC).replace(tzinfo=None),
    )
    with Operations.open(settings.operations_address) as operations:
        keep_replay(operations, known)
    if as_json:
        sys.stdout.write(json.dumps(outcome.as_json(), indent=2, default=str) + "\n")
    else:
        _print(outcome)


@app.command("list")
def list_() -> None:
    """Print the replays that were done, newest first."""
    from energy_platform.adapters.operations import Operations
    from energy_platform.adapters.operations.intents import list_replays
    from energy_platform.commands.output import print_table

    with Operations.open(get_settings().operations_address) as operations:
        replays = list_replays(operations)
    rows = [
        [
            one.name,
            one.digest,
            one.first_day,
            one.last_day,
            f"{one.summary['days_met']} of {one.summary['days']}",
            one.summary["removed_kwh"],
            one.summary["day_saved_pence"] / 100,
        ]
        for one in replays
    ]
    print_table(f"{len(rows)} replays", ["intent", "digest", "from", "to", "days met", "removed kWh", "saved"], rows)


@app.command()
def run(
    path: File,
    every_seconds: Annotated[float, typer.Option(min=0.1, max=300, help="Between two looks at the clock.")] = 5.0,
) -> None:
    """Let an intent act, until SIGTERM or Ctrl-C: it asks for commands, which `energy devices control` sends.

    Only an intent that was replayed as it now stands may act, and only through the guard that every command passes.
    """
    from energy_platform.adapters.control_files import load_intent
    from energy_platform.adapters.operations import Operations
    from energy_platform.adapters.operations.control_log import keep_for_good
    from energy_platform.serving.intents import expectation
    from energy_platform.streaming.intents import IntentRunner, expect_may_act

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings, intent, stopping = get_settings(), load_intent(path), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.set())
    with Operations.open(settings.operations_address) as operations:
        keep_for_good(operations)
        devices = expect_may_act(operations, intent, path=str(path))
        zone, expect = expectation(settings, operations, intent)
        runner = IntentRunner(operations, intent, devices, zone, expect)
        typer.echo(f"{intent.name} ({intent.digest}): acting at {intent.site_id}, {zone}")
        while not stopping.wait(every_seconds):
            try:
                runner.turn(datetime.now(tz=UTC).replace(tzinfo=None))
            except Exception:
                # Whoever took a device must come back to give it: a store that is away for a while ends nothing.
                logging.getLogger(__name__).exception("a turn failed and is taken again")


@app.command()
def outcomes() -> None:
    """Print the days on which intents acted: what was expected, the goal, and what was used."""
    from energy_platform.adapters.operations import Operations
    from energy_platform.adapters.operations.intents import list_days
    from energy_platform.commands.output import print_table

    with Operations.open(get_settings().operations_address) as operations:
        days = list_days(operations)
    rows = [
        [
            one.name,
            one.day,
            one.expected_kwh,
            one.target_kwh,
            one.used_kwh,
            ("yes" if one.is_met else "no") if one.is_over else "not over yet",
            len(one.state["switched_at"]),
        ]
        for one in days
    ]
    print_table(f"{len(rows)} days", ["intent", "day", "expected kWh", "goal", "used", "met", "switched"], rows)


def _print(outcome: "ReplayOutcome") -> None:
    from energy_platform.commands.output import console, print_table

    intent, total = outcome.intent, outcome.summary()
    header = ["day", "expected kWh", "goal", "without", "with", "met", "saved by midnight", intent.tariff.currency]
    rows = [_row(day) for day in outcome.days]
    print_table(f"{intent.name} ({intent.digest}): {intent.description}", [*header, "min denied", "switched"], rows)
    met, of = total["days_met"], total["days"]
    console.print(
        f"Met on {met} of {of} days; with nobody switching anything, {total['days_met_without']} would have been. "
        f"It would have taken {total['removed_kwh']:.2f} kWh ({total['removed_percent']:.1f} %) out of the windows, of which "
        f"{total['day_saved_kwh']:.2f} kWh ({total['day_saved_pence'] / 100:.2f} {intent.tariff.currency}) had not come back "
        f"by midnight, for {total['denied_minutes']} minutes in which a device was off and wanted to run. What was expected "
        f"missed what was used by {total['expectation_error_percent']:.0f} % a window.",
        highlight=False,
    )
    for day in outcome.failed:
        console.print(f"  failed on {day.day}: {day.why_failed}", highlight=False)
    for left_out, reason in outcome.left_out:
        console.print(f"  not replayed {left_out}: {reason}", highlight=False)


def _row(day: "DayOutcome") -> list[object]:
    return [
        day.day,
        day.expected_kwh,
        day.target_kwh,
        day.without_kwh,
        day.with_kwh,
        "yes" if day.is_met else "no",
        day.day_saved_kwh,
        day.day_saved_pence / 100,
        day.denied_minutes,
        day.switchings,
    ]
