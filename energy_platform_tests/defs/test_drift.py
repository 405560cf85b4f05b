"""Drift opens a retrain, once, and only where training again would give something else."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.models.drift import (
    CHECK,
    FEATURES_KEY,
    SCORES_KEY,
    models_have_not_drifted,
    retrain_on_drift,
)
from energy_platform.defs.plan import DECISIONS_KEY
from energy_platform.domain.columns import DECISIONS, FORECAST_SCORES, FORECASTS, SOURCE_CLOCKS
from energy_platform_tests.day_builders import make_days, make_warehouse

NEWEST = date(2013, 7, 19)
DUE = date(2013, 7, 15)


def filled(rows: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """``rows`` with the other columns of a contract as nothing in particular."""
    nothing = {pl.String: "x", pl.Boolean: True, pl.Date: NEWEST}
    missing = {name: nothing.get(dtype.base_type(), 1) for name, dtype in schema.items() if name not in rows.columns}
    return rows.with_columns(**{name: pl.lit(value) for name, value in missing.items()}).select(schema.names())


def put(warehouse: Warehouse, table, rows: pl.DataFrame) -> None:
    times = {
        name: pl.lit(NEWEST).cast(dtype) for name, dtype in table.polars_schema.items() if dtype == pl.Datetime("us")
    }
    warehouse.replace(table, filled(rows.with_columns(**times), table.polars_schema), where="true")


def make_scores(recent: float) -> pl.DataFrame:
    """Twenty weeks of scores: 0.8 of naive at first, ``recent`` of naive in the last eight."""
    rng = np.random.default_rng(8)
    ratios = np.where(np.arange(20) < 12, 0.8, recent) + rng.normal(0, 0.02, 20)
    cutoffs = [DUE - timedelta(days=7 * back) for back in reversed(range(20))]
    parts = [
        pl.DataFrame({"cutoff_date": cutoffs, "mae_kwh": mae}).with_columns(model=pl.lit(model))
        for model, mae in (("lightgbm", 2 * ratios), ("seasonal_naive", np.full(20, 2.0)))
    ]
    return pl.concat(parts).with_columns(source=pl.lit("homes"), commodity=pl.lit("electricity"))


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    found = make_warehouse(tmp_path / "w.duckdb", make_days(seed=61, meters=12, days=200))
    put(found, SOURCE_CLOCKS, pl.DataFrame({"source": ["homes"], "newest_complete_day": [NEWEST]}))
    put(found, DECISIONS, pl.DataFrame({"model": ["lightgbm"], "cutoff_date": [DUE]}))
    put(found, FORECASTS, pl.DataFrame({"model": ["lightgbm"], "source": ["homes"], "cutoff_date": [DUE]}))
    return found


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def look(warehouse: Warehouse, instance: dg.DagsterInstance, *, recent: float) -> dg.AssetCheckEvaluation:
    """Run the check after a scoring."""
    put(warehouse, FORECAST_SCORES, make_scores(recent))

    @dg.asset(key=SCORES_KEY)
    def scores() -> None: ...

    result = dg.materialize([scores, models_have_not_drifted], resources={"warehouse": warehouse}, instance=instance)
    return result.get_asset_check_evaluations()[0]


def ask(instance: dg.DagsterInstance) -> dg.SensorResult | dg.SkipReason:
    return retrain_on_drift(dg.build_sensor_context(instance=instance))


def materialize(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None = None) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))


def test_where_nothing_has_moved_no_retrain_is_asked_for(warehouse: Warehouse, instance: dg.DagsterInstance) -> None:
    assert isinstance(ask(instance), dg.SkipReason)
    assert look(warehouse, instance, recent=0.8).passed
    assert isinstance(ask(instance), dg.SkipReason)


def test_errors_that_rise_ask_for_the_newest_weekly_cutoff(warehouse: Warehouse, instance: dg.DagsterInstance) -> None:
    found = look(warehouse, instance, recent=1.1)
    assert not found.passed
    assert "homes: retrain is due because lightgbm erred" in found.description
    materialize(instance, DECISIONS_KEY, DUE.isoformat())
    materialize(instance, FEATURES_KEY)
    asked = ask(instance).run_requests
    assert len(asked) == 1
    assert asked[0].tags["dagster/asset_partition_range_start"] == DUE.isoformat()
    assert asked[0].run_key == ask(instance).run_requests[0].run_key


def test_a_cutoff_that_was_trained_on_the_newest_data_is_not_trained_again(
    warehouse: Warehouse, instance: dg.DagsterInstance
) -> None:
    look(warehouse, instance, recent=1.1)
    materialize(instance, FEATURES_KEY)
    materialize(instance, DECISIONS_KEY, DUE.isoformat())
    answer = ask(instance)
    assert isinstance(answer, dg.SkipReason)
    assert "training again gives the same" in answer.skip_message


def test_inputs_that_leave_their_range_are_named(warehouse: Warehouse, instance: dg.DagsterInstance) -> None:
    with warehouse.transaction() as connection:
        connection.execute(
            "UPDATE features.meter_days SET lag_1_kwh = 0, lag_2_kwh = 0, lag_3_kwh = 0, lag_4_kwh = 0, "
            "lag_5_kwh = 0, lag_6_kwh = 0, lag_7_kwh = 0, lag_14_kwh = 0, min_7_kwh = 0, max_7_kwh = 0 "
            f"WHERE local_date > DATE '{NEWEST}' - 14"
        )
    found = look(warehouse, instance, recent=0.8)
    assert not found.passed
    assert "inputs have moved" in found.description


def test_the_sensor_runs_by_itself_and_the_check_with_the_scores() -> None:
    assert retrain_on_drift.default_status == dg.DefaultSensorStatus.RUNNING
    assert CHECK.asset_key == SCORES_KEY
