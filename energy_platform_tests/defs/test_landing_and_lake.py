"""The stages landing and lake in Dagster: what a run writes, what its checks stop, what the sensor asks for."""

import os
from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest

from energy_platform.adapters.landing import Landing
from energy_platform.defs.lake.assets import DESCRIPTIONS, lake
from energy_platform.defs.lake.checks import lake_checks
from energy_platform.defs.landing.assets import landed_files_are_unchanged, landing_files
from energy_platform.defs.landing.sensors import landing_files_sensor
from energy_platform.defs.resources import defs as resources
from energy_platform.settings import Settings
from energy_platform_tests.conftest import using_home
from energy_platform_tests.lake_files import Lake, half_hours, lcl_line

DAY = datetime(2013, 6, 1)


@pytest.fixture
def settings(tmp_path: Path):
    with using_home(tmp_path) as settings:
        yield settings


def _put(settings: Settings, name: str, lines: list[str]) -> None:
    path = Lake(settings.home_path).put_lcl(name, lines)
    os.utime(path, (0, 1_700_000_000))


def _run(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    definitions = dg.Definitions.merge(
        resources,
        dg.Definitions(assets=[landing_files, lake], asset_checks=[landed_files_are_unchanged, lake_checks]),
    )
    return definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance, raise_on_error=False
    )


def test_a_run_loads_what_landed_and_every_check_passes(settings: Settings) -> None:
    _put(settings, "a.csv", [*(lcl_line("M1", stamp, 1) for stamp in half_hours(DAY, 48)), lcl_line("M1", DAY, "Null")])
    _put(settings, "b.csv", ["M1,Std,June 1st 2013,1,A,B"])
    with dg.DagsterInstance.ephemeral() as instance:
        result = _run(instance)
        checks = result.get_asset_check_evaluations()
        assert result.success
        assert [check.check_name for check in checks if not check.passed] == []
        assert len(checks) == len(DESCRIPTIONS) + 2
        files = result.asset_materializations_for_node("lake")[0]
        readings = result.asset_materializations_for_node("lake")[1]
    assert readings.metadata["dagster/row_count"].value == 48
    assert files.metadata["failed_files"].value == 1
    assert "lcl/b.csv" in files.metadata["this_load"].value


def test_a_ledger_that_does_not_add_up_stops_what_follows(settings: Settings) -> None:
    _put(settings, "a.csv", [lcl_line("M1", DAY, 1)])
    with dg.DagsterInstance.ephemeral() as instance:
        assert _run(instance).success
        warehouse = Lake(settings.home_path).warehouse
        # the file that Lake writes to and the one that the settings name are the same
        assert warehouse.path == settings.warehouse_path
        with warehouse.transaction() as connection:
            connection.execute("DELETE FROM lake.reading_rows")
        result = _run(instance)
        failed = {check.check_name for check in result.get_asset_check_evaluations() if not check.passed}
    assert failed == {"every_row_is_accounted_for"}


def _tick(instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
    with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
        return landing_files_sensor(context)


def test_the_sensor_asks_once_for_new_files_and_not_for_loaded_ones(settings: Settings) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert isinstance(_tick(instance), dg.SkipReason)
        _put(settings, "a.csv", [lcl_line("M1", DAY, 1)])
        asked = _tick(instance)
        assert isinstance(asked, dg.SensorResult)
        assert asked.run_requests
        assert isinstance(_tick(instance, asked.cursor), dg.SkipReason)
        assert _tick(instance).run_requests[0].run_key == asked.run_requests[0].run_key, "a lost cursor asks the same"
        _run(instance)
        assert isinstance(_tick(instance), dg.SkipReason), "a run by another way has loaded it"
        _put(settings, "b.csv", [lcl_line("M1", DAY, 2)])
        again = _tick(instance, asked.cursor)
        assert again.run_requests[0].run_key != asked.run_requests[0].run_key


def test_the_sensor_waits_while_a_file_grows_and_does_not_see_unfinished_ones(settings: Settings) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        path = Lake(settings.home_path).put_lcl("a.csv", [])
        assert "whole" in (_tick(instance).skip_message or "")
        path.rename(path.with_name("a.csv.part"))
        assert "nothing has landed" in (_tick(instance).skip_message or "")


def test_the_landing_check_warns_of_a_file_that_is_gone(settings: Settings) -> None:
    _put(settings, "a.csv", [lcl_line("M1", DAY, 1)])
    landing = Landing(settings.landing_path)
    assert landed_files_are_unchanged(landing).passed
    landing.files()[0].path.unlink()
    assert not landed_files_are_unchanged(landing).passed
