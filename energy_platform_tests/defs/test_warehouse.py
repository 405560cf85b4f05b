"""The dbt project in Dagster: keys, checks, row counts, a failing test that fails the run, a manifest never stale."""

import os
import shutil
from pathlib import Path

import dagster as dg
import pytest

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.warehouse import project
from energy_platform.defs.warehouse.assets import dbt_models
from energy_platform.domain.columns import TABLES
from energy_platform.domain.errors import SetupIncomplete
from energy_platform.settings import Settings
from energy_platform_tests.builders import load_file, make_readings


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    # export_for_dbt writes them; setting them here first makes pytest take them back afterwards.
    for name in ("ENERGY_WAREHOUSE_PATH", "ENERGY_MEMORY_LIMIT", "ENERGY_THREADS"):
        monkeypatch.setenv(name, os.environ.get(name, "2"))


def build(settings: Settings) -> dg.ExecuteInProcessResult:
    warehouse = Warehouse(settings.warehouse_path, memory_limit="512MiB", threads=2, linger_seconds=60)
    resources = {
        "settings": dg.ResourceDefinition.hardcoded_resource(settings),
        "warehouse": dg.ResourceDefinition.hardcoded_resource(warehouse),
    }
    return dg.materialize([dbt_models], resources=resources, raise_on_error=False)


def test_every_model_is_an_asset_of_its_layer_and_every_asset_is_checked() -> None:
    specs = list(dbt_models.specs)
    assert {spec.key.path[0] for spec in specs} == {"staging", "intermediate", "marts"}
    assert all(spec.group_name == spec.key.path[0] for spec in specs)
    assert all(spec.description.startswith("One row per") and list(spec.owners) for spec in specs)
    assert {spec.key.path[1] for spec in specs if spec.group_name == "marts"} == {
        table.name for table in TABLES if table.schema == "marts"
    }
    checked = {check.asset_key for check in dbt_models.check_specs}
    assert {spec.key for spec in specs} <= checked
    assert {dg.AssetKey(["lake", name]) for name in ("reading_rows", "day_loads", "meters")} <= checked
    assert dbt_models.op.pool == "warehouse"


def test_every_dbt_test_is_an_asset_check() -> None:
    from energy_platform.defs.warehouse.assets import MANIFEST

    tests = [node for node in MANIFEST["nodes"].values() if node["resource_type"] == "test"]
    assert len(tests) == len(list(dbt_models.check_specs)) > 30


@pytest.mark.slow
def test_a_build_counts_rows_and_a_failing_test_fails_the_run(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, memory_limit="512MiB", threads=2)
    warehouse = Warehouse(settings.warehouse_path, memory_limit="512MiB", threads=2)
    load_file(warehouse, make_readings(seed=1, days=3, gap_share=0))
    good = build(settings)
    assert good.success
    counted = {
        event.asset_key.path[-1]: event.materialization.metadata["dagster/row_count"].value
        for event in good.get_asset_materialization_events()
        if "dagster/row_count" in event.materialization.metadata
    }
    assert counted["meter_days"] == 3
    assert counted["channel_summaries"] == 1
    assert all(check.passed for check in good.get_asset_check_evaluations())
    # The step after dbt finds the file as open as dbt had it.
    assert (tmp_path / "warehouse.duckdb.wal").exists()

    # Not a number of kWh: the check on the lake table fails, and what stands below it keeps its last good rows.
    with warehouse.connect() as connection:
        connection.execute(
            "UPDATE lake.reading_rows SET energy_kwh = 'inf' WHERE interval_start_utc = '2013-03-25 12:00'"
        )
    bad = build(settings)
    assert not bad.success
    failed = [check for check in bad.get_asset_check_evaluations() if not check.passed]
    assert [check.asset_key.path for check in failed] == [["lake", "reading_rows"]]
    assert "meter_days" not in {event.asset_key.path[-1] for event in bad.get_asset_materialization_events()}
    assert warehouse.read("SELECT count(*) AS n FROM marts.meter_days WHERE isfinite(energy_kwh)")["n"][0] == 3
    assert [path.name for path in (tmp_path / "dbt").iterdir()] == ["target"]
    warehouse.let_go()


@pytest.mark.slow
def test_a_changed_project_is_parsed_again_and_a_broken_one_says_what_is_wrong(tmp_path: Path) -> None:
    copy = tmp_path / "dbt_project"
    shutil.copytree(project.PROJECT_DIR, copy, ignore=shutil.ignore_patterns("target", "logs"))
    target = copy / "target"
    manifest = project.current_manifest(copy, target)
    first = manifest.stat().st_mtime_ns
    assert project.current_manifest(copy, target).stat().st_mtime_ns == first
    model = copy / "models" / "marts" / "fleet_half_hours.sql"
    model.write_text("select * from {{ ref('no_such_model') }}")
    os.utime(model, ns=(first + 10**9, first + 10**9))
    with pytest.raises(SetupIncomplete, match="no_such_model"):
        project.current_manifest(copy, target)
    assert sorted(path.name for path in target.iterdir()) == ["manifest.json", "partial_parse.msgpack"]
