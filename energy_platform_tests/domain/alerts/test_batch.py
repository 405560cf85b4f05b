"""Rules on days, files and live meters: what breaks them, what ends it, and that looking again changes nothing."""

from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_platform.domain.alerts.batch import anomalies, data_quality, outside_bands, silences, without_rule
from energy_platform.domain.alerts.budgets import budget_signals, outlooks, period_of
from energy_platform.domain.alerts.episodes import advance
from energy_platform.domain.alerts.records import EpisodeState, Severity
from energy_platform.domain.alerts.rules import RULE

NOW = datetime(2024, 6, 20, 6)
DAY = date(2024, 6, 19)


def rule(kind, **fields):
    return RULE.validate_python({"name": "mine", "title": "Mine", "kind": kind, **fields})


class Book:
    """The episodes that signals lead to, one after another."""

    def __init__(self):
        self.by_subject, self.told = {}, []

    @property
    def open(self):
        return [episode for episode in self.by_subject.values() if not episode.is_over]

    def take(self, signals):
        for signal in signals:
            change = advance(self.by_subject.get(signal.subject.name), signal, now_utc=NOW)
            if change is not None:
                self.by_subject[signal.subject.name] = change.episode
                if change.step is not None:
                    self.told.append((signal.subject.name, change.step.kind.value))


def band_days(values, meter="m", newest=DAY):
    days = [newest - timedelta(days=back) for back in reversed(range(len(values)))]
    rows = {"local_date": days, "energy_kwh": [float(value) for value in values]}
    constant = {"meter_id": meter, "channel": "main", "site_id": "s", "commodity": "electricity"}
    bands = {"p10_kwh": 8.0, "p90_kwh": 12.0}
    return pl.DataFrame(rows).with_columns(**{name: pl.lit(value) for name, value in (constant | bands).items()})


def test_two_of_three_days_outside_the_band_open_and_three_within_it_end():
    band, book = rule("forecast_band", samples=2, of_samples=3), Book()
    for values in ([10, 20, 10], [10, 20, 10, 3], [10, 20, 10, 3], [10, 20, 10, 3, 10], [10, 20, 10, 3, 10, 10, 10]):
        newest = DAY - timedelta(days=10 - len(values))
        book.take(outside_bands(band, band_days(values, newest=newest), book.open))
    assert book.told == [("m/main", "opened"), ("m/main", "recovered")]
    [episode] = book.by_subject.values()
    assert episode.breaches == 1
    assert "3.00 kWh on 2024-06-13, below the forecast of 8.00 kWh to 12.00 kWh" in episode.text


@pytest.mark.parametrize(("side", "share", "value", "opens"), [
    ("above", 0, 12.1, True), ("below", 0, 12.1, False), ("either", 0.5, 13.9, False), ("either", 0.5, 14.1, True),
])  # fmt: skip
def test_the_side_and_how_far_beyond_the_band_count(side, share, value, opens):
    found = outside_bands(rule("forecast_band", side=side, beyond_share=share), band_days([value]), [])
    assert [signal.is_breach for signal in found] == [True] * opens


def severities(*days, share=0.005, reason="12 kWh instead of 4 kWh."):
    rows = {"local_date": list(days)}
    constant = {
        "meter_id": "m", "channel": "main", "site_id": "s", "false_alarm_share": share, "value": 12.0,
        "expected": 4.0, "reason": reason, "cause": "spike", "similar_days": "2024-06-03",
    }  # fmt: skip
    frame = pl.DataFrame(rows, schema={"local_date": pl.Date})
    return frame.with_columns(**{name: pl.lit(value) for name, value in constant.items()})


def test_an_anomaly_of_last_week_is_told_once_with_its_end_however_often_it_is_looked_at():
    book, last_week = Book(), DAY - timedelta(days=6)
    for _ in range(3):
        every = list(book.by_subject.values())
        book.take(anomalies(rule("anomaly"), severities(last_week), {"m/main": DAY}, every))
    assert book.told == [("m/main", "opened"), ("m/main", "recovered")]


