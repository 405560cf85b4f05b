from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from energy_platform.domain.columns import DRIVERS, FORECASTS, NOT_ISSUED
from energy_platform.domain.forecasting import drivers as drivers_module
from energy_platform.domain.forecasting.cold_start import cold_start
from energy_platform.domain.forecasting.forecasters import MEMBERS
from energy_platform.domain.forecasting.issuing import Choice, Issue, TrainedModel, issue
from energy_platform.domain.forecasting.training import Training, train
from energy_platform_tests.day_builders import make_days
from energy_platform_tests.domain.forecasting.known import Known, known_at

CUTOFF = date(2013, 8, 5)
NOW = datetime(2026, 1, 1)
YOUNG, SILENT, DEAD, EMPTY = "young", "silent", "dead", "empty"


def some(seed: int, name: str, *, first: date, days: int) -> pl.DataFrame:
    made = make_days(seed=seed, meters=1, days=days, first_day=first, missing_share=0, incomplete_share=0)
    return made.with_columns(meter_id=pl.lit(name))


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """Six ordinary homes; one four days old, one silent for ten days, one for twenty, one never complete."""
    ordinary = make_days(seed=31, meters=6, days=216, noise=0.25)
    parts = [
        ordinary,
        some(81, YOUNG, first=CUTOFF - timedelta(days=4), days=4),
        some(82, SILENT, first=date(2013, 3, 1), days=(CUTOFF - date(2013, 3, 1)).days - 10),
        some(83, DEAD, first=date(2013, 3, 1), days=(CUTOFF - date(2013, 3, 1)).days - 20),
        some(84, EMPTY, first=CUTOFF - timedelta(days=3), days=3).with_columns(completeness=pl.lit(0.3)),
    ]
    return known_at(tmp_path_factory.mktemp("issuing") / "w.duckdb", pl.concat(parts), CUTOFF, meters=9)


@pytest.fixture(scope="module")
def trained(homes: Known) -> Training:
    return train(homes.training, homes.held_out, homes.series, cutoff=CUTOFF, seed=3)


def issued(known: Known, choice: Choice | None) -> Issue:
    return issue(known.rows, known.held_out, known.series, cutoff=CUTOFF, choice=choice, issued_at_utc=NOW)


@pytest.fixture(scope="module")
def found(homes: Known, trained: Training) -> Issue:
    return issued(homes, Choice(TrainedModel("7", trained.bundle), "combination", trained.reason))


def given(found: Issue, meter: str) -> dict:
    rows = found.forecasts.filter((pl.col("meter_id") == meter) & pl.col("is_issued"))
    assert rows["lead_days"].to_list() == list(range(1, 8))
    return {name: rows[name][0] for name in ("model", "is_fallback", "reason", "model_version")}


def test_every_model_is_stored_and_the_champion_is_issued(found: Issue, homes: Known, trained: Training) -> None:
    rows = found.forecasts
    assert rows.schema == FORECASTS.polars_schema
    ordinary = rows.filter(pl.col("meter_id").str.starts_with("home-"))
    assert ordinary.height == 6 * 7 * 3
    for number in range(6):
        wanted = {"model": "combination", "is_fallback": False, "reason": trained.reason, "model_version": "7"}
        assert given(found, f"home-{number}") == wanted
    assert rows.filter(~pl.col("is_issued"))["reason"].null_count() == rows.filter(~pl.col("is_issued")).height


def test_each_meter_is_issued_one_forecast_a_day_ahead_with_ordered_quantiles(found: Issue) -> None:
    rows = found.forecasts
    assert (rows["p10_kwh"] >= 0).all()
    assert ((rows["p10_kwh"] <= rows["p50_kwh"]) & (rows["p50_kwh"] <= rows["p90_kwh"])).all()
    assert rows["p90_kwh"].is_finite().all()
    once = rows.filter("is_issued").group_by("meter_id", "lead_days").len()
    assert set(once["len"]) == {1}
    assert rows.group_by("model", "meter_id").len()["len"].unique().to_list() == [7]


def test_a_new_meter_is_given_the_profile_of_its_peers(found: Issue) -> None:
    row = given(found, YOUNG)
    assert (row["model"], row["is_fallback"]) == ("cold_start", True)
    assert "4 complete days so far; the weekly profile of 6 peers" in row["reason"]


