"""Every registered forecaster keeps the same promises; each has one or two of its own."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_platform.domain.errors import FeaturesChanged
from energy_platform.domain.forecasting import rows as rows_module
from energy_platform.domain.forecasting.forecasters import (
    FORECASTERS,
    MEMBERS,
    combination,
    exponential_smoothing,
    lightgbm,
    ridge,
)
from energy_platform.domain.forecasting.forecasters.each_series import without_gaps
from energy_platform_tests.day_builders import make_days
from energy_platform_tests.domain.forecasting.known import Known, known_at

CUTOFF = date(2013, 7, 1)
HEAVY = [name for name, one in FORECASTERS.items() if one.is_heavy]


@pytest.fixture(scope="module")
def days() -> pl.DataFrame:
    return make_days(seed=71, meters=3, days=200, noise=0.2)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory, days: pl.DataFrame) -> Known:
    return known_at(tmp_path_factory.mktemp("forecasters") / "w.duckdb", days, CUTOFF)


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory, days: pl.DataFrame) -> Known:
    """The same days before the cutoff; everything on and after it is something else, and there is a newcomer."""
    later = pl.col("local_date") >= CUTOFF
    other = days.with_columns(energy_kwh=pl.when(later).then(pl.col("energy_kwh") * 50 + 3).otherwise("energy_kwh"))
    newcomer = make_days(seed=72, meters=1, days=30, first_day=CUTOFF).with_columns(meter_id=pl.lit("a-newcomer"))
    return known_at(tmp_path_factory.mktemp("spoilt") / "w.duckdb", pl.concat([other, newcomer]), CUTOFF)


@pytest.mark.parametrize("name", FORECASTERS)
def test_nothing_from_the_cutoff_on_changes_a_forecast_by_a_bit(name: str, known: Known, spoilt: Known) -> None:
    fitted, other = (FORECASTERS[name].fit(one.training, one.series, seed=5) for one in (known, spoilt))
    before, after = fitted.predict(known.rows, known.series), other.predict(spoilt.rows, spoilt.series)
    assert before.to_list() == after.to_list()
    assert before.null_count() == 0


@pytest.mark.parametrize("name", HEAVY)
def test_a_forecaster_of_single_series_does_not_look_beyond_an_issue_day(
    name: str, known: Known, spoilt: Known
) -> None:
    fitted = FORECASTERS[name].fit(known.training, known.series, seed=5)
    whole = known_days_and_later(spoilt)
    assert (
        fitted.predict(known.rows.head(7), known.series).to_list()
        == fitted.predict(known.rows.head(7), whole).to_list()
    )


def known_days_and_later(spoilt: Known):
    """The matrix with nonsense in the columns from the cutoff on."""
    series = spoilt.series
    beyond = np.hstack([series.energy_kwh, np.full((len(series.energy_kwh), 9), 1e6)])
    return type(series)(series.meters, series.first_day, beyond)


@pytest.mark.parametrize("name", FORECASTERS)
def test_forecasts_are_one_a_row_finite_and_never_negative(name: str, known: Known) -> None:
    fitted = FORECASTERS[name].fit(known.training, known.series, seed=5)
    median = fitted.predict(known.rows, known.series)
    assert len(median) == known.rows.height
    assert median.is_finite().all()
    assert (median >= 0).all()
    assert fitted.predict(known.rows.clear(), known.series).len() == 0


@pytest.mark.parametrize("name", [name for name in FORECASTERS if name not in HEAVY])
def test_what_is_kept_of_a_forecaster_forecasts_the_same(name: str, known: Known) -> None:
    one = FORECASTERS[name]
    fitted = one.fit(known.training, known.series, seed=5)
    again = one.restore({**fitted.texts(), "other.txt": "of another forecaster"})
    assert again.predict(known.rows, known.series).to_list() == fitted.predict(known.rows, known.series).to_list()


@pytest.mark.parametrize("name", ["ridge", "lightgbm", "exponential_smoothing"])
def test_a_weekly_pattern_in_noise_is_forecast_better_than_by_naive(name: str, known: Known) -> None:
    earlier = known.training.filter(pl.col("local_date") < CUTOFF - timedelta(days=28))
    held_out = known.held_out

    def mae(forecaster: str) -> float:
        fitted = FORECASTERS[forecaster].fit(earlier, known.series, seed=5)
        return (fitted.predict(held_out, known.series) - held_out["target_kwh"]).abs().mean()

    assert mae(name) < 0.9 * mae("seasonal_naive")


def test_a_trained_model_refuses_other_features(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    trees = lightgbm.fit(known.training, known.series, seed=5)
    line = ridge.fit(known.training, known.series, seed=5)
    kept = trees.texts()
    for module in (lightgbm, ridge):
        monkeypatch.setattr(module, "feature_hash", lambda: "features of tomorrow")
    for model in (trees, line):
        with pytest.raises(FeaturesChanged, match="Train a new model"):
            model.predict(known.rows, known.series)
    with pytest.raises(FeaturesChanged):
        lightgbm.restore(kept)


def test_contributions_of_all_inputs_add_up_to_the_forecast(known: Known) -> None:
    trees = lightgbm.fit(known.training, known.series, seed=5)
    found = trees.contributions(known.rows)
    assert found.shape == (known.rows.height, len(rows_module.MODEL_FEATURES) + 1)
    assert found.sum(axis=1).tolist() == pytest.approx(trees.predict(known.rows, known.series).to_list(), rel=1e-5)


def test_the_smoothing_takes_the_middle_of_its_rates() -> None:
    rates = exponential_smoothing.SMOOTHED_FEATURES
    rows = pl.DataFrame({name: [float(place), -1.0] for place, name in enumerate(rates)} | {"scale_kwh": [10.0, 10.0]})
    assert exponential_smoothing.predict(rows, None).to_list() == [20.0, 0.0]


@settings(max_examples=40)
@given(st.lists(st.one_of(st.none(), st.floats(0, 100)), min_size=1, max_size=60))
def test_gaps_are_filled_and_known_days_kept(values: list[float | None]) -> None:
    energy = np.array([np.nan if value is None else value for value in values])
    filled = without_gaps(energy, len(energy))
    assert not np.isnan(filled).any()
    kept = energy[len(energy) - len(filled) :]
    assert np.array_equal(filled[~np.isnan(kept)], kept[~np.isnan(kept)])


def test_the_combination_prefers_who_erred_less_and_adds_up_to_one() -> None:
    rng = np.random.default_rng(6)
    actual = rng.gamma(4, 2, 400)
    medians = pl.DataFrame(
        {"good": actual + rng.normal(0, 1, 400), "fair": actual + rng.normal(0, 1.2, 400), "bad": rng.gamma(4, 2, 400)}
    )
    weights = combination.choose_weights(medians, pl.Series(actual), ["good", "fair", "bad"])
    assert sum(weights.values()) == pytest.approx(1.0)
    assert weights["good"] > weights["fair"] > weights["bad"]
    mixed = combination.combined({name: medians[name] for name in medians.columns}, weights)
    assert (mixed - actual).abs().mean() < (medians["good"] - actual).abs().mean()


def test_without_held_out_rows_the_members_weigh_the_same() -> None:
    empty = pl.DataFrame(schema=dict.fromkeys(MEMBERS, pl.Float64))
    weights = combination.choose_weights(empty, pl.Series([], dtype=pl.Float64), MEMBERS)
    assert set(weights.values()) == {1 / len(MEMBERS)}


def test_the_weights_can_be_kept_as_text() -> None:
    weights = {"lightgbm": 0.75, "ridge": 0.25}
    assert combination.weights_of(combination.weights_texts(weights)) == weights


def test_a_series_of_less_than_two_weeks_gets_nothing_from_a_heavy_forecaster(tmp_path: Path) -> None:
    young = make_days(
        seed=73, meters=1, days=10, first_day=CUTOFF - timedelta(days=10), missing_share=0, incomplete_share=0
    )
    few = known_at(tmp_path / "w.duckdb", young, CUTOFF)
    for name in HEAVY:
        assert FORECASTERS[name].fit(few.training, few.series, seed=5).predict(few.rows, few.series).null_count() == 7
