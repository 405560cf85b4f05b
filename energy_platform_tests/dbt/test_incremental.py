"""A file more rebuilds exactly what it touches, and the result is that of a build from scratch."""

import shutil
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from energy_platform.adapters.warehouse import Warehouse
from energy_platform_tests.builders import FIRST_LOAD_UTC, load_file, make_corrections, make_readings
from energy_platform_tests.dbt import oracle
from energy_platform_tests.dbt.conftest import Dbt, make_warehouse

pytestmark = pytest.mark.slow
KEYED_BY_DAY = ["intermediate.int_meter_days", "marts.meter_days"]
TABLES_SQL = """
    SELECT table_schema || '.' || table_name AS name FROM information_schema.tables
    WHERE table_schema IN ('intermediate', 'marts') AND table_type = 'BASE TABLE'
"""


def later(days: int) -> datetime:
    return FIRST_LOAD_UTC + timedelta(days=days)


def assert_equals_full_refresh(warehouse: Warehouse, dbt: Dbt, tmp_path: Path) -> None:
    fresh = make_warehouse(tmp_path / "fresh")
    fresh.path.parent.mkdir()
    shutil.copy(warehouse.path, fresh.path)
    dbt(fresh, "run", "--full-refresh")
    names = warehouse.read(TABLES_SQL)["name"].to_list()
    assert len(names) == 12
    for name in names:
        left, right = oracle.read(warehouse, name), oracle.read(fresh, name)
        key = [column for column, dtype in left.schema.items() if dtype != pl.Float64]
        assert_frame_equal(left.sort(key), right.sort(key), rel_tol=1e-12, abs_tol=1e-12)


def days_of(warehouse: Warehouse, name: str) -> pl.DataFrame:
    """A table with a row per meter and day, by the names of the meters."""
    days = oracle.read(warehouse, name)
    if "meter_no" not in days.columns:
        return days
    numbers = warehouse.read("SELECT meter_no, meter_id, channel FROM lake.meters")
    return days.join(numbers, on="meter_no").drop("meter_no")


def test_a_correction_of_one_reading_rebuilds_its_day_only(tmp_path: Path, dbt: Dbt) -> None:
    warehouse = make_warehouse(tmp_path / "home")
    readings = pl.concat(make_readings(seed=n, meter_id=f"home-{n}", days=6) for n in range(3))
    load_file(warehouse, readings)
    dbt(warehouse, "run")
    before = {name: days_of(warehouse, name) for name in KEYED_BY_DAY}

    correction = make_corrections(readings, seed=3, count=1, file_id=2, available_at_utc=later(1))
    load_file(warehouse, correction)
    dbt(warehouse, "build", "--exclude-resource-type", "unit_test")

    changed_meter = correction["meter_id"][0]
    day = (correction["interval_start_utc"][0] + timedelta(minutes=int(correction["utc_offset_minutes"][0]))).date()
    is_changed = (pl.col("meter_id") == changed_meter) & (pl.col("local_date") == day)
    for name in KEYED_BY_DAY:
        after = days_of(warehouse, name)
        others, others_before = after.filter(~is_changed), before[name].filter(~is_changed)
        assert_frame_equal(others.sort(oracle.DAY), others_before.sort(oracle.DAY), check_exact=True)
        assert after.filter(is_changed).height == 1
    row = warehouse.read("SELECT * FROM marts.meter_days").filter(is_changed)
    old = before["marts.meter_days"].filter(is_changed)
    new_kwh = correction["energy_kwh"][0]
    old_kwh = (new_kwh - 0.125) / 2
    assert row["energy_kwh"][0] == pytest.approx(old["energy_kwh"][0] + new_kwh - old_kwh, abs=2e-3)
    assert (row["versions"][0], row["file_id"][0], row["readings"][0]) == (1, 2, old["readings"][0])
    kept = warehouse.read("SELECT energy_kwh FROM lake.readings ORDER BY available_at_utc DESC, file_id DESC")
    assert kept.height == readings.height + 1
    assert_equals_full_refresh(warehouse, dbt, tmp_path)


def test_files_in_any_order_give_what_one_build_gives(tmp_path: Path, dbt: Dbt) -> None:
    seed = 1
    warehouse = make_warehouse(tmp_path / "home")
    spans = [date(2013, 3, 20), date(2013, 10, 20), date(2013, 4, 2)]
    readings = pl.concat(
        make_readings(seed=seed * 10 + n, meter_id=f"home-{n % 2}", first_day=day, days=10)
        for n, day in enumerate(spans)
    )
    # Whole days and single readings in mixed order, then corrections of corrections and of gaps filled late.
    parts = readings.with_columns(part=pl.int_range(pl.len()).shuffle(seed=seed) % 3).partition_by(
        "part", include_key=False
    )
    for file_id, part in enumerate(parts, start=1):
        load_file(
            warehouse, part.with_columns(file_id=pl.lit(file_id, pl.Int32), available_at_utc=pl.lit(later(file_id)))
        )
        dbt(warehouse, "run")
    for file_id in (4, 5):
        load_file(
            warehouse,
            make_corrections(
                readings, seed=seed + file_id % 2, count=12, file_id=file_id, available_at_utc=later(file_id)
            ),
        )
    dbt(warehouse, "run")
    load_file(warehouse, make_corrections(readings, seed=seed, count=3, file_id=6, available_at_utc=later(6)))
    gas = make_readings(seed=9, meter_id="gas", interval_minutes=60, first_day=date(2013, 10, 25), days=4, file_id=7)
    load_file(warehouse, gas, source="uk_gas", commodity="gas")
    dbt(warehouse, "build", "--exclude-resource-type", "unit_test")
    assert_equals_full_refresh(warehouse, dbt, tmp_path)
    days = oracle.meter_days(warehouse).select("meter_id", "channel", "local_date", "energy_kwh", "versions", "file_id")
    actual = oracle.read(warehouse, "marts.meter_days").select(days.columns)
    assert_frame_equal(actual.sort(oracle.DAY), days.sort(oracle.DAY), rel_tol=1e-12, abs_tol=1e-12)


