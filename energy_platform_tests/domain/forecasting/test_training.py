from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from energy_platform.domain.columns import BACKTESTS, RESIDUALS
from energy_platform.domain.errors import FeaturesChanged
from energy_platform.domain.forecasting.backtests import backtest_rows, leaderboard_of, residual_rows
from energy_platform.domain.forecasting.bundle import Bundle
from energy_platform.domain.forecasting.forecasters import FORECASTERS, MEMBERS, lightgbm
from energy_platform.domain.forecasting.paired import FOLD_COLUMNS
from energy_platform.domain.forecasting.promotion import MIN_SKILL
from energy_platform.domain.forecasting.rows import BACKTEST_DAYS
from energy_platform.domain.forecasting.training import SHORT_BACKTEST_DAYS, Training, rehearsal, train
from energy_platform_tests.day_builders import make_days
from energy_platform_tests.domain.forecasting.known import Known, known_at

CUTOFF = date(2013, 8, 5)
TRAINED = ("combination", *MEMBERS)


def run(known: Known, *, heavy_fits: int = 0) -> Training:
    return train(known.training, known.held_out, known.series, cutoff=CUTOFF, seed=3, heavy_fits=heavy_fits)


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Known:
    days = make_days(seed=31, meters=4, days=260, noise=0.25)
    return known_at(tmp_path_factory.mktemp("training") / "w.duckdb", days, CUTOFF)


@pytest.fixture(scope="module")
def trained(homes: Known) -> Training:
    return run(homes, heavy_fits=1)


def test_a_weekly_pattern_behind_noise_is_told_better_than_naive_does(trained: Training) -> None:
    assert trained.skill > MIN_SKILL
    assert trained.mae_kwh < 0.9 * trained.naive_mae_kwh
    assert trained.reason.startswith(f"{trained.model} did best")
    assert f"{trained.naive_mae_kwh:.4g}" in trained.reason


def test_every_forecaster_is_compared_and_the_heavy_ones_on_a_labelled_sample(trained: Training) -> None:
    assert set(trained.metrics) == {*FORECASTERS, "combination"}
    sampled = set(trained.folds.filter("is_sample")["model"])
    assert sampled == {"prophet", "statistical"}
    counts = dict(trained.folds.group_by("model").len().iter_rows())
    assert {counts[name] for name in sampled} == {7}
    assert {counts[name] for name in TRAINED} == {trained.backtest_rows}
    assert set(FOLD_COLUMNS) <= set(trained.folds.columns)


def test_the_folds_add_up_to_the_leaderboard_and_to_a_summary_of_each_meter(trained: Training) -> None:
    rows = backtest_rows(trained.folds, cutoff=CUTOFF)
    assert rows.schema == BACKTESTS.polars_schema
    board = {row["model"]: row for row in leaderboard_of(rows).to_dicts()}
    for name in TRAINED:
        assert board[name]["mae_kwh"] == pytest.approx(trained.metrics[name]["mae_kwh"])
        assert board[name]["skill"] == pytest.approx(1 - trained.metrics[name]["mae_kwh"] / trained.naive_mae_kwh)
    residuals = residual_rows(trained.folds, model=trained.model, cutoff=CUTOFF)
    assert residuals.schema == RESIDUALS.polars_schema
    assert residuals["meter_id"].to_list() == [f"home-{number}" for number in range(4)]
    days = residuals["meter_days"]
    assert (residuals["mae_kwh"] * days).sum() / days.sum() == pytest.approx(trained.mae_kwh)
    assert (residuals["worst_residual_kwh"].abs() >= residuals["mae_kwh"]).all()


def test_without_a_backtest_the_tables_are_empty(homes: Known) -> None:
    short = run(replace(homes, training=homes.training.head(200)))
    assert backtest_rows(short.folds, cutoff=CUTOFF).height == 0
    assert residual_rows(short.folds, model="lightgbm", cutoff=CUTOFF).height == 0


def noise_days(seed: int) -> pl.DataFrame:
    """The sensors of the first system: independent draws, uniform between 0 and 100."""
    days = make_days(seed=seed, meters=6, days=300, missing_share=0, incomplete_share=0)
    return days.with_columns(energy_kwh=pl.Series(np.random.default_rng(seed).uniform(0, 100, days.height)))


@pytest.mark.parametrize("seed", [32, 33])
def test_on_uniform_noise_there_is_no_skill_over_naive(seed: int, tmp_path: Path) -> None:
    found = run(known_at(tmp_path / "w.duckdb", noise_days(seed), CUTOFF))
    assert found.skill <= MIN_SKILL
    assert found.reason.startswith("no skill over naive")
    assert found.mae_kwh < 0.85 * found.naive_mae_kwh
    assert found.best_naive == "recent_mean"


