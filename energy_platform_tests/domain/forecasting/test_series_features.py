"""Features of whole series, against a plain loop over one meter and day."""

from __future__ import annotations

from datetime import date, timedelta
from statistics import mean, median, stdev

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from energy_platform.domain.forecasting.history import DaySeries
from energy_platform.domain.forecasting.series_features import SERIES_FEATURES, SMOOTHED_FEATURES, with_series_features
from energy_platform.domain.forecasting.smoothing import RATES, smooth

FIRST = date(2013, 1, 1)


def series_from(energy: np.ndarray, *, commodities: list[str] | None = None) -> DaySeries:
    count = len(energy)
    meters = pl.DataFrame(
        {
            "meter_id": [f"m{number:03}" for number in range(count)],
            "channel": "main",
            "source": "homes",
            "commodity": commodities or ["electricity"] * count,
            "country": "GB-ENG",
            "first_day": FIRST,
        }
    )
    return DaySeries(meters, FIRST, energy)


def rows_at(series: DaySeries, columns: list[int]) -> pl.DataFrame:
    """Seven leads of every meter at some issue days."""
    issues = pl.DataFrame({"cutoff_date": [FIRST + timedelta(days=column) for column in columns]})
    leads = pl.DataFrame({"lead_days": pl.Series(range(1, 8), dtype=pl.Int8)})
    keys = series.meters.select("meter_id", "channel", "source", "commodity")
    return keys.join(issues, how="cross").join(leads, how="cross")


def noisy(seed: int, *, meters: int, days: int, missing: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    energy = rng.gamma(3, 2, (meters, days))
    energy[rng.random((meters, days)) < missing] = np.nan
    return energy


@pytest.fixture(scope="module")
def series() -> DaySeries:
    return series_from(noisy(1, meters=4, days=120), commodities=["electricity"] * 3 + ["gas"])


def smoothed_by_hand(energy: np.ndarray, rate: float, until: int) -> tuple[list[float], float | None]:
    """The seven forecasts at column ``until`` and the mean error, by the text of smoothing.py."""
    level, weekday, usual, spread, known = 0.0, [0.0] * 7, 0.0, None, 0
    for column in range(min(until, len(energy))):
        value = energy[column]
        if np.isnan(value):
            continue
        if known == 0:
            level, known = value, 1
            continue
        error = value - level - weekday[column % 7]
        usual += max(0.03, 1 / known) * (abs(error) - usual)
        spread = (spread or 0.0) + max(0.05, 1 / known) * (abs(error) - (spread or 0.0))
        moved = error if known < 14 else min(max(error, -1.5 * usual), 1.5 * usual)
        known += 1
        fast = max(rate, 1 / known)
        level += fast * moved
        weekday[column % 7] += 0.1 * (1 - fast) * moved
    return [level + weekday[(until + ahead) % 7] for ahead in range(7)], spread


def test_the_smoothing_of_all_meters_is_that_of_each_by_itself(series: DaySeries) -> None:
    columns = [1, 9, 40, 119, 125]
    meter = np.repeat(np.arange(4), len(columns))
    day = np.tile(np.array(columns), 4)
    found = smooth(series, meter, day)
    for place, (number, column) in enumerate(zip(meter, day, strict=True)):
        for rate_place, rate in enumerate(RATES):
            wanted, spread = smoothed_by_hand(series.energy_kwh[number], rate, int(column))
            assert found.forecasts_kwh[place, rate_place].tolist() == pytest.approx(wanted, rel=1e-4, abs=1e-5)
            if rate == 0.3:
                got = found.spread_kwh[place]
                assert np.isnan(got) if spread is None else got == pytest.approx(spread, rel=1e-4)


def test_statistics_of_a_row_are_those_of_the_days_before_its_issue(series: DaySeries) -> None:
    rows = with_series_features(rows_at(series, [60, 119]), series)
    for row in rows.sample(50, seed=2).iter_rows(named=True):
        meter = series.meters["meter_id"].to_list().index(row["meter_id"])
        issue = (row["cutoff_date"] - FIRST).days
        energy = series.energy_kwh[meter]
        last = {days: [v for v in energy[issue - days : issue] if not np.isnan(v)] for days in (3, 14, 28)}
        target = issue + row["lead_days"] - 1
        weeks = [energy[target - 7 * week] for week in range(1, 9) if target - 7 * week >= issue - 56]
        four = [value for value in weeks[:4] if not np.isnan(value)]
        wanted = {
            "mean_3_kwh": mean(last[3]) if last[3] else None,
            "mean_14_kwh": mean(last[14]),
            "median_28_kwh": median(last[28]),
            "weekday_median_kwh": median(four) if four else None,
            "weekday_mean_8_kwh": float(np.nanmean(weeks)),
            "weekday_std_kwh": stdev(four) if len(four) > 1 else None,
            "weekday_second_kwh": None if np.isnan(weeks[1]) else weeks[1],
        }
        for name, value in wanted.items():
            assert row[name] == (None if value is None else pytest.approx(value, rel=1e-5)), name


def test_the_fleet_is_the_meters_of_the_same_source_and_commodity(series: DaySeries) -> None:
    rows = with_series_features(rows_at(series, [100]), series).filter(pl.col("lead_days") == 1)
    ratios = []
    for meter in range(3):
        before = series.energy_kwh[meter, 72:100]
        if not np.isnan(before[-1]):
            ratios.append(min(before[-1] / np.nanmean(before), 3.0))
    assert rows["fleet_ratio_1"][0] == pytest.approx(mean(ratios), rel=1e-5)
    assert rows["fleet_ratio_7"][0] != rows["fleet_ratio_7"][3]


def test_nothing_from_an_issue_day_on_changes_its_inputs_by_a_bit(series: DaySeries) -> None:
    issue = 80
    changed = series.energy_kwh.copy()
    changed[:, issue:] = changed[:, issue:] * 1000 + 7
    changed[:, issue + 3] = np.nan
    rows = rows_at(series, [40, issue])
    assert_frame_equal(
        with_series_features(rows, series),
        with_series_features(rows, series_from(changed, commodities=series.meters["commodity"].to_list())),
        check_exact=True,
    )
    short = series.before(FIRST + timedelta(days=issue))
    assert_frame_equal(with_series_features(rows, series), with_series_features(rows, short), check_exact=True)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000), st.floats(0.001, 1000), st.floats(0, 0.9))
