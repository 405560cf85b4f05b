"""forecasts/fleet_hours and forecasts/fleet_scores through Dagster, on fleets made up for it."""

from datetime import date, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from energy_platform.adapters.warehouse import Warehouse, create_table_sql
from energy_platform.defs.forecasts import hours, hours_checks
from energy_platform.domain.columns import FLEET_HALF_HOURS, METER_DAY_VERSIONS, METER_DAYS, METERS
from energy_platform.domain.columns.hours import FLEET_HOURS
from energy_platform.domain.forecasting.hours import boosting, issuing
from energy_platform.settings import Settings
from energy_platform_tests.domain.forecasting.hours.fleet_builders import make_half_hours, make_noise

CUTOFF = date(2013, 6, 3)
DAYS = ("2013-06-03", "2013-06-04")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def make_fleets(path: Path) -> Warehouse:
    """An hourly fleet with a pattern, a half-hourly one of noise, and one that has been silent for a month."""
    warehouse = Warehouse(path, threads=1)
    warehouse.ensure_tables()
    homes, noise = make_half_hours(days=150, carry=0.9), make_noise(days=150)
    silent = make_half_hours(days=115)
    fleets = {("homes", "electricity", 60): homes, ("sensors", "electricity", 30): noise, ("homes", "gas", 60): silent}
    half_hours = pl.concat(
        [
            rows.select("interval_start_utc", "energy_kwh", pl.col("meters").cast(pl.Int64)).with_columns(
                source=pl.lit(source), commodity=pl.lit(commodity)
            )
            for (source, commodity, _), rows in fleets.items()
        ]
    )
    meters = pl.DataFrame(
        [
            {
                "meter_id": f"{source}-{commodity}", "channel": "main", "meter_no": number, "site_id": source,
                "source": source, "commodity": commodity, "interval_minutes": minutes, "time_zone": "Europe/London",
                "country": "GB-ENG", "station_id": None, "availability": "history",
            }
            for number, (source, commodity, minutes) in enumerate(fleets, start=1)
        ]
    )  # fmt: skip
    with warehouse.transaction() as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS marts")
        for table in (METER_DAY_VERSIONS, METER_DAYS):
            connection.execute(create_table_sql(table))
    warehouse.replace(METERS, meters, where="true")
    warehouse.replace(FLEET_HALF_HOURS, half_hours, where="true")
    return warehouse


def run(warehouse: Warehouse, *steps, partitions: tuple[str, str] | None = None) -> dg.ExecuteInProcessResult:
    names = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
    result = dg.materialize(
        list(steps),
        resources={"warehouse": warehouse, "settings": Settings(home=warehouse.path.parent, threads=1)},
        tags=dict(zip(names, partitions, strict=True)) if partitions else {},
        run_config=QUIET,
    )
    failed = [check.check_name for check in result.get_asset_check_evaluations() if not check.passed]
    assert failed == []
    return result


def issued(warehouse: Warehouse, cutoff: date = CUTOFF) -> pl.DataFrame:
    return warehouse.read(
        f"SELECT * EXCLUDE issued_at_utc FROM {FLEET_HOURS.full_name} WHERE cutoff_date = ? "
        "ORDER BY source, commodity, model, interval_start_utc",
        [cutoff],
    )


@pytest.fixture(scope="module", autouse=True)
def few_trees():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boosting, "ROUNDS", 30)
        # Decompositions, which young fleets get, are tested without Dagster.
        patch.setattr(issuing, "YOUNG_DAYS", 0)
        yield


CHECKS = [hours_checks.fleet_forecasts_are_whole, hours_checks.fleet_bands_hold_what_they_promise]


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> tuple[Warehouse, dict]:
    warehouse = make_fleets(tmp_path_factory.mktemp("fleets") / "warehouse.duckdb")
    result = run(warehouse, hours.forecasts_fleet_hours, CHECKS[0], partitions=DAYS)
    run(warehouse, hours.forecasts_fleet_scores, *CHECKS)
    return warehouse, result.asset_materializations_for_node("forecasts_fleet_hours")[0].metadata


@pytest.fixture(scope="module")
def warehouse(flow: tuple[Warehouse, dict]) -> Warehouse:
    return flow[0]


def test_every_fleet_with_a_recent_reading_is_forecast_in_its_own_grain(warehouse: Warehouse) -> None:
    rows = issued(warehouse).filter("is_issued")
    counts = rows.group_by("source", "commodity", "interval_minutes").len().sort("source")
    assert counts.rows() == [("homes", "electricity", 60, 48), ("sensors", "electricity", 30, 96)]
    assert rows["interval_start_utc"].min() == datetime(2013, 6, 2, 23)
    by_source = dict(rows.select("source", "model").unique().rows())
    assert by_source == {"homes": "combination", "sensors": "seasonal_naive"}
    assert "no skill over naive" in rows.filter(pl.col("source") == "sensors")["reason"][0]


def test_the_run_says_why_a_fleet_got_no_forecast(flow: tuple[Warehouse, dict]) -> None:
    _, metadata = flow
    assert metadata["not_issued"].value == 2
    assert "| homes | gas | 2013-06-03 | no forecast: no complete day in the 7 days before" in metadata["reasons"].value


def test_scores_are_there_for_every_block_of_lead_whose_outcome_is_known(warehouse: Warehouse) -> None:
    scores = warehouse.read("SELECT * FROM forecasts.fleet_scores WHERE source = 'homes' AND model = 'combination'")
    assert sorted(set(scores["lead_hours_from"])) == [0, 6, 12, 18, 24, 30, 36, 42]
    assert (scores["skill"] > 0).mean() > 0.5


def test_running_a_day_again_replaces_it(warehouse: Warehouse) -> None:
    before = issued(warehouse)
    run(warehouse, hours.forecasts_fleet_hours, partitions=DAYS)
    assert_frame_equal(before, issued(warehouse), check_exact=True)


def test_half_hours_from_the_cutoff_on_change_no_forecast_by_a_bit(warehouse: Warehouse, tmp_path: Path) -> None:
    other = make_fleets(tmp_path / "warehouse.duckdb")
    with other.transaction() as connection:
        connection.execute(
            "UPDATE marts.fleet_half_hours SET energy_kwh = energy_kwh * 100, meters = meters * 3 "
            "WHERE interval_start_utc >= ?",
            [datetime(2013, 6, 2, 23)],
        )
    run(other, hours.forecasts_fleet_hours, partitions=DAYS)
    assert_frame_equal(issued(other), issued(warehouse), check_exact=True)
    assert not issued(other, CUTOFF + timedelta(days=1)).equals(issued(warehouse, CUTOFF + timedelta(days=1)))