def test_of_pure_noise_nothing_is_learnt(tmp_path: Path) -> None:
    model = run(known_at(tmp_path / "w.duckdb", noise_days(34), CUTOFF)).bundle
    unseen = known_at(tmp_path / "fresh.duckdb", noise_days(35), CUTOFF)
    for name, forecasts in model.forecasts(unseen.held_out, unseen.series).items():
        error = forecasts["p50_kwh"] - unseen.held_out["target_kwh"]
        spread = unseen.held_out["target_kwh"] - unseen.held_out["target_kwh"].mean()
        assert 1 - (error**2).sum() / (spread**2).sum() < 0.02, name


def test_a_model_that_does_not_beat_the_baseline_is_said_to_have_no_skill(trained: Training) -> None:
    lost = replace(trained, metrics={"lightgbm": {"mae_kwh": 2.0}, "seasonal_naive": {"mae_kwh": 1.9}})
    assert lost.skill < 0
    assert lost.reason.startswith("no skill over naive; lightgbm did not beat it")
    barely = replace(trained, metrics={"lightgbm": {"mae_kwh": 1.89}, "seasonal_naive": {"mae_kwh": 1.9}})
    assert 0 < barely.skill < MIN_SKILL
    assert barely.reason.startswith("no skill over naive")


def test_too_little_history_is_said_and_no_model_made(homes: Known) -> None:
    short = run(replace(homes, training=homes.training.head(200)))
    assert short.bundle is None
    assert short.skill is None
    assert "too little history" in short.reason
    assert run(replace(homes, training=homes.training.clear(), held_out=homes.held_out.clear())).bundle is None


def test_the_same_rows_and_seed_train_the_same_models(homes: Known, trained: Training) -> None:
    again = run(homes)
    assert again.bundle.weights == trained.bundle.weights
    assert {name: again.bundle.bands[name] for name in TRAINED} == {
        name: trained.bundle.bands[name] for name in TRAINED
    }
    for name, forecasts in again.bundle.forecasts(homes.rows, homes.series).items():
        assert_frame_equal(forecasts, trained.bundle.forecasts(homes.rows, homes.series)[name], check_exact=True)


def test_a_young_fleet_is_tested_on_fewer_weeks_so_that_it_can_learn(homes: Known) -> None:
    young = homes.training.filter(pl.col("local_date") > CUTOFF - timedelta(days=3 * BACKTEST_DAYS - 1))
    for training, days in ((homes.training, BACKTEST_DAYS), (young, SHORT_BACKTEST_DAYS)):
        earlier, held_out = rehearsal(training, homes.held_out, cutoff=CUTOFF)
        assert held_out["cutoff_date"].min() == CUTOFF - timedelta(days=days)
        assert earlier["local_date"].max() < CUTOFF - timedelta(days=days)


def test_the_rehearsal_knows_no_target_of_the_held_out_weeks(homes: Known, trained: Training) -> None:
    recent = pl.col("local_date") >= CUTOFF - timedelta(days=BACKTEST_DAYS)
    spoilt = homes.training.with_columns(target_kwh=pl.when(recent).then(1e4).otherwise("target_kwh"))
    found = run(replace(homes, training=spoilt))
    assert {name: found.metrics[name] for name in TRAINED} == {name: trained.metrics[name] for name in TRAINED}


def test_the_combination_is_judged_by_weights_that_did_not_see_the_days_it_is_judged_on(homes: Known) -> None:
    issues = homes.held_out["cutoff_date"].unique().sort()
    late = pl.col("cutoff_date") >= issues[len(issues) // 2]
    wild = homes.held_out.with_columns(target_kwh=pl.when(late).then(pl.col("target_kwh") * 9).otherwise("target_kwh"))

    def late_forecasts(held_out: pl.DataFrame) -> list[float]:
        folds = run(replace(homes, held_out=held_out)).folds
        return folds.filter((pl.col("model") == "combination") & late)["p50_kwh"].to_list()

    assert late_forecasts(homes.held_out) == late_forecasts(wild)


def test_a_bundle_can_be_kept_as_text_files(homes: Known, trained: Training) -> None:
    texts = trained.bundle.texts()
    assert all(isinstance(text, str) for text in texts.values())
    again = Bundle.from_texts({**texts, "formula.json": "{}"})
    for name, forecasts in again.forecasts(homes.rows, homes.series).items():
        assert_frame_equal(forecasts, trained.bundle.forecasts(homes.rows, homes.series)[name], check_exact=True)


def test_a_bundle_of_other_features_is_refused(trained: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = trained.bundle.texts()
    monkeypatch.setattr(lightgbm, "feature_hash", lambda: "features of tomorrow")
    with pytest.raises(FeaturesChanged, match="Train a new model"):
        Bundle.from_texts(texts)
