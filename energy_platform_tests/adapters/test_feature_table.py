"""What is kept up to date a file at a time is what a build of everything gives, to the last bit."""

from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from energy_platform.adapters import feature_table
from energy_platform.adapters.feature_table import FeatureBuild, build_features
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.domain.columns import FEATURES_METER_DAYS, METER_DAYS, WEATHER
from energy_platform_tests.day_builders import make_days, make_warehouse, make_weather

FIRST = date(2013, 3, 1)
KEY = ["meter_id", "channel", "local_date"]


def build(warehouse: Warehouse) -> FeatureBuild:
    with warehouse.transaction() as connection:
        return build_features(connection)


def features(warehouse: Warehouse) -> pl.DataFrame:
    return warehouse.read(f"SELECT * FROM {FEATURES_METER_DAYS.full_name}").sort(KEY)


def assert_equals_a_whole_build(warehouse: Warehouse) -> None:
    kept = features(warehouse)
    with warehouse.connect() as connection:
        connection.execute(f"DROP TABLE {FEATURES_METER_DAYS.full_name}")
    assert build(warehouse).is_whole
    assert_frame_equal(kept, features(warehouse), check_exact=True)


@pytest.fixture
def days() -> pl.DataFrame:
    return make_days(seed=5, meters=4, days=90, first_day=FIRST)


def test_nothing_new_computes_nothing(tmp_path: Path, days: pl.DataFrame) -> None:
    warehouse = make_warehouse(tmp_path / "w.duckdb", days)
    assert build(warehouse).is_whole
    assert build(warehouse) == FeatureBuild(0, is_whole=False)


@given(
    touched=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 89)), min_size=1, max_size=4),
    known=st.integers(40, 89),
)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_new_days_and_corrections_give_what_a_whole_build_gives(
    tmp_path_factory: pytest.TempPathFactory, days: pl.DataFrame, touched: list[tuple[int, int]], known: int
) -> None:
    until = FIRST + timedelta(days=known)
    warehouse = make_warehouse(tmp_path_factory.mktemp("w") / "w.duckdb", days.filter(pl.col("local_date") < until))
    build(warehouse)
    corrected = pl.any_horizontal(
        (pl.col("meter_id") == f"home-{meter}") & (pl.col("local_date") == FIRST + timedelta(days=day))
        for meter, day in touched
    )
    is_new = corrected | (pl.col("local_date") >= until)
    later = days.filter(pl.col("local_date") < until + timedelta(days=1)).with_columns(
        file_id=pl.when(is_new).then(2).otherwise(pl.col("file_id")).cast(pl.Int32),
        energy_kwh=pl.when(corrected).then(pl.col("energy_kwh") + 1.25).otherwise(pl.col("energy_kwh")),
    )
    warehouse.replace(METER_DAYS, later, where="true")
    build(warehouse)
    assert_equals_a_whole_build(warehouse)


def test_late_weather_reaches_the_days_after_it(tmp_path: Path, days: pl.DataFrame) -> None:
    weather = make_weather(days)
    early = weather.filter(pl.col("observed_at_utc") < datetime(2013, 5, 20))
    warehouse = make_warehouse(tmp_path / "w.duckdb", days, weather=early)
    build(warehouse)
    late = weather.filter(pl.col("observed_at_utc") >= datetime(2013, 5, 20)).with_columns(file_id=pl.lit(2, pl.Int32))
    warehouse.replace(WEATHER, late, where="false")
    assert not build(warehouse).is_whole
    assert_equals_a_whole_build(warehouse)


def test_features_that_are_made_otherwise_are_made_anew(
    tmp_path: Path, days: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = make_warehouse(tmp_path / "w.duckdb", days)
    build(warehouse)
    monkeypatch.setattr(feature_table, "_code", lambda: "another statement")
    assert build(warehouse).is_whole
