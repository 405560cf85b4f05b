"""features → models → forecasts → scores → anomalies through Dagster, on homes made up for it."""

import shutil
from datetime import date, datetime
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from energy_platform.adapters.registry import Registry
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.anomalies import assets as anomalies
from energy_platform.defs.features import assets as features
from energy_platform.defs.forecasts import assets as forecasts
from energy_platform.defs.forecasts import checks as forecast_checks
from energy_platform.defs.forecasts import scores
from energy_platform.defs.models import assets as models
from energy_platform.defs.models import checks as model_checks
from energy_platform.domain.columns import ANOMALIES, FEATURES_METER_DAYS, PROMOTIONS
from energy_platform.domain.forecasting.bundle import REGISTERED_MODEL
from energy_platform.domain.forecasting.forecasters import FORECASTERS, lightgbm
from energy_platform.domain.forecasting.metrics import leaderboard
from energy_platform.settings import Settings
from energy_platform_tests.day_builders import correct, make_days, make_warehouse, make_weather, put_days

pytestmark = pytest.mark.slow
WEEKS = ("2013-07-29", "2013-08-05")
DAYS = ("2013-08-05", "2013-08-08")
CUTOFF = date(2013, 8, 5)
OLD_DETECTOR = "as an earlier version stored it"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Flow:
    """One home in which steps are run as Dagster runs them."""

    def __init__(self, home: Path, warehouse: Warehouse) -> None:
        self.settings = Settings(home=home, threads=1)
        self.warehouse = warehouse
        self.registry = Registry(self.settings.tracking_uri, self.settings.artifacts_uri)
        self.instance = dg.DagsterInstance.ephemeral()

    def run(self, *steps, partitions: tuple[str, str] | None = None) -> dg.ExecuteInProcessResult:
        tags = {}
        if partitions:
            tags = dict(
                zip(
                    ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end"),
                    partitions,
                    strict=True,
                )
            )
        result = dg.materialize(
            list(steps),
            resources={"warehouse": self.warehouse, "settings": self.settings, "registry": self.registry},
            instance=self.instance,
            tags=tags,
            run_config=QUIET,
        )
        failed = [check.check_name for check in result.get_asset_check_evaluations() if not check.passed]
        assert failed == []
        return result

    def train(self) -> dg.ExecuteInProcessResult:
        return self.run(models.models_decisions, *checks_of(model_checks), partitions=WEEKS)

    def forecast(self) -> dg.ExecuteInProcessResult:
        return self.run(forecasts.forecasts_meter_days, *checks_of(forecast_checks), partitions=DAYS)

    def issued(self, cutoff: date) -> pl.DataFrame:
        """What was forecast at a cutoff, without the moment and the number of the registry."""
        return self.warehouse.read(
            "SELECT * EXCLUDE (issued_at_utc, model_version) FROM forecasts.meter_days WHERE cutoff_date = ? "
            "ORDER BY model, meter_id, channel, lead_days",
            [cutoff],
        )


def checks_of(module) -> list[dg.AssetChecksDefinition]:
    return [value for value in vars(module).values() if isinstance(value, dg.AssetChecksDefinition)]


@pytest.fixture(scope="module")
def days() -> pl.DataFrame:
    return make_days(seed=51, meters=4, days=240, noise=0.25)


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory, days: pl.DataFrame) -> Flow:
    home = tmp_path_factory.mktemp("forecasting")
    flow = Flow(home, make_warehouse(home / "warehouse.duckdb", days, weather=make_weather(days)))
    flow.run(features.features_meter_days, *checks_of(features))
    flow.train()
    flow.forecast()
    flow.run(scores.forecasts_scores, *checks_of(forecast_checks))
    with flow.warehouse.connect() as connection:
        connection.execute(
            f"DROP VIEW anomalies.scores; CREATE TABLE anomalies.scores AS SELECT '{OLD_DETECTOR}' AS detector"
        )
    flow.run(anomalies.anomalies_scores, *checks_of(anomalies))
    return flow


def test_the_table_of_anomalies_of_an_earlier_version_gives_way_to_the_view(flow: Flow) -> None:
    rows = flow.warehouse.read("SELECT * FROM anomalies.scores")
    assert rows.schema == ANOMALIES.polars_schema
    assert OLD_DETECTOR not in rows["detector"]


