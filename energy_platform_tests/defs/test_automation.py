"""What starts by itself and what a failure leaves in the log; how an intake is continued is in e2e/test_upload_to_report.py."""

import dagster as dg
import pytest

from energy_platform.definitions import defs
from energy_platform.defs.automation import log_run_failures


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
