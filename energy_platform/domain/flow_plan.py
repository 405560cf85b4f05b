"""Which cutoffs a flow must train and issue after new data arrived.

Belongs here: the arithmetic from "what is there" to partition keys. Does not belong here: asking
the warehouse what is there (defs/plan.py), running anything (flow.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class SourceClock:
    """Where one source stands: historical data has its own "now".

    Args:
        source: name of the source.
        newest_complete_day: last local day that is complete for any of its meters.
        meters: meters with data in the week before.
        issued: cutoffs for which forecasts of this source exist already.
    """

    source: str
    newest_complete_day: date
    meters: int
    issued: frozenset[date] = frozenset()

    @property
    def cutoff(self) -> date:
        """The day at whose start the source stands: the day after its newest complete one."""
        return self.newest_complete_day + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class FlowPlan:
    """Partition keys to run, oldest first."""

    weekly_cutoffs: tuple[date, ...]
    daily_cutoffs: tuple[date, ...]

    @property
    def weekly_runs(self) -> list[tuple[date, date]]:
        """``weekly_cutoffs`` as ranges without gaps: one run each."""
        return ranges(self.weekly_cutoffs, step=WEEK)

    @property
    def daily_runs(self) -> list[tuple[date, date]]:
        """``daily_cutoffs`` as ranges without gaps: one run each."""
        return ranges(self.daily_cutoffs, step=timedelta(days=1))


def monday_of(day: date) -> date:
    """The Monday on or before a day: the weekly cutoff in force then.

    Example:
        >>> monday_of(date(2014, 1, 25)).isoformat()
        '2014-01-20'
    """
    return day - timedelta(days=day.weekday())


def ranges(days: Sequence[date], *, step: timedelta) -> list[tuple[date, date]]:
    """Ordered days as (first, last) ranges whose members are ``step`` apart.

    Example:
        >>> ranges([date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 9)], step=timedelta(days=1))
        [(datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)), (datetime.date(2024, 1, 9), datetime.date(2024, 1, 9))]
    """
    found: list[tuple[date, date]] = []
    for day in sorted(days):
        if found and day - found[-1][1] == step:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def plan_flow(
    clocks: Sequence[SourceClock],
    *,
    trained: frozenset[date],
    weeks: int,
    max_rows: int = 1_000_000,
    today: date,
) -> FlowPlan:
    """Cutoffs that are due for sources with new data.

    Each source looks back ``weeks`` weeks from its own clock, so that a newcomer's first run
    has forecasts whose actuals are known. Every day of them is issued while that stays below
    ``max_rows`` forecast rows (2 models × 7 days ahead), otherwise the Mondays and the last day.

    Args:
        clocks: the sources that changed.
        trained: weekly cutoffs that have a decision already. A source without any forecast
            trains its weeks anew, because the earlier models have not seen it.
        weeks: how far back; 0 means only the source's own cutoff.
        max_rows: bound on forecast rows a source.
        today: no cutoff lies after it.

    Example:
        >>> clock = SourceClock("home", date(2014, 1, 24), meters=1)
        >>> plan = plan_flow([clock], trained=frozenset(), weeks=1, today=date(2026, 1, 1))
        >>> [day.isoformat() for day in plan.weekly_cutoffs]
        ['2014-01-13', '2014-01-20']
        >>> len(plan.daily_cutoffs)
        8
    """
    daily: set[date] = set()
    weekly: set[date] = set()
    for clock in clocks:
        last = min(clock.cutoff, today)
        days = [last - timedelta(days=back) for back in range(7 * weeks + 1)]
        if len(days) * clock.meters * 14 > max_rows:
            days = [day for day in days if day == last or day == monday_of(day)]
        due = {day for day in days if day not in clock.issued}
        daily |= due
        mondays = {monday_of(day) for day in due}
        weekly |= mondays if not clock.issued else mondays - trained
    return FlowPlan(tuple(sorted(weekly)), tuple(sorted(daily)))


def clocks_from(
    newest: Mapping[str, tuple[date, int]], *, issued: Mapping[str, frozenset[date]], changed: frozenset[str]
) -> list[SourceClock]:
    """Clocks of the sources that changed, from what the marts and the published forecasts say."""
    return [
        SourceClock(source, day, meters, issued.get(source, frozenset()))
        for source, (day, meters) in sorted(newest.items())
        if source in changed
    ]
