"""Every forecaster of the next two days: what it learns, and that it sees nothing it could not know."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from energy_platform.domain.forecasting.hours import ridge, seasonal_naive
from energy_platform.domain.forecasting.hours.boosting import MOST_ROWS, thinned
from energy_platform.domain.forecasting.hours.exponential_smoothing import ExponentialSmoothing
from energy_platform.domain.forecasting.hours.inputs import SEASON_DAYS, LogScale, Recent, training_issues
from energy_platform.domain.forecasting.hours.local_days import LocalDays
from energy_platform.domain.forecasting.hours.mstl import Mstl
from energy_platform.domain.forecasting.hours.registry import FORECASTERS
from energy_platform.domain.forecasting.hours.rolling import fit_day, outcomes, rolling
from energy_platform_tests.domain.forecasting.hours.fleet_builders import known, make_half_hours, make_weather

FIRST, DAYS = date(2013, 1, 7), 190
LEARNERS = [one for one in FORECASTERS if not one.is_naive]


@pytest.fixture(scope="module")
def fleet() -> LocalDays:
    half_hours = make_half_hours(seed=11, days=DAYS, carry=0.9)
    return known(half_hours, FIRST + timedelta(days=DAYS), weather=make_weather(half_hours))


@pytest.mark.parametrize("forecaster", FORECASTERS, ids=lambda one: one.name)
def test_nothing_from_the_issue_on_changes_a_forecast_by_a_bit(forecaster, fleet: LocalDays) -> None:
    issues = [100, 110]
    other = fleet.kwh_per_meter.copy()
    other[110:] *= 17
    warmer = np.where(np.arange(DAYS) < 110, fleet.temperature_c, 40.0)
    changed = replace(fleet, kwh_per_meter=other, meters=fleet.meters * 3, temperature_c=warmer)
    one, two = (rolling(forecaster, days, issues, seed=3) for days in (fleet, changed))
    assert np.isfinite(one).all()
    assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("forecaster", LEARNERS, ids=lambda one: one.name)
def test_a_fleet_that_hands_on_its_level_is_forecast_better_than_by_last_week(forecaster, fleet: LocalDays) -> None:
    issues = list(range(155, 188, 3))
    actual = outcomes(fleet, issues)
    error = np.abs(rolling(forecaster, fleet, issues, seed=3) - actual).mean()
    naive = np.abs(rolling(FORECASTERS[0], fleet, issues, seed=3) - actual).mean()
    assert error < 0.85 * naive


@pytest.mark.parametrize("forecaster", LEARNERS, ids=lambda one: one.name)
def test_a_fleet_twice_as_large_is_forecast_twice_as_large(forecaster, fleet: LocalDays) -> None:
    double = replace(fleet, kwh_per_meter=fleet.kwh_per_meter * 2)
    one, two = (rolling(forecaster, days, [112], seed=3) for days in (fleet, double))
    np.testing.assert_allclose(two, one * 2, rtol=0.02)


def test_the_baseline_is_last_weeks_days_and_the_flat_line_their_median(fleet: LocalDays) -> None:
    naive = seasonal_naive.SeasonalNaive().predict(fleet, [50])[0]
    assert (naive == fleet.kwh_per_meter[43:45]).all()
    flat = seasonal_naive.FlatLine().predict(fleet, [50])[0]
    assert (flat == np.median(fleet.kwh_per_meter[22:50])).all()


@pytest.mark.parametrize("forecaster", [ExponentialSmoothing(), Mstl()], ids=lambda one: one.name)
def test_a_public_holiday_is_taken_for_a_sunday(forecaster) -> None:
    calm = known(make_half_hours(days=100, noise=0.01), FIRST + timedelta(days=100))
    good_friday = (date(2013, 3, 29) - FIRST).days
    fitted = forecaster.fit(calm, seed=3)
    holiday, friday, sunday = (fitted.predict(calm, [good_friday - back])[0, 0] for back in (0, 7, 5))
    np.testing.assert_allclose(holiday, sunday, rtol=0.05)
    assert friday.sum() > 1.08 * holiday.sum()


def test_smoothing_takes_a_wild_day_for_no_new_level() -> None:
    calm = known(make_half_hours(days=100, noise=0.01), FIRST + timedelta(days=100))
    smoothing = ExponentialSmoothing().fit(calm, seed=3)
    wild = replace(calm, kwh_per_meter=np.where(np.arange(100)[:, None] == 89, 5, 1) * calm.kwh_per_meter)
    before, after = smoothing.predict(calm, [90])[0].sum(), smoothing.predict(wild, [90])[0].sum()
    assert 1.0 < after / before < 1.15


def test_ridge_weights_are_those_of_scikit_learn() -> None:
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(2)
    inputs, targets, weights = rng.normal(3, 2, (80, 5)), rng.normal(1, 1, (80, 3)), rng.uniform(0.2, 1, 80)
    [(constant, slopes)] = ridge.solve(inputs, targets, weights, [7.0])
    scaler = StandardScaler().fit(inputs, sample_weight=weights)
    scaler.scale_ += 1e-3
    model = Ridge(alpha=7.0).fit(scaler.transform(inputs), targets, sample_weight=weights)
    np.testing.assert_allclose(constant + inputs @ slopes, model.predict(scaler.transform(inputs)), rtol=1e-8)


def test_the_logarithm_and_back_is_the_energy_with_zeros_and_feed_in(fleet: LocalDays) -> None:
    energy = fleet.kwh_per_meter.copy()
    energy[3, 4], energy[5] = -0.4, 0.0
    scale = LogScale.of(replace(fleet, kwh_per_meter=energy))
    np.testing.assert_allclose(scale.energy_kwh(scale.level(energy)), energy, atol=1e-12)


def test_yesterdays_cold_counts_against_its_week_and_nothing_where_it_is_not_known(fleet: LocalDays) -> None:
    temperature = np.full(DAYS, 10.5)
    temperature[49], temperature[79], temperature[98] = 3.5, np.nan, np.nan
    recent = Recent.of(replace(fleet, temperature_c=temperature), [50, 80, 99], LogScale.of(fleet))
    # Heating degrees of yesterday 12, of the six days before 5, in tens.
    assert recent.weather[0].tolist() == pytest.approx([(12 - (12 + 6 * 5) / 7) / 10, 0.0])
    assert recent.weather[1:].tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize(("days", "has_season"), [(DAYS, False), (SEASON_DAYS, True)])
def test_a_fleet_learns_a_season_when_it_has_seen_two_autumns(days: int, has_season: bool, fleet: LocalDays) -> None:
    repeats = -(-days // DAYS)
    longer = replace(
        fleet,
        kwh_per_meter=np.tile(fleet.kwh_per_meter, (repeats, 1)),
        is_known=np.tile(fleet.is_known, repeats),
        meters=np.tile(fleet.meters, repeats),
        temperature_c=np.tile(fleet.temperature_c, repeats),
    ).first(days)
    assert Recent.of(longer, [100], LogScale.of(longer)).season.any() == has_season


def test_days_that_were_not_measured_are_not_learnt_from(fleet: LocalDays) -> None:
    gap = fleet.is_known.copy()
    gap[60] = False
    issues = training_issues(replace(fleet, is_known=gap), days=1_000)
    assert not {59, 60} & set(issues)
    assert {58, 61} <= set(issues)
    assert max(issues) == DAYS - 2


def test_a_long_history_is_thinned_to_the_newest_and_every_weekday() -> None:
    issues = thinned(list(range(1095)), rows_each=96)
    assert len(issues) * 96 <= MOST_ROWS
    assert issues[-1] == 1094
    assert {issue % 7 for issue in issues} == set(range(7))


def test_a_fit_knows_only_days_before_it_and_stands_at_the_same_days_for_every_issue(fleet: LocalDays) -> None:
    days = [fit_day(fleet, issue, refit_days=28) for issue in range(40, 130)]
    assert all(0 <= issue - day < 14 for issue, day in zip(range(40, 130), days, strict=True))
    shorter = replace(fleet.first(120))
    assert [fit_day(shorter, issue, refit_days=28) for issue in range(40, 120)] == days[:80]


def test_without_enough_history_there_is_no_forecast_and_no_guess(fleet: LocalDays) -> None:
    for forecaster in LEARNERS:
        assert np.isnan(rolling(forecaster, fleet, [20], seed=3)).all()