def test_the_first_main_channel_of_a_source_replaces_the_sum_of_its_devices(tmp_path: Path, dbt: Dbt) -> None:
    warehouse = make_warehouse(tmp_path / "home")
    load_file(warehouse, make_readings(seed=1, channel="dev1", days=4))
    dbt(warehouse, "run")
    assert warehouse.read("SELECT count(*) AS n FROM marts.fleet_half_hours")["n"][0] > 0
    load_file(warehouse, make_readings(seed=2, first_day=date(2013, 3, 26), days=1, file_id=2))
    dbt(warehouse, "run")
    expected = oracle.fleet_half_hours(warehouse).sort("interval_start_utc")
    actual = oracle.read(warehouse, "marts.fleet_half_hours").sort("interval_start_utc")
    assert_frame_equal(actual, expected.cast(actual.schema).select(actual.columns), rel_tol=1e-12)
    assert_equals_full_refresh(warehouse, dbt, tmp_path)


def test_a_build_of_an_empty_lake_makes_empty_marts(tmp_path: Path, dbt: Dbt) -> None:
    warehouse = make_warehouse(tmp_path / "home")
    warehouse.ensure_tables(schemas=["lake"])
    for _ in range(2):
        dbt(warehouse, "build", "--exclude-resource-type", "unit_test")
    assert oracle.read(warehouse, "marts.meter_days").is_empty()


def test_a_file_loaded_under_an_older_number_is_not_passed_over_in_silence(tmp_path: Path, dbt: Dbt) -> None:
    warehouse = make_warehouse(tmp_path / "home")
    load_file(warehouse, make_readings(seed=1, days=2, file_id=5))
    dbt(warehouse, "run")
    load_file(warehouse, make_readings(seed=2, meter_id="late", days=2, file_id=3))
    guard = "assert_every_loaded_day_is_in_meter_days"
    dbt(warehouse, "run")
    with pytest.raises(AssertionError, match=guard):
        dbt(warehouse, "test", "--select", guard)
    dbt(warehouse, "run", "--full-refresh")
    dbt(warehouse, "test", "--select", guard)


def test_tests_look_at_new_days_and_at_every_row_when_they_must(tmp_path: Path, dbt: Dbt) -> None:
    warehouse = make_warehouse(tmp_path / "home")
    all_rows = ("--vars", '{"check_all": true}')
    energy, key = "assert_meter_days_keep_all_energy", "one_row_per_meter_days"

    def run_sql(sql: str) -> None:
        with warehouse.connect() as connection:
            connection.execute(sql)

    def assert_found(name: str, *options: str) -> None:
        with pytest.raises(AssertionError, match=name):
            dbt(warehouse, "test", "--select", f"{name}*", *options)

    load_file(warehouse, make_readings(seed=1, days=3))
    dbt(warehouse, "build", "--exclude-resource-type", "unit_test")
    run_sql("UPDATE marts.meter_days SET energy_kwh = energy_kwh + 1")
    load_file(warehouse, make_readings(seed=2, meter_id="new", days=2, file_id=2))
    # A fault in old days is not looked for, and found when every row is.
    dbt(warehouse, "build", "--exclude-resource-type", "unit_test")
    assert_found(energy, *all_rows)
    run_sql("UPDATE marts.meter_days SET energy_kwh = energy_kwh - 1 WHERE file_id = 1")

    # A fault in new days is found, also a key whose other row is old, and found again until it is gone.
    load_file(warehouse, make_readings(seed=3, meter_id="newer", days=1, file_id=3))
    dbt(warehouse, "run")
    run_sql("UPDATE marts.meter_days SET energy_kwh = energy_kwh + 1 WHERE file_id = 3")
    run_sql("INSERT INTO marts.meter_days SELECT * REPLACE (1 AS file_id) FROM marts.meter_days WHERE file_id = 3")
    with pytest.raises(AssertionError, match=energy):
        dbt(warehouse, "test", "--exclude-resource-type", "unit_test")
    assert_found(key)
    run_sql("DELETE FROM marts.meter_days WHERE file_id = 1 AND meter_id = 'newer'")
    run_sql("UPDATE marts.meter_days SET energy_kwh = energy_kwh - 1 WHERE file_id = 3")

    # After a week, or with another number of loads than were checked, every row is looked at unasked.
    run_sql("UPDATE marts.meter_days SET energy_kwh = energy_kwh + 1 WHERE file_id = 1")
    dbt(warehouse, "test", "--exclude-resource-type", "unit_test")
    (mark,) = warehouse.read("SELECT comment FROM duckdb_tables() WHERE comment LIKE '%whole_at_utc%'")["comment"]
    assert '"file_id": 3,' in mark
    for other in (mark.replace('"20', '"19'), mark.replace('"day_loads": ', '"day_loads": 9')):
        run_sql(f"COMMENT ON TABLE marts.meter_days IS '{other}'")
        assert_found(energy)
