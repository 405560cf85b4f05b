"""anomalies/detectors, records, severities and episodes through Dagster, on three made-up homes with a stuck meter."""

import pickle
from datetime import date, datetime, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from energy_platform.adapters.detector_registry import DetectorRegistry
from energy_platform.adapters.registry import Registry
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.anomalies import detectors, severities
from energy_platform.defs.anomalies.days import read_days
from energy_platform.domain.anomalies.detectors import DAY_DETECTORS
from energy_platform.domain.anomalies.episodes import SAME_EPISODE_DAYS, with_episodes
from energy_platform.domain.anomalies.rows import household_days_sql
from energy_platform.domain.columns import SOURCE_CLOCKS
from energy_platform.domain.columns.anomalies import DETECTORS, EPISODES, RECORDS, SEVERITIES
from energy_platform.domain.errors import DetectorInput
from energy_platform.settings import Settings
from energy_platform_tests.day_builders import as_meter_days, make_warehouse
from energy_platform_tests.domain.anomalies.home_builders import shape

FIRST, DAYS = date(2013, 1, 7), 210
CUTOFFS = (date(2013, 7, 15), date(2013, 7, 22))
STUCK_ON = date(2013, 7, 30)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


def make_home(meter: int) -> pl.DataFrame:
    """Half-hourly readings in London: a day of 46 in March, no reading on one morning in May, stuck on one day in July."""
    random = np.random.default_rng(meter)
    starts = pl.datetime_range(FIRST, FIRST + timedelta(days=DAYS), "30m", closed="left", time_unit="us", eager=True)
    wall = starts.dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/London")
    kwh = shape()[wall.dt.hour().to_numpy()] / 2 * random.lognormal(0, 0.15, len(starts)) * (1 + meter)
    rows = pl.DataFrame(
        {
            "meter_no": pl.Series([meter + 1] * len(starts), dtype=pl.Int32),
            "local_date": wall.dt.date(),
            "interval_start_utc": starts,
            "interval_minutes": pl.Series([30] * len(starts), dtype=pl.Int16),
            "utc_offset_minutes": (wall.dt.base_utc_offset() + wall.dt.dst_offset()).dt.total_minutes().cast(pl.Int16),
            "energy_kwh": kwh,
        }
    )
    if meter == 0:
        stuck = pl.col("local_date") == STUCK_ON
        rows = rows.with_columns(energy_kwh=pl.when(stuck).then(0.4).otherwise("energy_kwh"))
        hour = pl.col("interval_start_utc").dt.hour()
        rows = rows.filter(~((pl.col("local_date") == date(2013, 5, 3)) & hour.is_between(6, 8)))
    return rows.filter(pl.col("local_date") < FIRST + timedelta(days=DAYS))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Warehouse, Registry, dg.ExecuteInProcessResult]:
    folder = tmp_path_factory.mktemp("anomalies")
    rows = pl.concat([make_home(meter) for meter in range(3)])
    days = rows.group_by("meter_no", "local_date").agg(
        energy_kwh=pl.col("energy_kwh").sum(),
        readings=pl.len().cast(pl.Int64),
        expected_readings=pl.when(pl.col("local_date").first() == date(2013, 3, 31)).then(46).otherwise(48),
    )
    days = days.with_columns(meter_id=pl.format("home-{}", pl.col("meter_no") - 1)).drop("meter_no")
    warehouse = make_warehouse(folder / "warehouse.duckdb", as_meter_days(days))
    with warehouse.transaction() as connection:
        connection.execute("CREATE SCHEMA intermediate")
        connection.register("rows", rows)
        connection.execute("CREATE TABLE intermediate.int_readings_in_use AS SELECT * FROM rows")
    clock = pl.DataFrame(
        {"source": ["homes"], "newest_complete_day": [FIRST + timedelta(days=DAYS - 1)], "active_meters": [3], "newest_file_id": [1]}
    )  # fmt: skip
    warehouse.replace(SOURCE_CLOCKS, clock, where="true")
    registry = Registry(f"sqlite:///{folder / 'mlflow.db'}", (folder / "artifacts").as_uri())
    trained = run(warehouse, registry, "detectors", partitions=CUTOFFS)
    run(warehouse, registry, "severities")
    return warehouse, registry, trained