def test_a_range_of_weeks_gives_one_decision_a_week_with_its_provenance(flow: Flow) -> None:
    import mlflow

    decisions = flow.warehouse.read("SELECT * FROM models.decisions ORDER BY cutoff_date")
    assert decisions["cutoff_date"].cast(pl.String).to_list() == list(WEEKS)
    assert decisions["is_champion"].all()
    version = decisions.row(-1, named=True)
    client = mlflow.MlflowClient(flow.registry.tracking_uri, flow.registry.tracking_uri)
    told = client.get_model_version_by_alias(REGISTERED_MODEL, "champion")
    assert str(told.version) == version["model_version"]
    assert told.tags["cutoff"] == WEEKS[-1]
    assert {"feature_hash", "newest_available_at_utc", "git_commit", "seed", "model"} <= set(told.tags)
    run = client.get_run(version["mlflow_run_id"])
    parent = run.data.tags["mlflow.parentRunId"]
    children = client.search_runs([run.info.experiment_id], f"tags.mlflow.parentRunId = '{parent}'")
    assert {child.data.tags["model"] for child in children} == {*FORECASTERS, "combination"}
    assert all("mae_kwh" in child.data.metrics for child in children)
    assert {"leaderboard.json", "leaderboard.png"} <= {file.path for file in client.list_artifacts(parent)}


def test_every_forecaster_is_backtested_each_week_and_the_heavy_ones_once_a_run(flow: Flow) -> None:
    rows = flow.warehouse.read("SELECT DISTINCT cutoff_date, model, is_sample FROM models.backtests")
    by_week = {week: rows.filter(pl.col("cutoff_date") == date.fromisoformat(week)) for week in WEEKS}
    heavy = {name for name, one in FORECASTERS.items() if one.is_heavy}
    assert set(by_week[WEEKS[0]]["model"]) == {*FORECASTERS, "combination"} - heavy
    assert set(by_week[WEEKS[1]].filter("is_sample")["model"]) == heavy
    assert flow.warehouse.read("SELECT count(*) FROM models.residuals").item() == 4 * len(WEEKS)


def test_a_range_of_days_gives_every_model_for_each_day_with_one_issued(flow: Flow) -> None:
    rows = flow.warehouse.read("SELECT * FROM forecasts.meter_days")
    assert rows["cutoff_date"].n_unique() == 4
    assert rows.height == 4 * 3 * 4 * 7
    champion = flow.warehouse.read("SELECT model FROM models.decisions ORDER BY cutoff_date DESC LIMIT 1").item()
    assert set(rows.filter("is_issued")["model"]) == {champion}
    assert not rows["is_fallback"].any()
    assert (rows["issued_at_utc"] > datetime(2024, 1, 1)).all()


def test_what_moved_each_forecast_is_kept(flow: Flow) -> None:
    drivers = flow.warehouse.read("SELECT * FROM forecasts.drivers")
    assert drivers.height == 4 * 4 * 7 * 3
    assert flow.warehouse.read("SELECT count(*) FROM forecasts.not_issued").item() == 0


def test_the_leaderboard_shows_the_model_ahead_of_the_baseline_at_every_lead(flow: Flow) -> None:
    board = leaderboard(flow.warehouse.read("SELECT * FROM forecasts.scores"))
    assert board.height == 3 * 7
    model = board.filter(pl.col("model") == "lightgbm")
    assert model["lead_days"].to_list() == list(range(1, 8))
    assert (leaderboard(flow.warehouse.read("SELECT * FROM forecasts.scores"), by=("model",))["skill"] >= 0).all()


def test_running_a_day_again_replaces_it(flow: Flow) -> None:
    before = flow.issued(CUTOFF)
    flow.forecast()
    assert_frame_equal(before, flow.issued(CUTOFF), check_exact=True)


