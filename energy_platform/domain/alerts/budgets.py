"""Energy of a site over its billing period: how much is used, where it is heading, how much a day may still be used.

A tariff whose price jumps at so many kWh is the same sum with another name. What is still to come is what is forecast
for it, and beyond the forecast the mean day of the forecast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import polars as pl

from energy_platform.domain.alerts.records import Episode, Fact, Signal, Subject
from energy_platform.domain.alerts.rules import BudgetRule, fits
from energy_platform.domain.alerts.words import amount, plain

LINK = "/assets/marts/meter_days"


@dataclass(frozen=True, slots=True)
class Outlook:
    """A site's billing period, as it stands after its newest complete day.

    Args:
        site_id: of the site.
        starts: first day of the period.
        ends: the day after its last one.
        newest: newest complete day.
        used_kwh: from the first day to the newest.
        days_used: days that ``used_kwh`` is of.
        coming_kwh: expected for the days that are left.
    """

    site_id: str
    starts: date
    ends: date
    newest: date
    used_kwh: float
    days_used: int
    coming_kwh: float

    @property
    def days_left(self) -> int:
        """Days of the period after the newest complete one."""
        return (self.ends - self.newest).days - 1

    @property
    def heading_kwh(self) -> float:
        """Expected at the end of the period."""
        return self.used_kwh + self.coming_kwh

    def may_use_kwh(self, budget_kwh: float) -> float:
        """What may be used a day to stay within a budget; 0 when it is used up or no day is left."""
        return max(budget_kwh - self.used_kwh, 0.0) / self.days_left if self.days_left else 0.0


def period_of(day: date, months: int) -> tuple[date, date]:
    """The billing period of a day: whole calendar months, counted from January.

    Example:
        >>> period_of(date(2024, 4, 9), 2)
        (datetime.date(2024, 3, 1), datetime.date(2024, 5, 1))
    """
    first = (day.month - 1) // months * months + 1
    starts = date(day.year, first, 1)
    after = first + months
    return starts, date(day.year + (after - 1) // 12, (after - 1) % 12 + 1, 1)


def outlooks(days: pl.DataFrame, forecasts: pl.DataFrame, *, months: int) -> list[Outlook]:
    """The period of each site.

    Args:
        days: site_id, local_date, energy_kwh; a row a day and site, of one commodity.
        forecasts: site_id, local_date, p50_kwh; likewise.
        months: of a period.
    """
    coming = {
        str(site): part.sort("local_date") for (site,), part in forecasts.group_by("site_id", maintain_order=True)
    }
    found: list[Outlook] = []
    for (site,), part in days.group_by("site_id", maintain_order=True):
        newest = part["local_date"].max()
        if not isinstance(newest, date):
            continue
        starts, ends = period_of(newest, months)
        mine = part.filter((pl.col("local_date") >= starts) & (pl.col("local_date") < ends))
        used, count, left = float(mine["energy_kwh"].sum()), mine.height, (ends - newest).days - 1
        expected = coming.get(str(site))
        found.append(
            Outlook(str(site), starts, ends, newest, used, count, _coming(expected, newest, ends, left, used / count))
        )
    return found


def budget_signals(rule: BudgetRule, found: Sequence[Outlook], episodes: Sequence[Episode]) -> list[Signal]:
    """Sites that are near their budget or heading beyond it, and those whose new period has begun."""
    signals: list[Signal] = []
    for outlook in found:
        if not fits(rule.sites, outlook.site_id):
            continue
        subject = Subject(f"site {outlook.site_id} {rule.commodity}", outlook.site_id)
        mine = [episode for episode in episodes if episode.subject.name == subject.name]
        if outlook.used_kwh >= rule.warn_at_share * rule.kwh or outlook.heading_kwh > rule.kwh:
            signals.append(_signal(rule, subject, outlook))
        elif mine and mine[0].opened_at_utc < datetime.combine(outlook.starts, time()):
            signals.append(_end(mine[0], outlook))
    return signals


def _coming(expected: pl.DataFrame | None, newest: date, ends: date, left: int, mean_kwh: float) -> float:
    if expected is None or left <= 0:
        return mean_kwh * left
    ahead = expected.filter((pl.col("local_date") > newest) & (pl.col("local_date") < ends))["p50_kwh"]
    if ahead.is_empty():
        return mean_kwh * left
    forecast = float(ahead.sum())
    return forecast + forecast / len(ahead) * (left - len(ahead))


def _signal(rule: BudgetRule, subject: Subject, outlook: Outlook) -> Signal:
    used, limit = amount(outlook.used_kwh, "kWh"), f"{plain(rule.kwh)} kWh"
    ends = outlook.ends - timedelta(days=1)
    if outlook.used_kwh > rule.kwh:
        text = f"{used} are used since {outlook.starts}, more than {limit}; the period ends on {ends}."
    else:
        may = amount(outlook.may_use_kwh(rule.kwh), "kWh")
        text = (
            f"{used} of {limit} are used since {outlook.starts}; it is heading for {amount(outlook.heading_kwh, 'kWh')} "
            f"by {ends}. {may} a day for the {outlook.days_left} days that are left stay within it."
        )
    evidence: dict[str, Fact] = {
        "used (kWh)": round(outlook.used_kwh, 3),
        "heading for (kWh)": round(outlook.heading_kwh, 3),
        "days with readings": outlook.days_used,
        "days left": outlook.days_left,
    }
    return Signal(
        rule.name,
        rule.severity,
        subject,
        is_breach=True,
        at_utc=_noon(outlook.newest),
        title=f"{rule.title}: {subject.name}",
        text=text,
        value=outlook.used_kwh,
        limit=rule.kwh,
        unit="kWh",
        evidence=evidence,
        link=LINK,
    )


def _end(episode: Episode, outlook: Outlook) -> Signal:
    at_utc = max(_noon(outlook.newest), episode.newest_at_utc)
    text = f"A new period began on {outlook.starts}."
    return Signal(
        episode.rule, episode.severity, episode.subject, False, at_utc, episode.title, text, link=episode.link
    )


def _noon(day: date) -> datetime:
    """A time within the day and so within its period, whatever the zone."""
    return datetime.combine(day, time(12))
