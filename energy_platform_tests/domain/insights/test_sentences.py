"""Sentences say what the values say, and nothing when the values cannot carry a statement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_platform.domain.insights import sentences
from energy_platform.domain.insights.figures import Figure, parse_sources, plain_text

METER = {"meter_id": "home-1", "channel": "main"}


@dataclass(frozen=True)
class Days:
    mean_kwh: float
    first_day: date = date(2014, 1, 1)
    last_day: date = date(2014, 1, 30)


def test_use_is_compared_with_the_month_before_and_the_year_before() -> None:
    text = plain_text(sentences.usage(METER, Days(11.34), Days(10.5), Days(12.6)))
    assert text == (
        "home-1 used 11.3 kWh a day in the 30 days to 2014-01-30, 8 % more than in the 30 days before "
        "and 10 % less than in the same weeks a year earlier."
    )


def test_a_device_is_named_with_its_channel() -> None:
    assert plain_text(sentences.usage({"meter_id": "m", "channel": "dev1"}, Days(1), None, None)).startswith(
        "m (dev1) used"
    )


@pytest.mark.parametrize("before", [None, Days(0.0)])
def test_nothing_is_compared_with_what_is_missing_or_zero(before) -> None:
    assert (
        plain_text(sentences.usage(METER, Days(2.0), before, None))
        == "home-1 used 2.00 kWh a day in the 30 days to 2014-01-30."
    )


def test_too_few_days_carry_no_statement() -> None:
    words = sentences.usage(METER, None, Days(1), Days(1))
    assert "Too few" in plain_text(words)
    assert not any(isinstance(part, Figure) for part in words)


@given(new=st.floats(0.01, 1e4), old=st.floats(0.01, 1e4))
def test_more_and_less_follow_the_sign_of_the_change(new: float, old: float) -> None:
    text = plain_text(sentences.usage(METER, Days(new), Days(old), None))
    relative = new / old - 1
    assert ("more than" in text) == (relative >= 0.01)
    assert ("less than" in text) == (relative <= -0.01)
    assert ("as much" in text) == (abs(relative) < 0.01)


def _score(skill: float | None, meter_days: int = 500, coverage: float = 0.8):
    return {
        "model": "lightgbm",
        "source": "lcl",
        "commodity": "electricity",
        "meter_days": meter_days,
        "skill": skill,
        "coverage": coverage,
    }


@pytest.mark.parametrize(
    ("skill", "said"),
    [
        (0.123, "its mean absolute error is 12 % smaller than seasonal naive's on 500"),
        (-0.2, "no skill over seasonal naive (its error is 20 % larger) on 500"),
        (0.0, "no skill over seasonal naive (its error is the same) on 500"),
        (None, "cannot be compared"),
    ],
)
def test_a_model_without_skill_is_said_to_have_none(skill: float | None, said: str) -> None:
    assert said in plain_text(sentences.accuracy(_score(skill)))


def test_few_scored_days_are_said_to_leave_much_to_chance() -> None:
    assert "chance" in plain_text(sentences.accuracy(_score(0.1, meter_days=28)))
    assert "chance" not in plain_text(sentences.accuracy(_score(0.1, meter_days=500)))


@pytest.mark.parametrize(("held", "said"), [(0.8, "as it should"), (0.6, "too narrow"), (0.95, "too wide")])
def test_the_band_is_judged_by_what_it_held(held: float, said: str) -> None:
    assert said in plain_text(sentences.calibration(_score(0.1, coverage=held)))


def test_the_daily_shape_names_the_busiest_hours() -> None:
    profile = [
        {"is_weekend": w, "local_hour": h, "mean_kwh": 1.0 if h == (23 if w else 18) else 0.1}
        for w in (False, True)
        for h in range(24)
    ]
    text = plain_text(sentences.daily_shape(METER, profile))
    assert text == (
        "On weekdays it uses most from 18:00 to 19:00 local time, on average 1.00 kWh; "
        "at weekends it uses most from 23:00 to 00:00 local time, on average 1.00 kWh."
    )
    assert plain_text(sentences.daily_shape(METER, [])) == "No hour-of-day profile yet."


def test_the_coming_days_are_those_after_the_newest_complete_day() -> None:
    rows = [
        {
            "local_date": date(2014, 1, 20 + n),
            "model": "lightgbm",
            "cutoff_date": date(2014, 1, 22 if n >= 2 else 20),
            "p50_kwh": 10.0,
        }
        for n in range(5)
    ]
    text = plain_text(sentences.coming_days(METER, rows, date(2014, 1, 21)))
    assert text == "lightgbm expects 30.0 kWh (sum of the daily medians) over the days 2014-01-22 to 2014-01-24."
    assert "No forecast" in plain_text(sentences.coming_days(METER, rows, date(2014, 2, 1)))


def test_anomaly_counts_are_joined_by_detector() -> None:
    rows = [
        {"detector": "a", "source": "s", "commodity": "gas", "anomalies": 1},
        {"detector": "a", "source": "t", "commodity": "gas", "anomalies": 2},
        {"detector": "b", "source": "s", "commodity": "gas", "anomalies": 3},
    ]
    assert [plain_text(words) for words in sentences.anomalies(rows)] == [
        "a flags 1 interval of s (gas), 2 of t (gas).",
        "b flags 3 intervals of s (gas).",
    ]
    assert sentences.anomalies([]) == []


def test_every_figure_in_a_sentence_names_a_source_that_can_be_read() -> None:
    words = [
        *sentences.usage(METER, Days(2), Days(1), Days(3)),
        *sentences.accuracy(_score(-0.1)),
        *sentences.calibration(_score(0.1)),
    ]
    figures = [part for part in words if isinstance(part, Figure)]
    assert len(figures) == 7
    assert all(parse_sources(figure.source) for figure in figures)
