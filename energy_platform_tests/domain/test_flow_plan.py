"""Which cutoffs a flow runs: the arithmetic from clocks to partition keys."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from energy_platform.domain.flow_plan import SourceClock, clocks_from, monday_of, plan_flow, ranges

DAY = timedelta(days=1)
days = st.dates(date(2010, 1, 1), date(2025, 12, 31))
TODAY = date(2026, 1, 1)


@given(newest=days, weeks=st.integers(0, 8), meters=st.integers(1, 300))
def test_a_new_source_is_forecast_at_every_day_of_its_lookback_and_trained_at_their_mondays(
    newest: date, weeks: int, meters: int
) -> None:
    plan = plan_flow([SourceClock("a", newest, meters)], trained=frozenset(), weeks=weeks, today=TODAY)
    assert plan.daily_cutoffs[-1] == newest + DAY
    assert len(plan.daily_cutoffs) == 7 * weeks + 1
    assert set(plan.weekly_cutoffs) == {monday_of(day) for day in plan.daily_cutoffs}
    assert all(day.weekday() == 0 for day in plan.weekly_cutoffs)


@given(newest=days, weeks=st.integers(2, 8))
def test_a_large_fleet_is_forecast_at_mondays_and_at_its_newest_day_only(newest: date, weeks: int) -> None:
    plan = plan_flow([SourceClock("a", newest, meters=5_566)], trained=frozenset(), weeks=weeks, today=TODAY)
    assert all(day.weekday() == 0 or day == newest + DAY for day in plan.daily_cutoffs)
    assert len(plan.daily_cutoffs) <= weeks + 2


def test_one_more_day_of_a_known_source_issues_one_cutoff_and_trains_only_on_a_new_monday() -> None:
    sunday = date(2014, 1, 26)
    issued = frozenset(sunday - back * DAY for back in range(40))
    trained = frozenset({date(2014, 1, 20), date(2014, 1, 13)})
    tuesday_clock = SourceClock("a", sunday, 55, issued=issued)
    plan = plan_flow([tuesday_clock], trained=trained, weeks=4, today=TODAY)
    assert plan.daily_cutoffs == (sunday + DAY,)
    assert plan.weekly_cutoffs == (date(2014, 1, 27),)
    midweek = SourceClock("a", sunday - 3 * DAY, 55, issued=issued - {sunday - 2 * DAY})
    assert plan_flow([midweek], trained=trained, weeks=4, today=TODAY).weekly_cutoffs == ()


def test_no_cutoff_lies_in_the_future() -> None:
    plan = plan_flow([SourceClock("a", date(2031, 5, 1), 1)], trained=frozenset(), weeks=2, today=TODAY)
    assert max(plan.daily_cutoffs) == TODAY


@given(chosen=st.frozensets(days, max_size=40))
def test_ranges_cover_exactly_the_days_they_were_made_of(chosen: frozenset[date]) -> None:
    covered = [
        first + n * DAY for first, last in ranges(sorted(chosen), step=DAY) for n in range((last - first).days + 1)
    ]
    assert covered == sorted(chosen)


def test_only_sources_that_changed_get_a_clock() -> None:
    newest = {"old": (date(2014, 1, 1), 3), "new": (date(2022, 1, 1), 1)}
    clocks = clocks_from(newest, issued={"new": frozenset({date(2021, 1, 1)})}, changed=frozenset({"new"}))
    assert clocks == [SourceClock("new", date(2022, 1, 1), 1, frozenset({date(2021, 1, 1)}))]
