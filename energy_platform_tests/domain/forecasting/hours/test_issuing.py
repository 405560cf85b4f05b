"""What is issued at a cutoff, and why."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from energy_platform.domain.forecasting.hours import issuing
from energy_platform.domain.forecasting.hours.issuing import LEAST_REHEARSALS, Issue, issue
from energy_platform_tests.domain.forecasting.hours.fleet_builders import known, make_half_hours, make_noise

FIRST, DAYS = date(2013, 1, 7), 150
CUTOFF = date(2013, 6, 3)


def issued(half_hours: pl.DataFrame, cutoff: date = CUTOFF, **options) -> Issue:
    return issue(known(half_hours, cutoff), [cutoff], seed=3, **{"heavy": False, **options})[0]


@pytest.fixture(scope="module")
def half_hours() -> pl.DataFrame:
    return make_half_hours(seed=12, days=DAYS, carry=0.9)


@pytest.fixture(scope="module")
def first(half_hours: pl.DataFrame) -> Issue:
    return issued(half_hours)


def test_the_combination_is_issued_where_it_has_skill_and_says_of_whom_it_is_made(first: Issue) -> None:
    chosen = first.rows.filter("is_issued")
    assert set(chosen["model"]) == {"combination"}
    assert set(chosen["reason"]) == {first.reason}
    assert "combination (" in first.reason
    assert "of seasonal_naive" in first.reason
    assert sum(first.shares.values()) == pytest.approx(1)
    assert not chosen["is_fallback"].any()


def test_every_forecaster_has_two_days_of_ordered_quantiles(first: Issue) -> None:
    counts = dict(first.rows.group_by("model").len().rows())
    names = ("seasonal_naive", "exponential_smoothing", "ridge", "pooled_ridge", "lightgbm", "combination")
    assert counts == dict.fromkeys(names, 48)
    p10, p50, p90 = (pl.col(name) for name in ("p10_kwh", "p50_kwh", "p90_kwh"))
    assert first.rows.select(((p10 >= 0) & (p10 <= p50) & (p50 <= p90)).all()).item()


def test_a_cutoff_has_the_same_forecast_alone_and_in_a_backfill(half_hours: pl.DataFrame, first: Issue) -> None:
    cutoffs = [CUTOFF - timedelta(days=3), CUTOFF, CUTOFF + timedelta(days=2)]
    backfill = issue(known(half_hours, cutoffs[-1]), cutoffs, seed=3, heavy=False)
    # Matrix products of more rows may differ in the last bit.
    assert_frame_equal(backfill[1].rows, first.rows, check_exact=False, rel_tol=1e-9)


def test_nothing_from_the_cutoff_on_changes_what_is_issued_by_a_bit(half_hours: pl.DataFrame, first: Issue) -> None:
    later = pl.col("interval_start_utc") >= pl.datetime(2013, 6, 2, 23)
    changed = half_hours.with_columns(energy_kwh=pl.when(later).then(pl.col("energy_kwh") * 50).otherwise("energy_kwh"))
    assert_frame_equal(issued(changed).rows, first.rows, check_exact=True)
    earlier = half_hours.with_columns(energy_kwh=pl.when(~later).then(pl.col("energy_kwh") * 2).otherwise("energy_kwh"))
    assert not issued(earlier).rows.equals(first.rows)


def test_bands_hold_four_fifths_of_what_comes_to_pass() -> None:
    half_hours = make_half_hours(seed=14, days=230, carry=0.5)
    cutoff = FIRST + timedelta(days=228)
    cutoffs = [cutoff - timedelta(days=back) for back in range(0, 80, 2)][::-1]
    issues = issue(known(half_hours, cutoff), cutoffs, seed=3, heavy=False)
    rows = pl.concat([one.rows for one in issues]).filter("is_issued")
    hours = half_hours.group_by_dynamic("interval_start_utc", every="1h").agg(pl.col("energy_kwh").sum())
    inside = rows.join(hours, on="interval_start_utc").select(pl.col("energy_kwh").is_between("p10_kwh", "p90_kwh"))
    assert len(inside) > 1_500
    assert 0.72 < inside.to_series().mean() < 0.88


def test_on_noise_naive_is_issued_and_the_reason_is_no_skill() -> None:
    found = issued(make_noise(days=DAYS))
    chosen = found.rows.filter("is_issued")
    assert set(chosen["model"]) == {"seasonal_naive"}
    assert "no skill over naive" in found.reason
    assert "flat_line" in found.reason
    # It is a decision, not something that could not be done.
    assert not chosen["is_fallback"].any()


def test_a_young_fleet_falls_back_to_naive_and_is_told_so(half_hours: pl.DataFrame) -> None:
    found = issued(half_hours, FIRST + timedelta(days=50))
    chosen = found.rows.filter("is_issued")
    assert set(chosen["model"]) == {"seasonal_naive"}
    assert chosen["is_fallback"].all()
    assert "too little history" in found.reason
    assert str(LEAST_REHEARSALS) in found.reason


def test_a_silent_or_newborn_fleet_gets_no_forecast_with_the_reason(half_hours: pl.DataFrame) -> None:
    after = FIRST + timedelta(days=DAYS + 9)
    silent = issued(half_hours, after)
    assert silent.rows.is_empty()
    assert "no complete day in the 7 days" in silent.reason
    newborn = issued(half_hours, FIRST + timedelta(days=5))
    assert newborn.rows.is_empty()
    assert "5 days of history" in newborn.reason


def test_meters_that_join_scale_the_forecast_and_are_no_growth(half_hours: pl.DataFrame, first: Issue) -> None:
    joined = pl.col("interval_start_utc") >= pl.datetime(2013, 5, 20)
    factor = pl.when(joined).then(3).otherwise(1)
    grown = issued(half_hours.with_columns(pl.col("energy_kwh") * factor, pl.col("meters") * factor))
    np.testing.assert_allclose(grown.rows["p50_kwh"], first.rows["p50_kwh"] * 3, rtol=1e-6)
    assert set(grown.rows["meters"]) == {30.0}


def test_heavy_forecasters_take_part_in_young_fleets_until_their_first_year_is_over(
    half_hours: pl.DataFrame, first: Issue, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "mstl" not in set(first.rows["model"])
    found = issued(half_hours, heavy=None)
    assert set(found.shares) == {*first.shares, "mstl"}
    assert "mstl" in set(found.rows["model"])
    # Old enough at the second cutoff, though a forecast of MSTL stands on every day that it looks back to.
    monkeypatch.setattr(issuing, "YOUNG_DAYS", (CUTOFF - FIRST).days - 1)
    cutoffs = [CUTOFF - timedelta(days=5), CUTOFF]
    backfill = issue(known(half_hours, CUTOFF), cutoffs, seed=3)
    assert "mstl" in backfill[0].shares
    assert set(backfill[1].shares) == set(first.shares)
