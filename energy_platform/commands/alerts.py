"""``energy alerts list|show|acknowledge|snooze|check-rules|deliver|test``: what is the matter, and who looks after it."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from energy_platform.settings import get_settings

if TYPE_CHECKING:
    from energy_platform.adapters.operations import Operations
    from energy_platform.domain.alerts import Episode

app = typer.Typer(no_args_is_help=True, help="Alerts: what is the matter, and who looks after it.")

Identifier = Annotated[str, typer.Argument(help="Identifier, as `energy alerts list` prints it.")]
By = Annotated[str | None, typer.Option("--by", help="Who says so; default the user of this machine.")]


@app.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    undelivered: Annotated[bool, typer.Option("--undelivered", help="Messages that wait or were given up.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print open alerts, newest first; with --all those that are over, too."""
    from energy_platform.adapters.operations import episodes, outbox
    from energy_platform.commands.output import print_table
    from energy_platform.domain.alerts import EpisodeState

    living = [state for state in EpisodeState if state is not EpisodeState.RECOVERED]
    with _operations() as operations:
        if undelivered:
            waiting = outbox.list_messages(operations, is_delivered=False, limit=limit)
            rows = [
                (each.delivery_key, each.attempts, f"{each.due_at_utc:%Y-%m-%d %H:%M}", _fate(each), each.problem)
                for each in waiting
            ]
            print_table("undelivered messages", ["message", "attempts", "due (UTC)", "", "problem"], rows)
            return
        found = episodes.list_episodes(operations, states=() if everything else living, limit=limit)
    if as_json:
        sys.stdout.write(json.dumps([_plain(each) for each in found], default=str) + "\n")
        return
    title = f"{len(found)} alerts" if everything else f"{len(found)} open alerts"
    print_table(
        title,
        ["identifier", "severity", "state", "since (UTC)", "beyond", "what"],
        [
            (
                each.episode_id,
                each.severity.value,
                each.state.value,
                f"{each.opened_at_utc:%Y-%m-%d %H:%M}",
                each.breaches,
                f"{each.title}: {each.text}",
            )
            for each in found
        ],
    )


@app.command()
def show(episode_id: Identifier) -> None:
    """Print all that is known of one alert, its steps included, as JSON."""
    from energy_platform.adapters.operations import episodes

    with _operations() as operations:
        found = _plain(episodes.find_episode(operations, episode_id))
        steps = episodes.list_steps(operations, episode_id)
    found["steps"] = [
        {"number": each.number, "kind": each.kind.value, "at_utc": each.at_utc, "by": each.by, "is_told": each.is_told}
        for each in steps
    ]
    sys.stdout.write(json.dumps(found, indent=2, default=str) + "\n")


@app.command()
def acknowledge(episode_id: Identifier, by: By = None) -> None:
    """Say that somebody looks after it: nobody is told of it again until it is over."""
    from energy_platform.adapters.operations import episodes

    with _operations() as operations:
        found = episodes.acknowledge_episode(operations, episode_id, by=by or getuser(), now_utc=_now())
    typer.echo(f"{found.episode_id} ({found.title}) is {found.state.value}{_who(found)}")


@app.command()
def snooze(
    episode_id: Identifier,
    minutes: Annotated[float, typer.Option(min=1, help="How long nobody is told.")],
    by: By = None,
) -> None:
    """Tell nobody for so long; if it still holds then, they are told again."""
    from energy_platform.adapters.operations import episodes

    with _operations() as operations:
        who = by or getuser()
        found = episodes.snooze_episode(operations, episode_id, by=who, now_utc=_now(), minutes=minutes)
    until = f" until {found.snoozed_until_utc:%Y-%m-%d %H:%M} UTC" if found.snoozed_until_utc else ""
    typer.echo(f"{found.episode_id} ({found.title}) is {found.state.value}{until}")


@app.command("check-rules")
def check_rules(
    folder: Annotated[Path | None, typer.Argument(help="Folder of *.yml; default ENERGY_ALERTS.")] = None,
) -> None:
    """Read all rules and say which hold, whom they tell, and what is wrong with file and line."""
    from energy_platform.adapters.alert_rules import load_rules
    from energy_platform.adapters.notify import open_channels
    from energy_platform.commands.output import print_table

    settings = get_settings()
    rules = load_rules(folder or settings.alerts)
    channels = open_channels(settings.channel_addresses, sns_client=lambda: None)
    print_table(
        f"{len(rules.rules)} rules",
        ["rule", "kind", "severity", "holds", "title"],
        [(rule.name, rule.kind, rule.severity.value, rule.enabled, rule.title) for rule in rules.rules.values()],
    )
    typer.echo(f"channels: {', '.join(sorted(channels)) or 'none: set ENERGY_CHANNELS, or nobody is told'}")
    if unknown := sorted(rules.routing.named_channels - set(channels)):
        typer.echo(f"energy: routing names channels that ENERGY_CHANNELS lacks: {', '.join(unknown)}", err=True)
        raise typer.Exit(2)


@app.command()
def deliver() -> None:
    """Send the messages that are due, once; the stream process and the Dagster daemon do so by themselves."""
    from energy_platform.alerting import open_alerting

    with open_alerting(get_settings()) as alerting:
        done = alerting.deliver(now_utc=_now(), limit=1_000)
    typer.echo(f"{done.delivered} delivered, {done.failed} failed")
    raise typer.Exit(2 if done.failed else 0)


@app.command("test")
def send_test(
    channel: Annotated[str | None, typer.Argument(help="Name of the channel; default all of them.")] = None,
) -> None:
    """Send a message that says it is a test, at once and past the outbox."""
    from energy_platform.adapters.notify import DeliveryFailed, open_channels, outgoing
    from energy_platform.alerting import sns_client_of
    from energy_platform.domain.alerts.content import digest_content
    from energy_platform.domain.errors import ChannelUnusable

    settings, now = get_settings(), _now()
    channels = open_channels(settings.channel_addresses, sns_client=sns_client_of(settings))
    if channel is not None and channel not in channels:
        remedy = f"ENERGY_CHANNELS has: {', '.join(sorted(channels)) or 'none'}."
        raise ChannelUnusable(channel, problem="is not configured", remedy=remedy)
    content = digest_content(
        [], [], undelivered=0, zone_of={}, zone="UTC", dagster_url=settings.dagster_url, now_utc=now
    )
    content["heading"] = "Test of this channel by `energy alerts test`"
    failed = 0
    for name, each in channels.items():
        if channel in {None, name}:
            try:
                each.send(outgoing(each, "digest", content, f"test-{now:%Y%m%dT%H%M%S}-{name}"))
            except DeliveryFailed as problem:
                failed += 1
                typer.echo(f"{name}: failed: {problem}", err=True)
            else:
                typer.echo(f"{name}: taken")
    raise typer.Exit(2 if failed else 0)


def _fate(message: Any) -> str:
    return "given up" if message.failed_at_utc else "waits"


def _who(episode: "Episode") -> str:
    return f" by {episode.acknowledged_by}" if episode.acknowledged_by else ""


def _plain(episode: "Episode") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(episode)


@contextmanager
def _operations() -> "Iterator[Operations]":
    from energy_platform.adapters.operations import Operations

    with Operations.open(get_settings().operations_address) as operations:
        yield operations


def _now() -> datetime:
    return datetime.now(tz=UTC).replace(tzinfo=None)
