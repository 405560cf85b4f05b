"""Every mart against the polars oracle, on a lake with both clock changes, gaps, estimates and corrections."""

from datetime import date

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.domain.columns import TABLES, table
from energy_platform_tests.dbt import oracle

MARTS = [mart.name for mart in TABLES if mart.schema == "marts"]


@pytest.mark.parametrize("name", MARTS)
def test_a_mart_equals_the_oracle(built: Warehouse, name: str) -> None:
    contract = table(f"marts.{name}")
    expected = getattr(oracle, name)(built)
    columns = [column for column in contract.column_names if column in expected.columns]
    actual = oracle.read(built, contract.full_name).select(columns)
    expected = expected.select(columns).cast({column: contract.polars_schema[column] for column in columns})
    assert actual.height > 0
    assert_frame_equal(actual.sort(contract.key), expected.sort(contract.key), rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.parametrize(
    ("day", "half_hours"), [(date(2013, 3, 31), 46), (date(2013, 4, 1), 48), (date(2013, 10, 27), 50)]
)
def test_a_london_day_has_its_real_number_of_half_hours(built: Warehouse, day: date, half_hours: int) -> None:
    row = built.read("SELECT * FROM marts.meter_days WHERE meter_id = 'complete' AND local_date = ?", [day])
    assert (row["readings"][0], row["expected_readings"][0], row["completeness"][0]) == (half_hours, half_hours, 1.0)


def test_every_planted_gap_shows_in_completeness(built: Warehouse) -> None:
    days = oracle.read(built, "marts.meter_days")
    assert days.filter((pl.col("readings") < pl.col("expected_readings")) != (pl.col("completeness") < 1)).is_empty()
    assert days.filter(pl.col("meter_id") == "complete")["completeness"].min() == 1.0


def test_the_columns_of_a_mart_are_those_of_its_contract(built: Warehouse) -> None:
    for name in MARTS:
        contract = table(f"marts.{name}")
        assert oracle.read(built, contract.full_name).schema == contract.polars_schema


def test_every_version_stays_readable_and_the_first_ones_are_the_totals_before_the_corrections(
    built: Warehouse,
) -> None:
    versions = oracle.read(built, "marts.meter_day_versions")
    per_day = versions.group_by(oracle.DAY).len()
    corrected = built.read("SELECT count(*) AS n FROM marts.meter_days WHERE versions > 0")["n"][0]
    assert per_day.height == corrected > 0
    assert per_day["len"].min() >= 2
    first_file = oracle.read(built, "lake.readings").filter(pl.col("file_id") == 1)
    before = oracle.add_local_date(first_file).group_by(oracle.DAY).agg(pl.col("energy_kwh").sum())
    oldest = versions.sort("available_at_utc").unique(oracle.DAY, keep="first")
    joined = oldest.join(before, on=oracle.DAY, suffix="_before")
    assert joined.height == oldest.height
    assert joined.filter((pl.col("energy_kwh") - pl.col("energy_kwh_before")).abs() > 1e-9).is_empty()
