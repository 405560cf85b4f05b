from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from energy_platform.domain.columns import FORECASTS
from energy_platform.domain.errors import FeaturesChanged
from energy_platform.domain.forecasting import lightgbm
from energy_platform.domain.forecasting.issuing import Choice, TrainedModel, issue
from energy_platform.domain.forecasting.rows import backtest_days, design, issue_rows_sql, training_rows_sql
from energy_platform.domain.forecasting.training import Training, train
from energy_platform_tests.day_builders import make_days, make_warehouse

CUTOFF = date(2013, 8, 5)
NOW = datetime(2026, 1, 1)
TABLE = "features.meter_days"


def rows_of(path: Path, days: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Training, held-out and issue rows at the cutoff."""
    warehouse = make_warehouse(path, days)
    held_out = issue_rows_sql(TABLE, issue_days=backtest_days(CUTOFF, meters=4), known_before=CUTOFF)
    return (
        design(warehouse.read(training_rows_sql(TABLE, cutoff=CUTOFF, stride=1))),
        design(warehouse.read(held_out)),
        design(warehouse.read(issue_rows_sql(TABLE, issue_days=[CUTOFF]))),
    )


def run(training: pl.DataFrame, held_out: pl.DataFrame) -> Training:
    return train(training, held_out, cutoff=CUTOFF, seed=3)


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    days = make_days(seed=31, meters=4, days=260, noise=0.25)
    return rows_of(tmp_path_factory.mktemp("training") / "w.duckdb", days)


@pytest.fixture(scope="module")
def trained(homes: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]) -> Training:
    return run(homes[0], homes[1])


def test_noise_around_a_weekly_pattern_makes_the_model_champion(trained: Training) -> None:
    assert trained.is_champion
    assert trained.mae_kwh < 0.9 * trained.naive_mae_kwh
    assert "lightgbm is issued" in trained.reason
    assert f"{trained.naive_mae_kwh:.4g}" in trained.reason


def test_of_pure_noise_nothing_is_learnt(tmp_path: Path) -> None:
    days = make_days(seed=32, meters=4, days=260)
    noise = np.random.default_rng(5).gamma(4, 2, days.height)
    training, held_out, _ = rows_of(tmp_path / "w.duckdb", days.with_columns(energy_kwh=pl.Series(noise)))
    model = run(training, held_out).forecaster
    fresh = make_days(seed=33, meters=4, days=260)
    _, unseen, _ = rows_of(
        tmp_path / "fresh.duckdb",
        fresh.with_columns(energy_kwh=pl.Series(np.random.default_rng(6).gamma(4, 2, fresh.height))),
    )
    error = model.predict(unseen) - unseen["target_kwh"]
    r2 = 1 - (error**2).sum() / ((unseen["target_kwh"] - unseen["target_kwh"].mean()) ** 2).sum()
    assert r2 < 0.02


def test_a_model_that_does_not_beat_the_baseline_is_not_issued() -> None:
    metrics = {"lightgbm": {"mae_kwh": 2.0}, "seasonal_naive": {"mae_kwh": 1.9}}
    fitted = lightgbm.LightGBMForecaster(None, "hash")
    lost = Training(CUTOFF, fitted, bands=None, training_rows=900, backtest_rows=90, metrics=metrics)
    assert not lost.is_champion
    assert lost.reason.startswith("seasonal_naive is issued: lightgbm did not beat it")


def test_too_little_history_is_said_and_no_model_made(homes: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]) -> None:
    short = run(homes[0].head(200), homes[1])
    assert short.forecaster is None
    assert not short.is_champion
    assert "too little history" in short.reason
    assert run(homes[0].clear(), homes[1].clear()).forecaster is None


def test_the_same_rows_and_seed_train_the_same_model(
    homes: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], trained: Training
) -> None:
    again = run(homes[0], homes[1])
    assert again.forecaster.predict(homes[2]).to_list() == trained.forecaster.predict(homes[2]).to_list()
    assert again.bands == trained.bands


def test_the_rehearsal_knows_no_target_of_the_held_out_weeks(
    homes: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], trained: Training
) -> None:
    recent = pl.col("local_date") >= date(2013, 7, 8)
    spoilt = homes[0].with_columns(target_kwh=pl.when(recent).then(1e4).otherwise("target_kwh"))
    assert run(spoilt, homes[1]).mae_kwh == trained.mae_kwh


def test_a_model_refuses_other_features(
    trained: Training, homes: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]
) -> None:
    with pytest.raises(FeaturesChanged, match="Train a new model"):
        lightgbm.from_booster(trained.forecaster.booster, trained_on="other")
    stale = lightgbm.LightGBMForecaster(trained.forecaster.booster, "other")
    with pytest.raises(FeaturesChanged):
        stale.predict(homes[2])


def issued(homes: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], choice: Choice | None) -> pl.DataFrame:
    return issue(homes[2], homes[1], cutoff=CUTOFF, choice=choice, issued_at_utc=NOW)


def test_both_models_are_stored_and_the_champion_is_issued(
    homes: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], trained: Training
) -> None:
    model = TrainedModel("7", trained.forecaster, trained.bands)
    rows = issued(homes, Choice(model, True, trained.reason))
    assert rows.schema == FORECASTS.polars_schema
    assert rows.height == 2 * homes[2].height
    assert set(rows.filter("is_issued")["model"]) == {"lightgbm"}
    assert set(rows.filter("is_issued")["reason"]) == {trained.reason}
    assert set(rows.filter(pl.col("model") == "lightgbm")["model_version"]) == {"7"}
    assert (rows["p10_kwh"] >= 0).all()
    assert ((rows["p10_kwh"] <= rows["p50_kwh"]) & (rows["p50_kwh"] <= rows["p90_kwh"])).all()


@pytest.mark.parametrize("with_model", [True, False])
def test_the_baseline_is_issued_with_the_reason_when_there_is_no_champion(
    homes: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], trained: Training, with_model: bool
) -> None:
    model = TrainedModel("7", trained.forecaster, trained.bands) if with_model else None
    rows = issued(homes, Choice(model, False, "it lost"))
    assert set(rows.filter("is_issued")["model"]) == {"seasonal_naive"}
    assert set(rows.filter("is_issued")["reason"]) == {"it lost"}
    assert rows["model"].n_unique() == (2 if with_model else 1)


def test_before_any_decision_the_baseline_is_issued_and_says_so(
    homes: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
) -> None:
    rows = issued(homes, None)
    assert rows["is_issued"].all()
    assert "no model has been trained" in rows["reason"][0]


def test_a_first_week_of_readings_can_be_issued_for(tmp_path: Path) -> None:
    days = make_days(seed=34, meters=1, days=3, first_day=date(2013, 8, 2), missing_share=0, incomplete_share=0)
    rows = rows_of(tmp_path / "w.duckdb", days)
    forecasts = issued(rows, None)
    assert forecasts.height == 7
    assert forecasts["p90_kwh"].is_finite().all()
    assert_frame_equal(forecasts, issued(rows, None))
