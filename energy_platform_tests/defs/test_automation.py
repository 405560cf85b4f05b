"""What the scheduler does after an intake: the same cutoffs as `energy run`, in the order train, forecast, publish."""

from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest

from energy_platform.definitions import defs
from energy_platform.defs.automation import continue_flow, log_run_failures
from energy_platform.flow import _Runner, land
from energy_platform.instance import open_instance
from energy_platform_tests.conftest import using_home
from energy_platform_tests.test_flow import half_hours, lcl_file


def test_a_finished_intake_is_continued_with_the_cutoffs_that_are_due(tmp_path: Path) -> None:
    path = lcl_file(tmp_path / "one.csv", half_hours(datetime(2013, 5, 1), days=10))
    with using_home(tmp_path / "home", ENERGY_LOOKBACK_WEEKS="1") as settings, open_instance(settings) as instance:
        land(settings, source="lcl", path=path)
        _Runner(instance, lambda *_: None).run("intake")
        run = instance.get_runs(limit=1)[0]
        event = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.RUN_SUCCESS).records[0]
        context = dg.build_run_status_sensor_context(
            sensor_name="continue_flow",
            dagster_event=event.event_log_entry.dagster_event,
            dagster_instance=instance,
            dagster_run=run,
        )
        requests = list(continue_flow(context))
    assert [request.job_name for request in requests] == ["train", "forecast", "publish"]
    assert requests[0].tags["dagster/asset_partition_range_start"] == "2013-04-29"
    assert requests[0].tags["dagster/asset_partition_range_end"] == "2013-05-06"
    # Ten whole UTC days end at 01:00 local summer time: the tenth local day is the newest complete one.
    assert requests[1].tags["dagster/asset_partition_range_start"] == "2013-05-04"
    assert requests[1].tags["dagster/asset_partition_range_end"] == "2013-05-11"
    priorities = [int(request.tags["dagster/priority"]) for request in requests]
    assert priorities == sorted(priorities, reverse=True)
    assert {request.tags["energy/flow"] for request in requests} == {run.run_id}


def test_a_failed_run_is_logged_with_its_step_and_error(capfd: pytest.CaptureFixture[str]) -> None:
    @dg.op
    def breaks() -> None:
        raise ValueError("the meter is on fire")

    @dg.job
    def broken() -> None:
        breaks()

    with dg.DagsterInstance.ephemeral() as instance:
        result = broken.execute_in_process(instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor_name="log_run_failures",
            dagster_event=result.get_run_failure_event()
            if hasattr(result, "get_run_failure_event")
            else result.all_events[-1],
            dagster_instance=instance,
            dagster_run=result.dagster_run,
        ).for_run_failure()
        log_run_failures(context)
    logged = [line for line in capfd.readouterr().err.splitlines() if " - dagster - ERROR - " in line]
    assert any("job broken failed" in line for line in logged)
    assert any("step breaks" in line and "the meter is on fire" in line for line in logged)


def test_the_daily_schedule_starts_the_intake() -> None:
    schedule = defs().get_schedule_def("daily_flow")
    assert schedule.job_name == "intake"
    assert schedule.cron_schedule == "30 5 * * *"
