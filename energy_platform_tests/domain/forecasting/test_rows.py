from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.domain.forecasting.history import HISTORY_DAYS
from energy_platform.domain.forecasting.rows import (
    ENERGY_FEATURES,
    MAX_TRAINING_ROWS,
    MODEL_FEATURES,
    backtest_days,
    feature_hash,
    issue_rows_sql,
    stride_for,
    training_rows_sql,
)
from energy_platform_tests.day_builders import as_meter_days, make_days, make_warehouse
from energy_platform_tests.domain.forecasting.known import design_of

CUTOFF = date(2013, 6, 3)
TABLE = "features.meter_days"


@pytest.fixture(scope="module")
def days() -> pl.DataFrame:
    return make_days(seed=21, meters=3, days=200)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, days: pl.DataFrame) -> Warehouse:
    return make_warehouse(tmp_path_factory.mktemp("rows") / "w.duckdb", days)


def known(days: pl.DataFrame) -> dict[tuple[str, date], float]:
    complete = days.filter(pl.col("completeness") >= 0.9)
    return {
        (meter, day): kwh for meter, day, kwh in complete.select("meter_id", "local_date", "energy_kwh").iter_rows()
    }


def test_a_training_row_knows_only_days_before_its_issue_and_targets_before_the_cutoff(
    warehouse: Warehouse, days: pl.DataFrame
) -> None:
    rows = design_of(warehouse, training_rows_sql(TABLE, cutoff=CUTOFF, stride=1))
    assert rows["local_date"].max() == CUTOFF - timedelta(days=1)
    ahead = (rows["local_date"] - rows["cutoff_date"]).dt.total_days()
    assert (ahead == rows["lead"] - 1).all()
    energy = known(days)
    for row in rows.sample(300, seed=1).iter_rows(named=True):
        assert row["target_kwh"] == energy[row["meter_id"], row["local_date"]]
        yesterday = energy.get((row["meter_id"], row["cutoff_date"] - timedelta(days=1)))
        found = None if row["lag_1_kwh"] is None else row["lag_1_kwh"] * row["scale_kwh"]
        assert found == (None if yesterday is None else pytest.approx(yesterday, rel=1e-5))


def test_the_weekday_inputs_are_those_of_the_target_day(warehouse: Warehouse, days: pl.DataFrame) -> None:
    energy = known(days)
    rows = design_of(warehouse, issue_rows_sql(TABLE, issue_days=[CUTOFF]))
    assert rows.height == 3 * 7
    for row in rows.iter_rows(named=True):
        weeks = [energy.get((row["meter_id"], row["local_date"] - timedelta(days=7 * week))) for week in (1, 2, 3, 4)]
        same = [value for value in weeks if value is not None]
        assert row["naive_kwh"] == pytest.approx(same[0], rel=1e-6)
        assert row["weekday_mean_kwh"] * row["scale_kwh"] == pytest.approx(sum(same) / len(same), rel=1e-5)


def test_rows_to_issue_carry_no_targets_and_backtest_rows_only_known_ones(warehouse: Warehouse) -> None:
    assert design_of(warehouse, issue_rows_sql(TABLE, issue_days=[CUTOFF]))["target_kwh"].null_count() == 21
    held_out = warehouse.read(issue_rows_sql(TABLE, issue_days=backtest_days(CUTOFF, meters=3), known_before=CUTOFF))
    assert held_out["target_kwh"].null_count() == 0
    assert held_out["local_date"].max() < CUTOFF


def test_a_meter_without_a_complete_day_in_the_week_before_is_not_issued_for(tmp_path: Path) -> None:
    early = make_days(seed=22, meters=1, days=60, missing_share=0, incomplete_share=0)
    warehouse = make_warehouse(tmp_path / "w.duckdb", early)
    last = early["local_date"].max()
    issued = {
        ahead: warehouse.read(issue_rows_sql(TABLE, issue_days=[last + timedelta(days=ahead)])).height
        for ahead in (1, 7, 8, 30)
    }
    assert issued == {1: 7, 7: 7, 8: 0, 30: 0}


def test_scaled_inputs_do_not_depend_on_the_size_of_the_meter(tmp_path: Path) -> None:
    small = make_days(seed=23, meters=1, days=60, missing_share=0).with_columns(
        energy_kwh=pl.col("energy_kwh").round(1)
    )
    large = small.with_columns(meter_id=pl.lit("large"), energy_kwh=pl.col("energy_kwh") * 1000)
    warehouse = make_warehouse(tmp_path / "w.duckdb", pl.concat([small, large]))
    rows = design_of(warehouse, issue_rows_sql(TABLE, issue_days=[date(2013, 2, 20)]))
    first, second = (rows.filter(pl.col("meter_id") == name) for name in ("home-0", "large"))
    for name in ENERGY_FEATURES:
        assert first[name].to_list() == pytest.approx(second[name].to_list(), rel=1e-4), name


