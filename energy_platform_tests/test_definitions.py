"""The Dagster graph as a user meets it: it loads with an empty environment, and every asset is described, grouped, checked."""

import json
import os
import subprocess
import sys

import dagster as dg
import pytest

from energy_platform.definitions import defs

STAGES = {
    "landing", "lake", "staging", "intermediate", "marts", "features", "models", "forecasts", "anomalies", "segments", "published", "reports",
}  # fmt: skip


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return defs()


@pytest.fixture(scope="module")
def graph(definitions: dg.Definitions):
    return definitions.resolve_asset_graph()


def test_every_materializable_asset_has_a_check(graph) -> None:
    checked = {check.asset_key for check in graph.asset_check_keys}
    assert {key.to_user_string() for key in graph.materializable_asset_keys - checked} == set()


def test_every_asset_has_a_description_a_stage_an_owner_and_a_kind(graph) -> None:
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        name = key.to_user_string()
        assert node.description, name
        assert node.group_name in STAGES, name
        assert node.group_name == key.path[0], name
        assert node.owners, name
        assert node.kinds, name


def test_every_asset_has_a_freshness_policy(definitions: dg.Definitions) -> None:
    without = [
        spec.key.to_user_string() for spec in definitions.resolve_all_asset_specs() if spec.freshness_policy is None
    ]
    assert without == []


def test_every_asset_is_in_one_of_the_four_jobs(definitions: dg.Definitions, graph) -> None:
    covered: set[dg.AssetKey] = set()
    for name in ("intake", "train", "forecast", "publish"):
        covered |= set(definitions.resolve_job_def(name).asset_layer.executable_asset_keys)
    assert graph.materializable_asset_keys - covered == set()


def test_the_flow_runs_by_itself_from_the_start(definitions: dg.Definitions) -> None:
    assert definitions.get_schedule_def("daily_flow").default_status == dg.DefaultScheduleStatus.RUNNING
    for name in ("landing_files", "continue_flow", "log_run_failures"):
        assert definitions.get_sensor_def(name).default_status == dg.DefaultSensorStatus.RUNNING, name


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What a process of its own says that loads the graph with an empty environment."""
    code = (
        "import gc, json, sys; from energy_platform.definitions import defs; assets = len(list(defs().resolve_all_asset_specs()));"
        "print(json.dumps({'assets': assets, 'modules': sorted(sys.modules), 'frozen': gc.get_freeze_count(), "
        "'collects': gc.isenabled()}))"
    )
    home = tmp_path_factory.mktemp("empty")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=home, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_the_graph_loads_with_an_empty_environment(loaded: dict) -> None:
    assert loaded["assets"] >= 15


def test_loading_the_definitions_does_not_import_the_heavy_libraries(loaded: dict) -> None:
    heavy = {"mlflow", "lightgbm", "prophet", "great_expectations", "sklearn", "altair", "opendsm"}
    assert heavy & set(loaded["modules"]) == set()


def test_what_the_definitions_import_is_not_collected_again_and_what_follows_is(loaded: dict) -> None:
    assert loaded["frozen"] > 100_000
    assert loaded["collects"]
