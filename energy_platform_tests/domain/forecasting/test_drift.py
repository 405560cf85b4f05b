"""Drift: how soon a worse model and moved inputs are seen, and how seldom chance is."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_platform.domain.forecasting.drift import (
    Drift,
    error_drift,
    feature_drift,
    retrain_reason,
    stability_index,
)

MONDAY = date(2013, 1, 7)


def weeks(ratios: np.ndarray, *, naive: float = 2.0, first: date = MONDAY) -> pl.DataFrame:
    """Weeks in which a model erred these multiples of the naive error."""
    return pl.DataFrame(
        {
            "week": [first + timedelta(days=7 * number) for number in range(len(ratios))],
            "mae_kwh": ratios * naive,
            "naive_mae_kwh": naive,
        }
    )


def share_of_alarms(*, seed: int, shift: float, recent: int, runs: int = 400, promised: int = 26) -> float:
    """How often a model whose ratio rises by ``shift`` standard deviations is noticed within ``recent`` weeks."""
    rng = np.random.default_rng(seed)
    found = 0
    for _ in range(runs):
        ratios = 0.8 + 0.05 * rng.normal(size=promised + recent)
        ratios[promised:] += shift * 0.05
        found += error_drift(weeks(ratios[:promised]), weeks(ratios[promised:]), model="lightgbm") is not None
    return found / runs


def test_a_model_that_errs_as_promised_raises_no_alarm_in_eight_weeks() -> None:
    assert share_of_alarms(seed=1, shift=0.0, recent=8) <= 0.01
    assert share_of_alarms(seed=1, shift=0.0, recent=8, promised=4) <= 0.05


def test_a_model_that_errs_three_standard_deviations_more_is_noticed_within_four_weeks() -> None:
    assert share_of_alarms(seed=2, shift=3.0, recent=4) > 0.9


def test_a_harder_season_is_no_drift_because_naive_errs_more_too() -> None:
    rng = np.random.default_rng(3)
    ratios = 0.8 + 0.02 * rng.normal(size=16)
    winter = weeks(ratios[8:], naive=6.0)
    assert error_drift(weeks(ratios[:8]), winter, model="lightgbm") is None


def test_the_alarm_says_since_when_and_by_how_much() -> None:
    before = weeks(np.array([0.78, 0.82, 0.80, 0.79, 0.81, 0.80]))
    after = weeks(np.array([0.8, 0.79, 1.1, 1.2, 1.1]), first=date(2013, 6, 3))
    found = error_drift(before, after, model="lightgbm")
    assert found.since == date(2013, 6, 17)
    assert "lightgbm erred 1.13 of naive since 2013-06-17, its backtest promised 0.80" in found.words
    assert found.value > found.threshold


def test_too_short_a_record_or_nothing_since_says_nothing() -> None:
    some = weeks(np.array([0.8, 0.8, 0.8]))
    assert error_drift(some, weeks(np.array([3.0, 3.0])), model="m") is None
    long = weeks(np.full(8, 0.8))
    assert error_drift(long, long.clear(), model="m") is None
    assert error_drift(long, weeks(np.array([3.0]), naive=0.0), model="m") is None


def inputs(rng: np.random.Generator, rows: int, *, shift: float = 0.0) -> pl.DataFrame:
    return pl.DataFrame({"lag_1": rng.gamma(4, 0.25, rows) + shift, "ratio": rng.normal(1, 0.1, rows)})


def test_inputs_that_have_moved_are_named_and_the_others_are_not() -> None:
    rng = np.random.default_rng(4)
    found = feature_drift(inputs(rng, 5000), inputs(rng, 700, shift=0.6), features=["lag_1", "ratio"], meters=200)
    assert [drift.name for drift in found] == ["lag_1"]
    assert "lag_1 has moved" in found[0].words


def test_chance_alone_moves_one_input_in_a_thousand_at_most_where_meters_are_few() -> None:
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(300):
        # One row a meter: the least that the threshold has to stand.
        before, after = inputs(rng, 20), inputs(rng, 20)
        alarms += len(feature_drift(before, after, features=["lag_1", "ratio"], meters=20))
    assert alarms <= 6
    assert feature_drift(inputs(rng, 50), inputs(rng, 50, shift=9.0), features=["lag_1"], meters=3) == []


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    factor=st.floats(0.01, 100),
    offset=st.floats(-10, 10),
    nulls=st.floats(0, 0.9),
)
def test_the_index_is_zero_for_the_same_rows_and_knows_no_unit(
    seed: int, factor: float, offset: float, nulls: float
) -> None:
    rng = np.random.default_rng(seed)
    before = pl.Series(np.where(rng.random(400) < nulls, np.nan, rng.normal(size=400)))
    after = pl.Series(rng.normal(0.5, 1, 300))
    assert stability_index(before, before) == 0.0
    assert stability_index(before, after) >= 0.0
    scaled = stability_index(before * factor + offset, after * factor + offset)
    assert scaled == pytest.approx(stability_index(before, after), rel=0.05, abs=0.02)


def test_the_index_is_that_of_the_textbook() -> None:
    before = pl.Series(np.repeat(np.arange(10), 100).astype(float))
    after = pl.Series(np.repeat(np.arange(10), [190, 10, *[100] * 8]).astype(float))
    assert stability_index(before, after) == pytest.approx(0.09 * np.log(1.9) - 0.09 * np.log(0.1), rel=1e-9)


def test_missing_values_that_appear_are_a_change() -> None:
    before = pl.Series(np.random.default_rng(6).normal(size=1000))
    after = pl.select(pl.when(pl.int_range(1000) < 400).then(None).otherwise(before)).to_series()
    assert stability_index(before, after) > 0.25
    assert stability_index(before, after.clear()) == 0.0


def drift(kind: str, name: str) -> Drift:
    return Drift(kind, name, 1.0, 0.25, None, f"{name} has moved")


def test_one_worse_model_is_a_reason_and_one_moved_input_is_not() -> None:
    assert retrain_reason([drift("error", "lightgbm")], features=40) == "retrain is due because lightgbm has moved"
    assert retrain_reason([drift("feature", "lag_1")], features=40) is None
    many = [drift("feature", f"lag_{number}") for number in range(8)]
    assert retrain_reason(many, features=40).startswith("retrain is due because 8 of 40 inputs have moved: lag_0")
    assert retrain_reason([], features=40) is None
