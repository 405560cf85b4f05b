"""Who is told of an episode's step, by which channel, and not before when.

A route is chosen by site, rule and severity; the first that fits counts. In quiet hours, which are hours of the site's
own clock, what is not urgent waits until they end. The same step gives a channel the same delivery key each time.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field

from energy_platform.domain.alerts.records import Episode, Severity, Step
from energy_platform.domain.alerts.rules import ALL, Patterns, Strict, fits
from energy_platform.domain.sources.fields import Zone


def _clock(said: object) -> object:
    """YAML 1.1 takes 22:00 for the number 1320, unless it stands in quotes."""
    return f"{said // 60:02d}:{said % 60:02d}" if isinstance(said, int) and 0 <= said < 1440 else said


Clock = Annotated[time, BeforeValidator(_clock)]


class QuietHours(Strict):
    """Hours of the site's clock in which only urgent messages go out; they may run over midnight."""

    starts: Clock
    ends: Clock
    except_from: Severity = Field(default=Severity.CRITICAL, description="From this severity on, messages go out.")


class Route(Strict):
    """Which channels are told of which episodes; no channel means the digest only."""

    sites: Patterns = Field(default=ALL, min_length=1)
    rules: Patterns = Field(default=ALL, min_length=1)
    severities: tuple[Severity, ...] = Field(default=tuple(Severity), min_length=1)
    channels: tuple[str, ...] | Literal["all"] = "all"
    quiet_hours: QuietHours | None = None

    def is_for(self, episode: Episode) -> bool:
        """Whether it is the route of an episode; what belongs to no site has the empty site."""
        is_site = fits(self.sites, episode.subject.site_id or "")
        return is_site and fits(self.rules, episode.rule) and episode.severity in self.severities


class Routing(Strict):
    """Who is told.

    Args:
        time_zone: of sites whose own zone the platform does not know, and of what belongs to no site.
        quiet_hours: of routes that have none of their own.
        routes: the first that fits counts; without one, nobody is told.
        digest_channels: which get the digest.
    """

    time_zone: Zone = "UTC"
    quiet_hours: QuietHours | None = None
    routes: tuple[Route, ...] = (Route(),)
    digest_channels: tuple[str, ...] | Literal["all"] = "all"

    @property
    def named_channels(self) -> set[str]:
        """Every channel that is named anywhere."""
        lists = [route.channels for route in self.routes] + [self.digest_channels]
        return {name for names in lists if names != "all" for name in names}


@dataclass(frozen=True, slots=True)
class Notice:
    """A message that is to be sent.

    Args:
        delivery_key: of the step and the channel; a channel is sent each key once.
        channel: name of the channel.
        not_before_utc: when it may go out.
        thread: of the episode and the channel; of one thread, messages go out in order.
        place: in the thread.
    """

    delivery_key: str
    channel: str
    not_before_utc: datetime
    thread: str
    place: int = 1


def notices(
    step: Step | None,
    episode: Episode,
    routing: Routing,
    *,
    channels: Collection[str],
    zone: str | None,
    now_utc: datetime,
) -> list[Notice]:
    """The messages of a step.

    Args:
        step: what happened, or ``None`` when nothing that is told did.
        episode: as it is after the step.
        routing: who is told.
        channels: names of the channels that are configured.
        zone: of the episode's site, ``None`` when it is not known.
        now_utc: the time on the wall.
    """
    if step is None or not step.is_told:
        return []
    route = next((route for route in routing.routes if route.is_for(episode)), None)
    if route is None:
        return []
    quiet = route.quiet_hours or routing.quiet_hours
    due = now_utc
    if quiet is not None and episode.severity.rank < quiet.except_from.rank:
        due = after_quiet_hours(quiet, zone or routing.time_zone, now_utc)
    names = sorted(channels) if route.channels == "all" else [name for name in route.channels if name in channels]
    identifier, number = episode.episode_id, step.number
    return [Notice(f"{identifier}-{number}-{name}", name, due, f"{identifier}-{name}", number) for name in names]


def after_quiet_hours(quiet: QuietHours, zone: str, now_utc: datetime) -> datetime:
    """Now, or the end of the quiet hours that now lies in (naive UTC).

    Example:
        >>> quiet = QuietHours(starts="22:00", ends="07:00")
        >>> after_quiet_hours(quiet, "Europe/London", datetime(2024, 7, 1, 22, 30))
        datetime.datetime(2024, 7, 2, 6, 0)
    """
    local = now_utc.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    clock = local.time()
    over_midnight = quiet.starts > quiet.ends
    is_quiet = clock >= quiet.starts or clock < quiet.ends if over_midnight else quiet.starts <= clock < quiet.ends
    if not is_quiet:
        return now_utc
    day = local.date() + timedelta(days=1) if over_midnight and clock >= quiet.starts else local.date()
    # In the hour that a clock change repeats, the end of the night comes twice: the first one that is still to come.
    ends = [datetime.combine(day, quiet.ends, tzinfo=ZoneInfo(zone)).replace(fold=fold) for fold in (0, 1)]
    later = [utc for utc in (end.astimezone(UTC).replace(tzinfo=None) for end in ends) if utc > now_utc]
    return min(later, default=now_utc)