def test_a_meter_without_a_single_complete_day_is_given_what_its_peers_use(found: Issue) -> None:
    row = given(found, EMPTY)
    assert row["model"] == "cold_start"
    assert "0 complete days so far" in row["reason"]


def test_a_meter_that_is_a_few_days_behind_is_given_its_last_weekdays(found: Issue, homes: Known) -> None:
    row = given(found, SILENT)
    assert (row["model"], row["is_fallback"]) == ("seasonal_naive", True)
    assert "10 days behind its source" in row["reason"]
    rows = found.forecasts.filter(pl.col("meter_id") == SILENT).sort("lead_days")
    days = homes.series.energy_kwh[homes.series.meters["meter_id"].to_list().index(SILENT)]
    until = homes.series.column(CUTOFF)
    last = [
        next(days[until + ahead - 7 * week] for week in (1, 2, 3) if not np.isnan(days[until + ahead - 7 * week]))
        for ahead in range(7)
    ]
    assert rows["p50_kwh"].to_list() == pytest.approx(last)


def test_a_dead_meter_gets_no_forecast_and_the_reason_is_kept(found: Issue) -> None:
    assert found.not_issued.schema == NOT_ISSUED.polars_schema
    assert found.not_issued["meter_id"].to_list() == [DEAD]
    row = found.not_issued.row(0, named=True)
    assert (row["silent_days"], row["last_complete_day"]) == (20, CUTOFF - timedelta(days=21))
    assert "no complete day since 2013-07-15: 20 days on the clock of its source" in row["reason"]
    assert DEAD not in set(found.forecasts["meter_id"])


def test_a_source_that_has_ended_is_not_listed_as_dead(homes: Known, trained: Training) -> None:
    later = date(2014, 2, 3)
    done = issue(homes.rows.clear(), homes.held_out, homes.series, cutoff=later, choice=None, issued_at_utc=NOW)
    assert done.forecasts.height == 0
    assert done.not_issued.height == 0


def test_where_the_combination_gives_nothing_lightgbm_is_issued(homes: Known, trained: Training) -> None:
    class Nothing:
        def predict(self, rows, series):
            return pl.Series("p50_kwh", [None] * rows.height, dtype=pl.Float64)

        def texts(self):
            return {}

    broken = replace(trained.bundle, members={**trained.bundle.members, "ridge": Nothing()})
    row = given(issued(homes, Choice(TrainedModel("7", broken), "combination", "it won")), "home-1")
    assert (row["model"], row["is_fallback"]) == ("lightgbm", True)
    assert row["reason"] == "lightgbm is issued for this meter: combination gives nothing for it"


def test_a_meter_between_one_week_and_two_is_given_the_weekly_naive_forecast(
    homes: Known, trained: Training, tmp_path: Path
) -> None:
    young = some(85, "ten-days", first=CUTOFF - timedelta(days=10), days=10)
    known = known_at(tmp_path / "w.duckdb", pl.concat([make_days(seed=31, meters=2, days=216), young]), CUTOFF)
    row = given(issued(known, Choice(TrainedModel("7", trained.bundle), "combination", "it won")), "ten-days")
    assert (row["model"], row["is_fallback"]) == ("seasonal_naive", True)
    assert row["reason"] == "seasonal_naive is issued for this meter: 10 complete days, a model needs 14"


def test_without_skill_the_baseline_is_issued_by_decision_not_as_a_fallback(homes: Known, trained: Training) -> None:
    row = given(issued(homes, Choice(TrainedModel("7", trained.bundle), None, "no skill over naive")), "home-0")
    assert row == {
        "model": "seasonal_naive",
        "is_fallback": False,
        "reason": "no skill over naive",
        "model_version": None,
    }


def test_a_refused_champion_is_stood_in_for_by_the_baseline(homes: Known) -> None:
    row = given(issued(homes, Choice(None, "combination", "its features have changed", is_refused=True)), "home-0")
    assert row["model"] == "seasonal_naive"
    assert row["is_fallback"]
    assert row["reason"] == "its features have changed"


