"""The loader on real files, against the facts that their keepers state and against polars."""

from pathlib import Path

import polars as pl
import pytest

from energy_platform.adapters.landing import declared_path
from energy_platform_tests.lake_files import START, Lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def _land(lake: Lake, source: str, path: Path | None) -> None:
    lake.landing.land_source(lake.declarations[source], path=path, landed_at=START)


def test_the_shipped_homes_give_the_known_figures(lake: Lake) -> None:
    samples = [name for name, item in lake.declarations.items() if item.sample]
    for name in samples:
        _land(lake, name, None)
    summary = lake.load()
    homes = [outcome for outcome in summary.files if outcome.energy_kwh is not None]
    assert sum(outcome.rows.read for outcome in homes) == 69_552
    assert sum(outcome.rows.duplicate for outcome in homes) == 15
    assert sum(outcome.rows.accepted for outcome in homes) == 69_537
    energy = {outcome.file.source: outcome.energy_kwh for outcome in homes}
    assert energy["uk_home_gas"] == pytest.approx(16_878.262, abs=1e-3)
    assert energy["uk_home_electricity"] == pytest.approx(3_789.626, abs=1e-3)
    assert lake.read("SELECT count(*) FROM lake.weather").item() == 23_508 + 11_287
    for name in samples:
        _land(lake, name, None)
    assert lake.load().files == ()


def test_the_sample_with_day_and_month_swapped_is_not_among_the_samples(lake: Lake) -> None:
    samples = [declared_path(item).name for item in lake.declarations.values() if item.sample]
    assert not [name for name in samples if "sample-2.csv" in name]


@pytest.mark.shared_data
def test_low_carbon_london_adds_up_and_equals_polars(lake: Lake, shared_data: Path) -> None:
    folder = shared_data / "lcl" / "halfhourly"
    _land(lake, "lcl", folder)
    rows = lake.load().rows
    assert (rows.read, rows.accepted, rows.rejected, rows.duplicate) == (931_607, 931_607, 0, 0)
    found = lake.read("SELECT meter_id, sum(energy_kwh) AS kwh, count(*) AS n FROM lake.readings GROUP BY 1 ORDER BY 1")
    expected = (
        pl.concat([pl.read_csv(path, infer_schema=False) for path in sorted(folder.glob("*.csv.gz"))])
        .select(pl.nth(0).alias("meter_id"), pl.nth(3).str.strip_chars().cast(pl.Float64).alias("kwh"))
        .group_by("meter_id")
        .agg(pl.col("kwh").sum(), n=pl.len())
        .sort("meter_id")
    )
    assert found["meter_id"].to_list() == expected["meter_id"].to_list()
    assert found["n"].to_list() == expected["n"].to_list()
    assert found["kwh"].to_list() == pytest.approx(expected["kwh"].to_list())
    assert found.height == 55
    assert found["kwh"].sum() == pytest.approx(195_035.391, abs=1e-3)
    lengths = dict(lake.read("SELECT local_date, max(readings) FROM lake.day_loads GROUP BY 1").rows())
    assert [lengths[day] for day in sorted(lengths) if (day.month, day.day) in {(3, 31), (10, 27)}] == [46, 50]


@pytest.mark.shared_data
def test_the_home_with_genuine_quirks_gives_the_known_figures(lake: Lake, shared_data: Path) -> None:
    _land(lake, "lcl", shared_data / "lcl" / "MAC000002_full_period_with_Null_and_duplicates.csv.gz")
    outcome = lake.load().files[0]
    rows = outcome.rows
    assert (rows.read, rows.rejected, rows.duplicate) == (24_158, 1, 17)
    assert outcome.energy_kwh == pytest.approx(6_095.672, abs=1e-3)
    assert lake.read("SELECT line_number, reason, raw_text FROM lake.rejected").rows() == [
        (3242, "NULL_VALUE", "MAC000002,Std,2012-12-19 12:37:27.0000000,Null,ACORN-A,Affluent")
    ]


@pytest.mark.shared_data
def test_a_home_in_two_overlapping_sets_is_counted_once(lake: Lake, shared_data: Path) -> None:
    _land(lake, "lcl", shared_data / "lcl" / "MAC000002_full_period_with_Null_and_duplicates.csv.gz")
    lake.load()
    _land(lake, "lcl", shared_data / "lcl" / "halfhourly" / "LCL-June2015v2_0.csv.gz")
    rows = lake.load().rows
    in_2013 = lake.read(
        "SELECT count(*) FROM lake.readings WHERE meter_id = 'MAC000002' AND year(interval_start_utc) = 2013"
    ).item()
    assert rows.duplicate == in_2013
    assert rows.superseding == 0


@pytest.mark.shared_data
def test_appliances_are_told_apart_by_their_devices(lake: Lake, shared_data: Path) -> None:
    _land(lake, "appliances", shared_data / "tracebase" / "appliance_halfhourly_kwh_2012-01.csv.gz")
    outcome = lake.load().files[0]
    assert (outcome.rows.read, outcome.rows.accepted) == (21_496, 21_496)
    assert outcome.energy_kwh == pytest.approx(190.954, abs=1e-3)
