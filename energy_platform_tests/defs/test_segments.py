"""segments/… through Dagster, on homes that were planted in the tables dbt would make."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from energy_platform.adapters.warehouse import Warehouse, create_table_sql
from energy_platform.defs.segments import assets, checks
from energy_platform.domain.columns import SITE_MONTHS, SOURCE_CLOCKS
from energy_platform.domain.segments import choosing
from energy_platform.serving import segment_charts
from energy_platform_tests.domain.segments.planted import as_blocks, planted

CUTOFF = date(2013, 12, 30)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture(scope="module", autouse=True)
def few_resamples() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choosing, "RESAMPLES", 12)
        patch.setattr(choosing, "REFERENCES", 4)
        yield


def make_homes(path: Path) -> Warehouse:
    """Sixteen homes of two kinds with a year each, one of them three days old, and a clock at the end of the year."""
    warehouse = Warehouse(path, threads=1)
    warehouse.ensure_tables()
    profiles, _ = planted(homes_each=8, kinds=("evening-peak", "night"), seed=3)
    blocks, meters = as_blocks(profiles, cutoff=CUTOFF)
    newest = blocks.filter((pl.col("meter_no") == 1) & (pl.col("block_number") == pl.col("block_number").max()))
    young = newest.filter(~pl.col("is_weekend")).with_columns(
        meter_no=pl.lit(99, pl.Int64), energy_kwh=pl.col("energy_kwh") * 3 / pl.col("hours"), hours=pl.lit(3, pl.Int64)
    )
    added = meters.head(1).with_columns(meter_no=pl.lit(99, pl.Int64), site_id=pl.lit("new"))
    months = pl.DataFrame(
        {
            "site_id": list(profiles.site_ids),
            "source": "homes",
            "commodity": "electricity",
            "local_month": date(2013, 11, 1),
            "energy_kwh": [float(number) for number in range(16)],
            "days": 30,
            "completeness": 1.0,
            "estimated_share": 0.0,
        }
    )
    clock = pl.DataFrame({"source": "homes", "newest_complete_day": CUTOFF, "active_meters": 17, "newest_file_id": 1})
    with warehouse.transaction() as connection:
        for schema in ("intermediate", "marts"):
            connection.execute(f"CREATE SCHEMA {schema}")
        connection.execute(create_table_sql(SITE_MONTHS))
        for name, rows in (
            ("int_meter_hour_blocks", pl.concat([blocks, young.select(blocks.columns)])),
            ("int_meters_in_totals", pl.concat([meters, added.select(meters.columns)])),
        ):
            connection.register("rows", rows)
            connection.execute(f"CREATE TABLE intermediate.{name} AS SELECT * FROM rows")
            connection.unregister("rows")
    warehouse.replace(SITE_MONTHS, months, where="true")
    warehouse.replace(SOURCE_CLOCKS, clock, where="true")
    return warehouse


def run(warehouse: Warehouse) -> dg.ExecuteInProcessResult:
    result = dg.materialize(
        [assets.segments, checks.segments_checks], resources={"warehouse": warehouse}, run_config=QUIET
    )
    assert [check.check_name for check in result.get_asset_check_evaluations() if not check.passed] == []
    return result


def test_homes_are_grouped_compared_and_a_young_one_is_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = make_homes(tmp_path / "warehouse.duckdb")
    result = run(warehouse)
    members = warehouse.read("SELECT segment, count(*) AS homes FROM segments.members GROUP BY ALL ORDER BY ALL")
    # Three days are too few to be put into a segment for good.
    assert members.rows() == [("evening-peak", 8), ("night", 8), ("unknown", 1)]
    assert warehouse.read("SELECT DISTINCT cutoff_date FROM segments.members").rows() == [(CUTOFF,)]
    comparisons = warehouse.read("SELECT count(*) AS homes, min(peers) AS peers FROM segments.comparisons")
    assert comparisons.rows() == [(16, 7)]
    young = warehouse.read("SELECT DISTINCT site_id, known_days FROM segments.expected_hours")
    assert young.rows() == [("new", 3.0)]
    pages = {
        event.materialization.asset_key.path[-1]: event.materialization.metadata for event in materializations(result)
    }
    assert "data:image/png;base64," in pages["shapes"]["shapes"].value
    assert "is_chosen" in pages["choices"]["evidence"].value

    monkeypatch.setattr(segment_charts, "shapes_png", lambda *_, **__: b"")  # one drawing is enough
    before = warehouse.read("SELECT * FROM segments.choices ORDER BY k")
    run(warehouse)
    assert warehouse.read("SELECT * FROM segments.choices ORDER BY k").equals(before)

    a_week_later = f"UPDATE features.source_clocks SET newest_complete_day = DATE '{CUTOFF + timedelta(days=7)}'"
    with warehouse.transaction() as connection:
        connection.execute(a_week_later)
    run(warehouse)
    drift = warehouse.read("SELECT before_date, changed_share FROM segments.drift")
    assert drift.rows() == [(CUTOFF, 0.0)]


def materializations(result: dg.ExecuteInProcessResult):
    return [event.step_materialization_data for event in result.get_asset_materialization_events()]
