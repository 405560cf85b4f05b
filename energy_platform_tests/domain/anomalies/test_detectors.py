from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.domain.anomalies import forecast_residual, mean_plus_2_sigma
from energy_platform.domain.columns import ANOMALIES, CHANNEL_SUMMARIES, DAYS_OFF_FORECAST, FORECASTS
from energy_platform_tests.builders import make_readings, store_readings
from energy_platform_tests.day_builders import as_meter_days, correct, make_days, make_warehouse, put_days

FIRST = date(2013, 3, 25)
INTERVAL = ["interval_start_utc"]


def half_hours(path: Path, readings: pl.DataFrame, *, days: pl.DataFrame) -> Warehouse:
    """A warehouse with readings, the days given, and the summary of the readings in use."""
    warehouse = make_warehouse(path, days)
    files = readings.group_by("file_id").agg(pl.col("available_at_utc").first()).rows()
    with warehouse.connect() as connection:
        for file_id, known_at in files:
            connection.execute(
                """INSERT INTO lake.files BY NAME SELECT ? AS file_id, 'u' AS uri, 'h' AS content_sha256, 'homes' AS source, 1 AS bytes,
                   ? AS landed_at_utc, ? AS loaded_at_utc, ? AS available_at_utc, 1 AS rows_read, 1 AS rows_accepted, 0 AS rows_rejected,
                   0 AS rows_duplicate, 0 AS rows_superseding, 'loaded' AS status""",
                [file_id, known_at, known_at, known_at],
            )
    store_readings(warehouse, readings)
    newest = readings.sort("available_at_utc").unique(["meter_id", "channel", *INTERVAL], keep="last")
    energy = newest["energy_kwh"]
    summary = {
        "meter_id": readings["meter_id"][0],
        "channel": "main",
        "site_id": "s",
        "source": "homes",
        "commodity": "electricity",
        "interval_minutes": 30,
        "total_kwh": energy.sum(),
        "mean_kwh": energy.mean(),
        "std_kwh": energy.std(),
        "readings": newest.height,
        "peak_hour": 18,
        "first_interval_start_utc": newest[INTERVAL[0]].min(),
        "newest_interval_start_utc": newest[INTERVAL[0]].max(),
    }
    warehouse.replace(CHANNEL_SUMMARIES, pl.DataFrame([summary], schema=CHANNEL_SUMMARIES.polars_schema), where="true")
    return warehouse


def found_above_limit(warehouse: Warehouse) -> pl.DataFrame:
    """What the earlier rule finds, as it is read."""
    with warehouse.connect() as connection:
        connection.execute(f"INSERT INTO anomalies.channel_limits BY NAME {mean_plus_2_sigma.limits_sql()}")
        found = mean_plus_2_sigma.readings_above_limit_sql()
        connection.execute(f"INSERT INTO anomalies.readings_above_limit BY NAME {found}")
    return warehouse.read(f"SELECT * FROM {ANOMALIES.full_name}")


def days_of(readings: pl.DataFrame, **columns) -> pl.DataFrame:
    local = pl.col("interval_start_utc") + pl.duration(minutes=pl.col("utc_offset_minutes"))
    days = readings.group_by("meter_id", local_date=local.dt.date()).agg(energy_kwh=pl.col("energy_kwh").sum())
    return as_meter_days(days.with_columns(**columns))


def test_the_earlier_rule_finds_every_planted_spike_and_equals_polars(tmp_path: Path) -> None:
    readings = make_readings(seed=41, days=30)
    spikes = np.random.default_rng(1).choice(readings.height, 12, replace=False)
    energy = readings["energy_kwh"].to_numpy().copy()
    energy[spikes] = 9.0
    readings = readings.with_columns(energy_kwh=pl.Series(energy))
    warehouse = half_hours(tmp_path / "w.duckdb", readings, days=days_of(readings))
    found = found_above_limit(warehouse)
    limit = readings["energy_kwh"].mean() + 2 * readings["energy_kwh"].std()
    assert set(found["interval_start_utc"]) == set(readings.filter(pl.col("energy_kwh") > limit)["interval_start_utc"])
    assert set(readings[spikes.tolist()]["interval_start_utc"]) <= set(found["interval_start_utc"])
    assert found["score"].min() > 2
    assert found["reason"].unique().to_list() == [
        f"above {limit:.3f} kWh, the channel's mean of {readings['energy_kwh'].mean():.3f} kWh plus 2 standard deviations"
    ]
    assert found.schema == ANOMALIES.polars_schema


def test_a_superseded_reading_is_not_judged_and_its_correction_is(tmp_path: Path) -> None:
    readings = make_readings(seed=42, days=10, gap_share=0)
    later = {"available_at_utc": pl.lit(datetime(2015, 1, 1), pl.Datetime("us")), "file_id": pl.lit(2, pl.Int32)}
    was_high, is_high = readings[5:6], readings[200:201]
    given = pl.concat(
        [
            readings.filter(~pl.col(INTERVAL[0]).is_in(was_high[INTERVAL[0]].to_list())),
            was_high.with_columns(energy_kwh=8.0),
            was_high.with_columns(energy_kwh=pl.lit(0.1), **later),
            is_high.with_columns(energy_kwh=pl.lit(8.0), **later),
        ]
    )
    days = days_of(readings, versions=pl.lit(1))
    found = found_above_limit(half_hours(tmp_path / "w.duckdb", given, days=days))
    high = found.filter(pl.col("energy_kwh") == 8.0)
    assert high[INTERVAL[0]].to_list() == is_high[INTERVAL[0]].to_list()
    assert found.select("meter_id", *INTERVAL).is_duplicated().sum() == 0