def test_a_home_that_stands_empty_can_be_designed(tmp_path: Path) -> None:
    dates = [date(2013, 1, 1) + timedelta(days=day) for day in range(60)]
    empty = as_meter_days(pl.DataFrame({"meter_id": "a", "local_date": dates, "energy_kwh": [0.0] * 60}))
    warehouse = make_warehouse(tmp_path / "w.duckdb", empty)
    rows = design_of(warehouse, issue_rows_sql(TABLE, issue_days=[date(2013, 2, 20)]))
    assert rows["scale_kwh"].min() > 0
    assert rows["spread_kwh"].min() > 0
    assert rows.select(MODEL_FEATURES).select(pl.all().is_infinite().any()).sum_horizontal().item() == 0


def test_no_rows_can_be_designed_too(warehouse: Warehouse) -> None:
    rows = design_of(warehouse, issue_rows_sql(TABLE, issue_days=[date(1999, 1, 1)]))
    assert rows.height == 0
    assert set(MODEL_FEATURES) <= set(rows.columns)


@given(st.integers(0, 10_000_000), st.integers(1, 10_000))
def test_the_stride_bounds_the_rows_and_meets_every_weekday(issues: int, meters: int) -> None:
    stride = stride_for(issues, meters=meters)
    assert stride % 7 != 0
    assert issues * 7 / stride <= MAX_TRAINING_ROWS


def test_a_sample_of_a_training_shows_every_weekday(warehouse: Warehouse) -> None:
    everything = warehouse.read(training_rows_sql(TABLE, cutoff=CUTOFF, stride=1))
    sample = warehouse.read(training_rows_sql(TABLE, cutoff=CUTOFF, stride=3))
    assert everything.height / 4 < sample.height < everything.height / 2
    assert sample["cutoff_date"].dt.weekday().n_unique() == 7


def test_of_many_meters_each_issue_gives_every_second_lead_and_the_next_one_the_others(warehouse: Warehouse) -> None:
    sample = warehouse.read(training_rows_sql(TABLE, cutoff=CUTOFF, stride=3, every_lead=2))
    whole = warehouse.read(training_rows_sql(TABLE, cutoff=CUTOFF, stride=3))
    assert sample.height == pytest.approx(whole.height / 2, rel=0.02)
    parities = sample.group_by("meter_id", "cutoff_date").agg(odd=(pl.col("lead_days") % 2).unique())
    assert parities["odd"].list.len().max() == 1
    assert sample.group_by("lead_days").agg(weekdays=pl.col("local_date").dt.weekday().n_unique())["weekdays"].min() > 1


@given(st.dates(date(2005, 1, 1), date(2030, 1, 1)), st.integers(1, 10_000))
def test_every_target_of_the_backtest_lies_before_the_cutoff(cutoff: date, meters: int) -> None:
    days = backtest_days(cutoff, meters=meters)
    assert max(days) + timedelta(days=6) < cutoff
    assert min(days) == cutoff - timedelta(days=56)


def test_a_large_fleet_takes_turns_each_meter_in_some_of_the_weeks(warehouse: Warehouse) -> None:
    days = backtest_days(CUTOFF, meters=5000)
    every, *turns = (
        warehouse.read(issue_rows_sql(TABLE, issue_days=days, known_before=CUTOFF, stride=stride))
        for stride in (1, 2, 3)
    )
    issues = every.group_by("meter_id", "channel").agg(pl.col("cutoff_date").n_unique())
    assert issues["cutoff_date"].to_list() == [8] * issues.height
    for stride, rows in enumerate(turns, start=2):
        found = rows.group_by("meter_id", "channel").agg(pl.col("cutoff_date").n_unique())
        assert found.height == issues.height
        assert set(found["cutoff_date"]) <= {8 // stride, -(-8 // stride)}
        assert rows.join(every, on=rows.columns, how="anti", nulls_equal=True).is_empty()


def test_the_feature_hash_changes_with_any_input() -> None:
    assert feature_hash() == feature_hash()
    assert len({feature_hash(), feature_hash(MODEL_FEATURES[1:]), feature_hash((*MODEL_FEATURES, "new"))}) == 3


def test_a_training_reads_three_years_and_no_more(tmp_path: Path) -> None:
    old = make_days(seed=24, meters=1, days=1300, first_day=date(2010, 1, 1), missing_share=0)
    warehouse = make_warehouse(tmp_path / "w.duckdb", old)
    rows = warehouse.read(training_rows_sql(TABLE, cutoff=CUTOFF, stride=1))
    assert rows["cutoff_date"].min() == CUTOFF - timedelta(days=HISTORY_DAYS - 1)


def test_the_last_week_of_december_is_told_from_other_weeks(warehouse: Warehouse) -> None:
    rows = design_of(warehouse, issue_rows_sql(TABLE, issue_days=[date(2013, 1, 5), date(2013, 6, 3)]))
    assert rows["is_year_end"].sum() == 0
    homes = make_days(seed=25, meters=1, days=40, first_day=date(2013, 12, 1), missing_share=0, incomplete_share=0)
    with TemporaryDirectory() as folder:
        winter = make_warehouse(Path(folder) / "w.duckdb", homes)
        flags = design_of(winter, issue_rows_sql(TABLE, issue_days=[date(2013, 12, 22), date(2013, 12, 29)]))
    assert set(flags.filter(pl.col("is_year_end") == 1)["local_date"]) == {
        date(2013, 12, 24) + timedelta(days=day) for day in range(9)
    }