def test_anomalous_days_in_a_row_are_one_episode_that_ends_with_the_first_good_day():
    book = Book()
    for newest, days in ((1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (4, [1, 2, 3])):
        found = severities(*(DAY + timedelta(days=each) for each in days))
        newest_day = {"m/main": DAY + timedelta(days=newest)}
        book.take(anomalies(rule("anomaly"), found, newest_day, list(book.by_subject.values())))
    assert book.told == [("m/main", "opened"), ("m/main", "recovered")]
    assert book.by_subject["m/main"].breaches == 3


def test_an_anomaly_that_good_days_often_show_is_none_and_a_very_rare_one_is_critical():
    assert anomalies(rule("anomaly"), severities(DAY, share=0.05), {}, []) == []
    found = anomalies(rule("anomaly", critical_false_alarm_share=0.001), severities(DAY, share=0.0005), {}, [])
    assert [signal.severity for signal in found] == [Severity.CRITICAL]


def seen(minutes_ago, **others):
    minutes = {"m": minutes_ago} | others
    return {meter: NOW - timedelta(minutes=ago) for meter, ago in minutes.items()}


def test_a_meter_is_silent_once_until_something_comes_and_a_meter_taken_down_is_forgotten():
    silence, book = rule("silence", after_minutes=30), Book()
    for minutes in (20, 31, 60, 90):
        book.take(silences(silence, seen(minutes, other=5), book.open, now_utc=NOW))
    assert book.told == [("meter m", "opened")]
    book.take(silences(silence, seen(1), book.open, now_utc=NOW))
    assert book.told == [("meter m", "opened"), ("meter m", "recovered")]
    assert silences(silence, seen(60 * 24 * 40), [], now_utc=NOW) == []
    book.take(silences(silence, seen(45), [], now_utc=NOW))
    book.take(silences(silence, seen(60 * 24 * 40), book.open, now_utc=NOW))
    assert book.open == []


def files(rejected, source="s"):
    return pl.DataFrame(
        {
            "source": [source] * 2,
            "loaded_at_utc": [NOW - timedelta(hours=1), NOW],
            "rows_read": [100, 100],
            "rows_rejected": [0, rejected],
            "uri": ["good.csv", "bad.csv"],
        }
    )


def completeness(value):
    return pl.DataFrame(
        {
            "source": ["s"] * 3,
            "local_date": [DAY - timedelta(days=back) for back in range(3)],
            "completeness": [value] * 3,
        }
    )


def test_refused_rows_and_missing_readings_are_told_of_with_the_file_that_has_most():
    quality, book = rule("data_quality", max_rejected_share=0.05), Book()
    book.take(data_quality(quality, files(30), completeness(0.3), book.open))
    assert book.told == [("files of s", "opened"), ("days of s", "opened")]
    assert "15.0% of 200 rows of s were refused; most in bad.csv (30)." in book.by_subject["files of s"].text
    book.take(data_quality(quality, files(1), completeness(1.0), book.open))
    assert book.open == []


def site_days(per_day, until=DAY, days=19):
    dates = [until - timedelta(days=back) for back in range(days)]
    return pl.DataFrame({"site_id": ["s"] * days, "local_date": dates, "energy_kwh": [per_day] * days})


def forecast_days(per_day, after=DAY, days=7):
    dates = [after + timedelta(days=ahead) for ahead in range(1, days + 1)]
    return pl.DataFrame({"site_id": ["s"] * days, "local_date": dates, "p50_kwh": [per_day] * days})


@pytest.mark.parametrize(("kwh", "share", "ahead", "opens"), [
    (500, 0.8, 10.0, False),  # 190 used, 110 to come
    (299, 0.8, 10.0, True),   # heading for 300
    (500, 0.8, 40.0, True),   # the forecast is much higher than the days so far
    (230, 0.8, 0.0, True),    # 190 of 230 used
])  # fmt: skip
def test_a_budget_is_told_of_when_it_is_nearly_used_or_when_the_forecast_leads_beyond_it(kwh, share, ahead, opens):
    budget = rule("energy_budget", kwh=kwh, warn_at_share=share)
    found = budget_signals(budget, outlooks(site_days(10.0), forecast_days(ahead), months=1), [])
    assert [signal.is_breach for signal in found] == [True] * opens


def test_a_budget_says_what_a_day_may_still_use_and_ends_with_the_period():
    budget, book = rule("energy_budget", kwh=220), Book()
    for until in (DAY - timedelta(days=1), DAY, date(2024, 6, 30)):
        days = site_days(10.0, until=until, days=until.day)
        book.take(budget_signals(budget, outlooks(days, forecast_days(10.0, after=until), months=1), book.open))
    [episode] = book.by_subject.values()
    assert "300.0 kWh are used since 2024-06-01, more than 220 kWh" in episode.text
    july = site_days(10.0, until=date(2024, 7, 1), days=31)
    book.take(budget_signals(budget, outlooks(july, forecast_days(1.0, after=date(2024, 7, 1)), months=1), book.open))
    assert book.told == [("site s electricity", "opened"), ("site s electricity", "recovered")]
    early = budget_signals(budget, outlooks(site_days(10.0), forecast_days(10.0), months=1), [])
    assert "2.73 kWh a day for the 11 days that are left stay within it." in early[0].text


@given(st.dates(date(2000, 1, 1), date(2040, 1, 1)), st.sampled_from([1, 2, 3, 6, 12]))
def test_periods_follow_each_other_without_gap_or_overlap(day, months):
    starts, ends = period_of(day, months)
    assert starts <= day < ends
    assert period_of(ends, months)[0] == ends
    assert period_of(ends - timedelta(days=1), months) == (starts, ends)


def test_what_is_open_under_a_rule_that_was_turned_off_ends():
    book = Book()
    book.take(silences(rule("silence", after_minutes=30), seen(45), [], now_utc=NOW))
    assert without_rule(book.open, {"mine": 1}, now_utc=NOW) == []
    book.take(without_rule(book.open, {}, now_utc=NOW))
    assert [episode.state for episode in book.by_subject.values()] == [EpisodeState.RECOVERED]