def run(
    warehouse: Warehouse, registry: Registry, step: str, *, partitions: tuple[date, date] | None = None
) -> dg.ExecuteInProcessResult:
    module = {"detectors": detectors, "severities": severities}[step]
    checks = [one for one in vars(module).values() if isinstance(one, dg.AssetChecksDefinition)]
    assets = [one for one in vars(module).values() if isinstance(one, dg.AssetsDefinition) and one not in checks]
    result = dg.materialize(
        [*assets, *checks],
        resources={"warehouse": warehouse, "registry": registry, "settings": Settings(home=warehouse.path.parent)},
        tags=dict(zip(RANGE, map(str, partitions), strict=True)) if partitions else {},
        run_config=QUIET,
    )
    assert [one.check_name for one in result.get_asset_check_evaluations() if not one.passed] == []
    return result


def test_a_range_of_cutoffs_trains_its_first_and_says_so_of_no_other(home) -> None:
    warehouse, _, trained = home
    rows = warehouse.read(f"SELECT * FROM {DETECTORS.full_name}")
    assert rows["cutoff_date"].unique().to_list() == [CUTOFFS[0]]
    assert set(rows["detector"]) == {*DAY_DETECTORS, "severity"}
    refused = rows.filter(~pl.col("is_fitted"))
    assert refused["detector"].to_list() == ["conformal_residual"]
    assert "issued forecast" in refused["note"][0]
    told = {
        event.partition for event in trained.all_events if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION
    }
    assert told == {CUTOFFS[0].isoformat()}


def test_records_name_every_detector_and_who_may_not_page_and_why(home) -> None:
    warehouse, _, _ = home
    rows = warehouse.read(f"SELECT * FROM {RECORDS.full_name} WHERE fault = 'all'")
    assert set(rows["detector"]) == {*DAY_DETECTORS, "severity"} - {"conformal_residual"}
    few = rows.filter(pl.col("events") < 20)
    assert not few["may_page"].any()
    assert few["reason"].str.contains("20 are needed").all()


def test_all_detectors_of_a_cutoff_are_one_version_that_comes_back(home) -> None:
    warehouse, registry, _ = home
    doors = DetectorRegistry(registry.tracking_uri, registry.artifacts_uri)
    version = warehouse.read(f"SELECT DISTINCT model_version FROM {DETECTORS.full_name}").item()
    assert doors.champion(detectors.REGISTERED_MODEL) == version
    severity = pickle.loads(doors.load(detectors.REGISTERED_MODEL, version))
    days = read_days(warehouse, first=CUTOFFS[0], end=FIRST + timedelta(days=DAYS))
    import mlflow

    loaded = mlflow.pyfunc.load_model(f"models:/{detectors.REGISTERED_MODEL}/{version}")
    again = loaded.unwrap_python_model().predict(None, days)
    assert np.array_equal(again, severity.score(days).combined)


def test_other_bytes_than_were_registered_are_not_loaded(home) -> None:
    _, registry, _ = home
    doors = DetectorRegistry(registry.tracking_uri, registry.artifacts_uri)
    stored = next(Path(str(registry.artifacts_uri).removeprefix("file://")).rglob("detectors.pickle"))
    content = stored.read_bytes()
    stored.write_bytes(content + b" ")
    try:
        with pytest.raises(DetectorInput, match="other bytes"):
            doors.load(detectors.REGISTERED_MODEL, "1")
    finally:
        stored.write_bytes(content)


def test_the_stuck_day_is_one_episode_with_its_reason(home) -> None:
    warehouse, _, _ = home
    found = warehouse.read(f"SELECT * FROM {EPISODES.full_name} WHERE cause = 'flatline'").row(0, named=True)
    assert (found["meter_id"], found["kind"]) == ("home-0", "meter")
    assert (found["first_date"], found["last_date"]) == (STUCK_ON, STUCK_ON)
    assert "23 hours in a row repeat" in found["reason"]
    day = warehouse.read(f"SELECT * FROM {SEVERITIES.full_name} WHERE episode_id = ?", [found["episode_id"]])
    assert day["cutoff_date"].to_list() == [CUTOFFS[0]]


def test_judging_again_changes_nothing(home) -> None:
    warehouse, registry, _ = home
    names = ", ".join(name for name in SEVERITIES.column_names if name != "issued_at_utc")
    sql = f"SELECT {names} FROM {SEVERITIES.full_name} ORDER BY meter_id, local_date"
    before = warehouse.read(sql)
    run(warehouse, registry, "severities")
    assert warehouse.read(sql).equals(before)