def test_before_any_decision_the_baseline_is_issued_and_says_so(homes: Known) -> None:
    row = given(issued(homes, None), "home-0")
    assert (row["model"], row["is_fallback"]) == ("seasonal_naive", True)
    assert "no model has been trained" in row["reason"]


def test_a_first_week_of_readings_can_be_issued_for(tmp_path: Path) -> None:
    days = make_days(seed=34, meters=1, days=3, first_day=date(2013, 8, 2), missing_share=0, incomplete_share=0)
    known = known_at(tmp_path / "w.duckdb", days, CUTOFF)
    found = issued(known, None)
    row = given(found, "home-0")
    assert row["model"] == "cold_start"
    assert "for lack of peers" in row["reason"]
    assert_frame_equal(found.forecasts, issued(known, None).forecasts)


def test_a_first_meter_without_any_complete_day_gets_none_and_the_reason(tmp_path: Path) -> None:
    days = make_days(seed=34, meters=2, days=3, first_day=date(2013, 8, 2), missing_share=0, incomplete_share=0)
    empty = days.with_columns(completeness=pl.when(pl.col("meter_id") == "home-1").then(0.2).otherwise(1.0))
    found = issued(known_at(tmp_path / "w.duckdb", empty, CUTOFF), None)
    assert found.not_issued["meter_id"].to_list() == ["home-1"]
    assert "too few peers" in found.not_issued["reason"][0]


def test_drivers_are_the_largest_contributions_and_only_of_what_a_model_issued(
    found: Issue, trained: Training, homes: Known
) -> None:
    rows = found.drivers
    assert rows.schema == DRIVERS.polars_schema
    assert set(rows["meter_id"]) == {f"home-{number}" for number in range(6)}
    assert rows.group_by("meter_id", "lead_days").len()["len"].unique().to_list() == [3]
    sizes = rows.sort("meter_id", "lead_days", "place")["contribution_kwh"].abs().to_numpy().reshape(-1, 3)
    assert (np.diff(sizes, axis=1) <= 1e-12).all()
    energy = rows.filter(pl.col("feature") == "mean_7_kwh").head(1)
    if energy.height:
        row = homes.rows.filter(pl.col("meter_id") == energy["meter_id"][0]).row(0, named=True)
        assert energy["value"][0] == pytest.approx(row["mean_7_kwh"] * row["scale_kwh"], rel=1e-5)


def test_in_a_large_fleet_the_meters_farthest_from_their_pattern_are_explained(
    homes: Known, trained: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    medians = homes.rows.with_columns(
        p50_kwh=pl.col("naive_kwh") + (pl.col("meter_id") == "home-3").cast(pl.Float64) * 99
    )
    found = drivers_module.drivers(trained.bundle.trees, medians, issued_at_utc=NOW, max_meters=1)
    assert set(found["meter_id"]) == {"home-3"}


def test_the_profile_of_the_peers_is_followed_by_a_meter_of_another_size() -> None:
    pattern = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0])
    rng = np.random.default_rng(9)
    level = 10 ** rng.uniform(-1, 2, 20)
    energy = level[:, None] * pattern[np.arange(70) % 7] * np.exp(rng.normal(0, 0.05, (20, 70)))
    energy[0, :66] = np.nan
    found = cold_start(energy, np.array([0]), today=70)
    assert found.peers == 19
    assert found.p50_kwh[0].tolist() == pytest.approx((level[0] * pattern[np.arange(70, 77) % 7]).tolist(), rel=0.15)
    assert (found.p10_kwh <= found.p50_kwh).all()
    assert (found.p50_kwh <= found.p90_kwh).all()


def test_the_band_of_a_cold_start_holds_what_it_was_rehearsed_for() -> None:
    rng = np.random.default_rng(10)
    inside = []
    for _ in range(30):
        energy = 5 * np.exp(rng.normal(0, 0.4, (60, 77)))
        energy[:10, :66] = np.nan
        found = cold_start(energy, np.arange(10), today=70)
        actual = energy[:10, 70:77]
        inside.append(((actual >= found.p10_kwh) & (actual <= found.p90_kwh)).mean())
    assert np.mean(inside) == pytest.approx(0.8, abs=0.04)


def test_members_are_those_that_learn_and_cost_little() -> None:
    assert set(MEMBERS) == {"exponential_smoothing", "ridge", "lightgbm"}