def test_nothing_from_a_cutoff_on_changes_its_features_model_or_forecasts(
    flow: Flow, days: pl.DataFrame, tmp_path: Path
) -> None:
    later = pl.col("local_date") >= CUTOFF
    restated, versions = correct(
        days, meter_id="home-2", local_date=days.filter((pl.col("meter_id") == "home-2") & ~later)["local_date"][-3],
        energy_kwh=1e4, at=datetime(2026, 6, 1),
    )  # fmt: skip
    changed = pl.concat(
        [
            restated.filter(~later),
            restated.filter(later).with_columns(energy_kwh=pl.col("energy_kwh") * 100, completeness=pl.lit(1.0)),
            make_days(seed=52, meters=1, days=90, first_day=CUTOFF).with_columns(meter_id=pl.lit("a-newcomer")),
        ]
    )
    shutil.copy(flow.warehouse.path, tmp_path / "warehouse.duckdb")
    other = Flow(tmp_path, Warehouse(tmp_path / "warehouse.duckdb", threads=1))
    with other.warehouse.transaction() as connection:
        connection.execute("DELETE FROM forecasts.meter_days")
        connection.execute("DELETE FROM models.decisions")
        connection.execute("UPDATE lake.weather SET temperature_c = 99 WHERE observed_at_utc >= ?", [CUTOFF])
    put_days(other.warehouse, changed, versions=versions)
    other.train()
    other.forecast()
    assert_frame_equal(flow.issued(CUTOFF), other.issued(CUTOFF), check_exact=True)
    asked = "SELECT backtest_mae_kwh, naive_mae_kwh, training_rows, reason FROM models.decisions ORDER BY cutoff_date"
    assert_frame_equal(flow.warehouse.read(asked), other.warehouse.read(asked), check_exact=True)
    next_day = date(2013, 8, 6)
    assert not flow.issued(next_day).equals(other.issued(next_day))


def test_with_too_little_history_the_baseline_is_issued_and_the_decision_says_why(tmp_path: Path) -> None:
    young = make_days(seed=53, meters=1, days=20, first_day=date(2013, 7, 20), missing_share=0, incomplete_share=0)
    flow = Flow(tmp_path, make_warehouse(tmp_path / "warehouse.duckdb", young))
    flow.run(models.models_decisions, partitions=("2013-08-05", "2013-08-05"))
    flow.run(forecasts.forecasts_meter_days, partitions=("2013-08-05", "2013-08-05"))
    decision = flow.warehouse.read("SELECT * FROM models.decisions").row(0, named=True)
    assert (decision["is_champion"], decision["model_version"], decision["backtest_mae_kwh"]) == (False, None, None)
    issued = flow.issued(CUTOFF)
    assert set(issued["model"]) == {"seasonal_naive"}
    assert set(issued["reason"]) == {decision["reason"]}
    assert "too little history" in decision["reason"]


def test_forecasts_are_issued_without_any_decision(tmp_path: Path) -> None:
    homes = make_days(seed=54, meters=2, days=60, first_day=date(2013, 7, 1))
    flow = Flow(tmp_path, make_warehouse(tmp_path / "warehouse.duckdb", homes))
    flow.run(forecasts.forecasts_meter_days, partitions=("2013-08-05", "2013-08-05"))
    assert "no model has been trained" in flow.issued(CUTOFF)["reason"][0]


def test_a_champion_of_other_features_is_refused_and_naive_stands_in(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lightgbm, "feature_hash", lambda: "features of tomorrow")
    decisions = flow.warehouse.read("SELECT * FROM models.decisions")
    choice = forecasts.Choices(flow.registry, decisions, pl.DataFrame(schema=PROMOTIONS.polars_schema)).at(CUTOFF)
    assert choice.is_refused
    assert choice.model is None
    assert "Train a new model" in choice.reason


def test_the_newest_decision_up_to_a_cutoff_is_used_and_loaded_once(flow: Flow) -> None:
    decisions = flow.warehouse.read("SELECT * FROM models.decisions ORDER BY cutoff_date")
    choices = forecasts.Choices(flow.registry, decisions, pl.DataFrame(schema=PROMOTIONS.polars_schema))
    assert choices.at(date(2013, 7, 28)) is None
    assert choices.at(date(2013, 8, 4)).model.version == decisions["model_version"][0]
    assert choices.at(date(2013, 8, 9)).model is choices.at(CUTOFF).model


def test_the_features_table_is_the_one_of_the_contract(flow: Flow) -> None:
    described = flow.warehouse.read("DESCRIBE features.meter_days")
    found = dict(zip(described["column_name"], described["null"], strict=True))
    assert found == {column.name: "NO" if column.required else "YES" for column in FEATURES_METER_DAYS.columns}
    assert flow.warehouse.read("SELECT * FROM features.meter_days").schema == FEATURES_METER_DAYS.polars_schema