def alarms(*days_and_causes: tuple[int, str]) -> pl.DataFrame:
    rows = [
        {"meter_id": "m", "channel": "main", "source": "s", "commodity": "gas", "local_date": FIRST + timedelta(days=day),
         "cutoff_date": FIRST, "severity": 2.0 + day / 100, "false_alarm_share": 0.01, "is_anomalous": cause != "sign",
         "cause": cause, "detectors": cause, "reason": f"{cause} {day}", "may_page": False, "issued_at_utc": datetime(2026, 1, 1)}
        for day, cause in days_and_causes
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=SEVERITIES.polars_schema)


@pytest.mark.parametrize("again", [(), (20, 26), (21, 24, 27), (30,)], ids=str)
def test_what_is_judged_again_and_what_was_not_are_episodes_as_if_all_had_been(
    tmp_path: Path, again: tuple[int, ...]
) -> None:
    warehouse = Warehouse(tmp_path / "w.duckdb")
    warehouse.ensure_tables([SEVERITIES, EPISODES])
    before = alarms((1, "gap"), (2, "sign"), (10, "gap"), (17, "night_leak"), (18, "gap"), (19, "night_leak"))
    later = alarms((20, "night_leak"), (24, "gap"), (25, "sign"))
    severities.put(warehouse, pl.concat([before, later]), redone="false", reached="false")
    redone = alarms(*((day, "night_leak") for day in again))
    since = f"DATE '{FIRST + timedelta(days=20)}'"
    severities.put(
        warehouse, redone, redone=f"local_date >= {since}", reached=f"last_date >= {since} - {SAME_EPISODE_DAYS}"
    )
    for table, expected in zip((SEVERITIES, EPISODES), with_episodes(pl.concat([before, redone])), strict=True):
        order = ", ".join(table.key)
        found = warehouse.read(f"SELECT * FROM {table.full_name} ORDER BY {order}")
        assert found.equals(expected.sort(table.key).cast(table.polars_schema))


def test_hours_of_the_day_follow_the_clock_on_the_wall(home) -> None:
    warehouse, _, _ = home
    days = read_days(warehouse, first=FIRST, end=FIRST + timedelta(days=DAYS))
    home_0 = days.filter(pl.col("meter_id") == "home-0")
    hours = {day: np.array(row) for day, row in zip(home_0["local_date"], home_0["hours_kwh"].to_numpy(), strict=True)}
    spring = hours[date(2013, 3, 31)]
    assert np.flatnonzero(np.isnan(spring)).tolist() == [1]
    assert home_0.filter(pl.col("local_date") == date(2013, 3, 31)).select("readings", "expected_readings").row(0) == (
        46,
        46,
    )
    missing = hours[date(2013, 5, 3)]
    assert np.flatnonzero(np.isnan(missing)).tolist() == [7, 8, 9]
    assert home_0.filter(pl.col("local_date") == date(2013, 5, 27))["is_day_off"].item(), "a bank holiday Monday"
    summer = home_0.filter(pl.col("local_date").is_between(date(2013, 5, 6), date(2013, 6, 30)))
    assert summer["hours_kwh"].to_numpy().mean(axis=0).argmax() == 19


def test_a_silent_meter_has_days_without_readings(home) -> None:
    warehouse, _, _ = home
    end = FIRST + timedelta(days=DAYS)
    days = "(SELECT * FROM marts.meter_days WHERE meter_id <> 'home-1' OR local_date < DATE '2013-07-01')"
    rows = warehouse.read(household_days_sql(first=date(2013, 6, 1), end=end, days=days))
    silent = rows.filter(pl.col("meter_id") == "home-1", pl.col("local_date") >= date(2013, 7, 1))
    assert silent.height == (end - date(2013, 7, 1)).days
    assert silent.select("readings", "expected_readings").unique().rows() == [(0, 48)]
    assert silent["energy_kwh"].null_count() == silent.height


def test_each_day_is_judged_by_the_newest_detectors_that_had_not_seen_it() -> None:
    versions = pl.DataFrame({"cutoff_date": [date(2013, 7, 1), date(2013, 7, 22)], "model_version": ["1", "2"]})
    end = date(2013, 8, 1)
    assert severities.spans(versions, end=end) == [
        (date(2013, 7, 1), "1", date(2013, 7, 1), date(2013, 7, 22)),
        (date(2013, 7, 22), "2", date(2013, 7, 22), end),
    ]
    later = severities.spans(versions, end=date(2013, 8, 10), judged=[date(2013, 7, 1), date(2013, 7, 22)])
    assert later == [(date(2013, 7, 22), "2", date(2013, 7, 22), date(2013, 8, 10))], (
        "the earlier days stay as they were judged"
    )
    assert severities.spans(versions, end=date(2013, 6, 30)) == []