def test_energies_grow_with_the_meter_and_are_never_infinite(seed: int, times: float, missing: float) -> None:
    energy = noisy(seed, meters=2, days=70, missing=missing)
    small, large = series_from(energy), series_from(energy * times)
    rows = rows_at(small, [30, 70])
    one, other = with_series_features(rows, small), with_series_features(rows, large)
    for name in (*SMOOTHED_FEATURES, "mean_14_kwh", "weekday_mean_8_kwh", "error_kwh"):
        scaled, large_ones = (one[name] * times).fill_null(-1), other[name].fill_null(-1)
        assert scaled.to_list() == pytest.approx(large_ones.to_list(), rel=1e-3, abs=1e-4 * times), name
    assert other.select(pl.col(SERIES_FEATURES).is_infinite().any()).sum_horizontal().item() in {0, None}


def test_a_level_that_jumps_is_followed_and_a_single_party_is_not() -> None:
    calm = np.full((2, 100), 10.0) + np.random.default_rng(3).normal(0, 0.5, (2, 100))
    calm[0, 90:] += 20
    calm[1, 90] += 20
    found = smooth(series_from(calm), np.array([0, 1]), np.array([100, 100])).forecasts_kwh
    middle = np.median(found, axis=1)
    assert middle[0].mean() > 12
    assert abs(middle[1].mean() - 10) < 1


def test_no_rows_have_all_columns_too(series: DaySeries) -> None:
    assert set(SERIES_FEATURES) <= set(with_series_features(rows_at(series, [60]).clear(), series).columns)
