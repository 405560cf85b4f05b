from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from energy_platform.adapters.known_features import known_features
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.domain.columns import FEATURES_METER_DAYS
from energy_platform.domain.known_at import days_known_at_sql, restated_meters_sql
from energy_platform_tests.day_builders import correct, make_days, make_warehouse, make_weather

CUTOFF = date(2013, 3, 1)
BEFORE, AFTER = datetime(2013, 2, 27, 12), datetime(2013, 3, 1, 0, 0, 1)
CORRECTED = date(2013, 2, 20)


@pytest.fixture
def days() -> pl.DataFrame:
    return make_days(seed=11, meters=3, days=90, missing_share=0, incomplete_share=0)


def energy(warehouse: Warehouse, meter_id: str = "home-1", day: date = CORRECTED) -> list[float]:
    sql = f"SELECT energy_kwh FROM ({days_known_at_sql(CUTOFF)}) WHERE meter_id = ? AND local_date = ?"
    return warehouse.read(sql, [meter_id, day])["energy_kwh"].to_list()


def features(warehouse: Warehouse, cutoff: date = CUTOFF) -> pl.DataFrame:
    with warehouse.connect() as connection:
        relation = known_features(connection, cutoff)
        names = ", ".join(name for name in FEATURES_METER_DAYS.column_names if name != "target_kwh")
        sql = f"SELECT {names} FROM {relation} WHERE local_date <= ? ORDER BY meter_id, channel, local_date"
        return connection.execute(sql, [cutoff]).pl()


@pytest.mark.parametrize("availability", ["history", "live"])
def test_only_days_before_the_cutoff_are_known(tmp_path: Path, days: pl.DataFrame, availability: str) -> None:
    days = days.with_columns(available_at_utc=pl.col("local_date").cast(pl.Datetime("us")) + pl.duration(days=1))
    warehouse = make_warehouse(tmp_path / "w.duckdb", days, availability=availability)
    known = warehouse.read(days_known_at_sql(CUTOFF))
    assert known.height == days.filter(pl.col("local_date") < CUTOFF).height
    assert known["local_date"].max() < CUTOFF


@pytest.mark.parametrize("availability", ["history", "live"])
@pytest.mark.parametrize(("at", "known"), [(BEFORE, 99.0), (AFTER, None)])
def test_a_correction_is_known_from_when_it_arrived(
    tmp_path: Path, days: pl.DataFrame, availability: str, at: datetime, known: float | None
) -> None:
    days = days.with_columns(available_at_utc=pl.lit(datetime(2013, 2, 25), pl.Datetime("us")))
    first = days.filter((pl.col("meter_id") == "home-1") & (pl.col("local_date") == CORRECTED))["energy_kwh"][0]
    restated, versions = correct(days, meter_id="home-1", local_date=CORRECTED, energy_kwh=99.0, at=at)
    warehouse = make_warehouse(tmp_path / "w.duckdb", restated, versions=versions, availability=availability)
    assert energy(warehouse) == [first if known is None else known]


def test_of_history_loaded_in_bulk_the_first_version_counts_as_known(tmp_path: Path, days: pl.DataFrame) -> None:
    first = days.filter((pl.col("meter_id") == "home-1") & (pl.col("local_date") == CORRECTED))["energy_kwh"][0]
    restated, versions = correct(
        days, meter_id="home-1", local_date=CORRECTED, energy_kwh=99.0, at=datetime(2026, 5, 5)
    )
    warehouse = make_warehouse(tmp_path / "w.duckdb", restated, versions=versions)
    assert energy(warehouse) == [first]
    assert warehouse.read(restated_meters_sql(CUTOFF)).rows() == [("home-1", "main")]


def test_a_live_day_is_unknown_until_it_arrives(tmp_path: Path, days: pl.DataFrame) -> None:
    late = (pl.col("meter_id") == "home-1") & (pl.col("local_date") == CORRECTED)
    arrival = pl.when(late).then(pl.lit(AFTER)).otherwise(pl.lit(BEFORE)).cast(pl.Datetime("us"))
    warehouse = make_warehouse(tmp_path / "w.duckdb", days.with_columns(available_at_utc=arrival), availability="live")
    assert energy(warehouse) == []
    assert energy(warehouse, "home-0") != []


def test_nothing_is_recomputed_when_nothing_was_restated(tmp_path: Path, days: pl.DataFrame) -> None:
    warehouse = make_warehouse(tmp_path / "w.duckdb", days)
    with warehouse.connect() as connection:
        assert known_features(connection, CUTOFF) == "features.meter_days"


@pytest.mark.parametrize("day", [CORRECTED, date(2013, 2, 28), CUTOFF, date(2013, 3, 20)])
def test_a_later_correction_of_any_day_changes_no_feature_of_the_cutoff(
    tmp_path: Path, days: pl.DataFrame, day: date
) -> None:
    weather = make_weather(days)
    before = features(make_warehouse(tmp_path / "before.duckdb", days, weather=weather))
    restated, versions = correct(days, meter_id="home-1", local_date=day, energy_kwh=999.0, at=datetime(2026, 5, 5))
    after = make_warehouse(tmp_path / "after.duckdb", restated, versions=versions, weather=weather)
    assert_frame_equal(before, features(after), check_exact=True)


def test_an_earlier_correction_does_change_features(tmp_path: Path, days: pl.DataFrame) -> None:
    days = days.with_columns(available_at_utc=pl.lit(datetime(2013, 2, 25), pl.Datetime("us")))
    before = features(make_warehouse(tmp_path / "before.duckdb", days))
    restated, versions = correct(days, meter_id="home-1", local_date=CORRECTED, energy_kwh=999.0, at=BEFORE)
    after = features(make_warehouse(tmp_path / "after.duckdb", restated, versions=versions))
    row = (pl.col("meter_id") == "home-1") & (pl.col("local_date") == CUTOFF)
    assert after.filter(row)["max_28_kwh"].item() == 999.0
    assert before.filter(row)["max_28_kwh"].item() != 999.0


def test_late_weather_of_a_live_station_is_unknown(tmp_path: Path, days: pl.DataFrame) -> None:
    days = days.with_columns(available_at_utc=pl.lit(BEFORE, pl.Datetime("us")))
    late = pl.when(pl.col("observed_at_utc") >= datetime(2013, 2, 27)).then(pl.lit(AFTER)).otherwise(pl.lit(BEFORE))
    weather = make_weather(days).with_columns(available_at_utc=late.cast(pl.Datetime("us")))
    warehouse = make_warehouse(tmp_path / "w.duckdb", days, weather=weather, availability="live")
    row = features(warehouse).filter(pl.col("local_date") == CUTOFF).row(0, named=True)
    assert row["temperature_1_c"] is None
    assert row["temperature_7_c"] == pytest.approx((22 + 23 + 24 + 25 + 26) / 5)