def test_a_channel_that_never_varies_has_no_anomaly(tmp_path: Path) -> None:
    readings = make_readings(seed=43, days=5).with_columns(energy_kwh=0.25)
    warehouse = half_hours(tmp_path / "w.duckdb", readings, days=days_of(readings))
    assert found_above_limit(warehouse).is_empty()


def forecasts_for(days: pl.DataFrame, *, sd: float, issued: bool = True, lead: int = 1) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "model": "lightgbm",
            "model_version": "1",
            "cutoff_date": days["local_date"],
            "meter_id": days["meter_id"],
            "channel": "main",
            "source": "homes",
            "commodity": "electricity",
            "local_date": days["local_date"],
            "lead_days": lead,
            "p10_kwh": 10 - 1.2815 * sd,
            "p50_kwh": 10.0,
            "p90_kwh": 10 + 1.2815 * sd,
            "is_issued": issued,
            "is_fallback": False,
            "reason": "it won",
            "issued_at_utc": datetime(2026, 1, 1),
        }
    ).cast(FORECASTS.polars_schema)


@pytest.fixture
def ten_kwh() -> pl.DataFrame:
    days = make_days(seed=44, meters=1, days=40, first_day=FIRST, missing_share=0, incomplete_share=0)
    noise = np.random.default_rng(2).uniform(-1.5, 1.5, days.height)
    return days.with_columns(energy_kwh=10 + pl.Series(noise))


def test_days_beyond_three_sd_of_the_issued_forecast_are_found_in_both_directions(
    tmp_path: Path, ten_kwh: pl.DataFrame
) -> None:
    high, low = date(2013, 4, 10), date(2013, 3, 31)
    day = pl.col("local_date")
    planted = ten_kwh.with_columns(
        energy_kwh=pl.when(day == high).then(13.5).when(day == low).then(6.0).otherwise("energy_kwh")
    )
    warehouse = make_warehouse(tmp_path / "w.duckdb", planted)
    warehouse.replace(FORECASTS, forecasts_for(planted, sd=1.0), where="true")
    found = warehouse.read(forecast_residual.days_off_forecast_sql()).sort("local_date")
    assert found["local_date"].to_list() == [low, high]
    assert found["score"].to_list() == pytest.approx([-4.0, 3.5], abs=0.01)
    assert found["threshold_kwh"].to_list() == pytest.approx([7.0, 13.0], abs=0.01)
    assert "6.00 kWh is 4.0 standard deviations below the 10.00 kWh that lightgbm forecast" in found["reason"][0]
    # 31 March 2013 has 23 hours in London; it begins at midnight UTC, 10 April an hour before it.
    assert found["interval_minutes"].to_list() == [23 * 60, 24 * 60]
    assert found["interval_start_utc"].to_list() == [datetime(2013, 3, 31), datetime(2013, 4, 9, 23)]
    assert found.columns == DAYS_OFF_FORECAST.column_names


@pytest.mark.parametrize(("issued", "lead"), [(False, 1), (True, 2)])
def test_only_the_issued_forecast_of_the_day_before_judges(
    tmp_path: Path, ten_kwh: pl.DataFrame, issued: bool, lead: int
) -> None:
    warehouse = make_warehouse(tmp_path / "w.duckdb", ten_kwh.with_columns(energy_kwh=99.0))
    warehouse.replace(FORECASTS, forecasts_for(ten_kwh, sd=1.0, issued=issued, lead=lead), where="true")
    assert warehouse.read(forecast_residual.days_off_forecast_sql()).is_empty()


def test_an_incomplete_day_is_not_judged_and_a_correction_can_clear_one(tmp_path: Path, ten_kwh: pl.DataFrame) -> None:
    bad = FIRST + timedelta(days=9)
    here = pl.col("local_date") == bad
    planted = ten_kwh.with_columns(energy_kwh=pl.when(here).then(30.0).otherwise("energy_kwh"))
    warehouse = make_warehouse(tmp_path / "w.duckdb", planted)
    warehouse.replace(FORECASTS, forecasts_for(planted, sd=1.0), where="true")
    assert warehouse.read(forecast_residual.days_off_forecast_sql())["local_date"].to_list() == [bad]
    put_days(warehouse, planted.with_columns(completeness=pl.when(here).then(0.5).otherwise("completeness")))
    assert warehouse.read(forecast_residual.days_off_forecast_sql()).is_empty()
    restated, versions = correct(planted, meter_id="home-0", local_date=bad, energy_kwh=10.0, at=datetime(2026, 2, 1))
    put_days(warehouse, restated, versions=versions)
    assert warehouse.read(forecast_residual.days_off_forecast_sql()).is_empty()


def test_a_standby_light_in_an_empty_home_is_no_anomaly(tmp_path: Path, ten_kwh: pl.DataFrame) -> None:
    warehouse = make_warehouse(tmp_path / "w.duckdb", ten_kwh.with_columns(energy_kwh=10.1))
    warehouse.replace(FORECASTS, forecasts_for(ten_kwh, sd=0.0), where="true")
    assert warehouse.read(forecast_residual.days_off_forecast_sql()).is_empty()
