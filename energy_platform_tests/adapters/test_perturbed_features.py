"""The platform's own features under the sentinel: nothing of a day to come reaches an input."""

from datetime import date, timedelta

import duckdb
import polars as pl
import pytest

from energy_platform.adapters.perturbed_features import perturbed_features, sample_history
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.domain.columns import FEATURES_METER_DAYS
from energy_platform.domain.forecasting.sentinel import changed_by_the_future
from energy_platform_tests.day_builders import make_days, make_warehouse, make_weather

DAY = date(2013, 6, 3)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    days = make_days(seed=81, meters=6, days=180)
    return make_warehouse(tmp_path_factory.mktemp("perturbed") / "w.duckdb", days, weather=make_weather(days))


def rows_at(connection: duckdb.DuckDBPyConnection, day: date, *, extra: str = ""):
    """A maker of the feature rows of issuers who stand at ``day``."""

    def make(history: pl.DataFrame) -> pl.DataFrame:
        relation = perturbed_features(connection, history)
        sql = f"SELECT *{extra} FROM {relation} AS f WHERE local_date = ? ORDER BY meter_id, channel"
        return connection.execute(sql, [day]).pl()

    return make


def test_the_sample_has_days_on_both_sides_of_the_day(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        history = sample_history(connection, day=DAY, meters=3)
        assert history["meter_id"].n_unique() == 3
        assert history["local_date"].min() < DAY - timedelta(days=50)
        assert history["local_date"].max() == DAY + timedelta(days=6)
        assert sample_history(connection, day=DAY, meters=3).equals(history)
        assert sample_history(connection, day=date(2030, 1, 1)).is_empty()


def test_no_feature_of_a_day_changes_with_the_days_to_come(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        history = sample_history(connection, day=DAY)
        make = rows_at(connection, DAY)
        assert make(history).columns == FEATURES_METER_DAYS.column_names
        assert changed_by_the_future(make, history, day=DAY) == []


def test_a_window_that_includes_the_day_would_be_found(warehouse: Warehouse) -> None:
    leak = ", (SELECT avg(p.energy_kwh) FROM days_under_test AS p WHERE p.meter_id = f.meter_id) AS mean_with_the_day"
    with warehouse.connect() as connection:
        history = sample_history(connection, day=DAY)

        def make(days: pl.DataFrame) -> pl.DataFrame:
            connection.register(
                "days_under_test", days.filter(pl.col("local_date").is_between(DAY - timedelta(days=6), DAY))
            )
            return rows_at(connection, DAY, extra=leak)(days)

        found = changed_by_the_future(make, history, day=DAY)
    assert [finding.feature for finding in found] == ["mean_with_the_day"]
