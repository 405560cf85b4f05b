"""Shares of the combination, bands, and the test of skill."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from energy_platform.domain.forecasting.hours.bands import band
from energy_platform.domain.forecasting.hours.combination import combined, shares
from energy_platform.domain.forecasting.hours.skill import skill

VALUES = st.floats(0, 100, allow_nan=False)


def test_the_better_member_gets_the_larger_share_and_both_together_err_less_than_either() -> None:
    rng = np.random.default_rng(4)
    actual = rng.uniform(1, 2, (50, 2, 24))
    members = {"good": actual + rng.normal(0, 0.1, actual.shape), "poor": actual + rng.normal(0, 0.103, actual.shape)}
    found = shares(members, actual)
    assert sum(found.values()) == pytest.approx(1)
    assert found["good"] > 0.6 > found["poor"] > 0.1
    assert shares({**members, "bad": actual + 1.0}, actual)["bad"] < 1e-9
    errors = {name: np.abs(made - actual).mean() for name, made in members.items()}
    assert np.abs(combined(members, found) - actual).mean() < 0.95 * min(errors.values())


def test_days_without_an_outcome_have_no_say_in_the_shares() -> None:
    actual = np.ones((4, 2, 3))
    actual[2:] = np.nan
    wrong_where_unknown = np.where(np.isnan(actual), 99.0, actual)
    assert shares({"a": wrong_where_unknown, "b": np.zeros((4, 2, 3))}, actual)["a"] == pytest.approx(1.0)


@given(
    median=hnp.arrays(float, (2, 24), elements=VALUES),
    past=hnp.arrays(float, (9, 2, 24), elements=VALUES),
    outcome=hnp.arrays(float, (9, 2, 24), elements=VALUES | st.just(float("nan"))),
)
@settings(max_examples=60, deadline=None)
def test_bands_are_finite_and_around_the_median_whatever_the_past(median, past, outcome) -> None:
    low, high = band(median, past_median=past, past_actual=outcome)
    assert np.isfinite(low).all()
    assert np.isfinite(high).all()
    assert (low <= median).all()
    assert (median <= high).all()


def test_bands_hold_four_fifths_of_outcomes_at_every_lead_though_errors_grow_with_it() -> None:
    rng = np.random.default_rng(8)
    growth = np.linspace(0.05, 0.4, 48).reshape(2, 24)
    median = rng.uniform(1, 3, (400, 2, 24))
    actual = median * np.exp(rng.normal(0, 1, median.shape) * growth)
    inside = []
    for issue in range(56, 400, 4):
        past = slice(issue - 56, issue - 1)
        low, high = band(median[issue], past_median=median[past], past_actual=actual[past])
        inside.append((actual[issue] >= low) & (actual[issue] <= high))
    by_block = np.mean(inside, axis=0).reshape(4, 12).mean(axis=1)
    # An issue more than seen is counted: on errors that do not go together the band is a little wide.
    assert by_block.min() > 0.78
    assert by_block.max() < 0.86


def test_two_equal_forecasters_are_told_apart_once_in_twenty_times() -> None:
    rng = np.random.default_rng(9)
    shown = 0
    for _ in range(400):
        # Weeks err together.
        actual = np.repeat(rng.normal(0, 1, (8, 1, 1)), 7, axis=0) + rng.normal(0, 1, (56, 2, 12))
        one, two = (rng.normal(0, 0.7, (8, 1, 1)).repeat(7, axis=0) + np.zeros(actual.shape) for _ in range(2))
        shown += skill(one, two, actual, range(56)).is_shown
    assert shown / 400 < 0.08


def test_a_tenth_less_error_is_shown_over_eight_weeks_and_not_over_three() -> None:
    rng = np.random.default_rng(10)
    actual = rng.normal(0, 1, (56, 2, 24))
    found = skill(actual * 0.1, np.zeros(actual.shape), actual, range(56))
    assert found.mae_kwh / found.reference_mae_kwh == pytest.approx(0.9)
    assert found.is_shown
    assert skill(actual[:21] * 0.1, np.zeros((21, 2, 24)), actual[:21], range(21)).p_value is None
