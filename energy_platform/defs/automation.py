"""Jobs, schedules and sensors of the whole flow, by name.

Four jobs, run in this order: ``intake`` (landing to features), ``train`` (weekly cutoffs),
``forecast`` (daily cutoffs), ``publish`` (scores, anomalies, published, reports). A partitioned
and an unpartitioned step cannot share a run, so a sensor continues a finished intake with the
cutoffs that are due. Sensors that watch one stage live with that stage.
"""

from collections.abc import Iterator

import dagster as dg

from energy_platform.defs.failures import step_error_text
from energy_platform.defs.partitions import daily_cutoffs, weekly_cutoffs
from energy_platform.defs.plan import FLOW_TAG, due_plan, range_tags
from energy_platform.serving.published import open_published
from energy_platform.settings import get_settings

# Quiet on the command line: the event log keeps everything, the terminal shows the summary.
QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
PRIORITY = "dagster/priority"

intake_selection = dg.AssetSelection.groups("landing", "lake", "staging", "intermediate", "marts", "features")
detector_selection = dg.AssetSelection.assets(["anomalies", "detectors"], ["anomalies", "records"])
train_selection = dg.AssetSelection.groups("models") | detector_selection
forecast_selection = dg.AssetSelection.assets(
    *(["forecasts", name] for name in ("meter_days", "not_issued", "drivers", "fleet_hours"))
)
publish_selection = (
    dg.AssetSelection.groups("forecasts", "anomalies", "segments", "published", "reports")
    - forecast_selection
    - detector_selection
)

intake = dg.define_asset_job("intake", intake_selection, description="New files: landing, lake, marts, features.")
train = dg.define_asset_job(
    "train", train_selection, partitions_def=weekly_cutoffs, description="Backtest, train, decide for weekly cutoffs."
)
forecast = dg.define_asset_job(
    "forecast",
    forecast_selection,
    partitions_def=daily_cutoffs,
    description="Issue forecasts for daily cutoffs: 7 days of meters, 48 h of fleets.",
)
publish = dg.define_asset_job(
    "publish", publish_selection, description="Score, look for anomalies, publish, write the report."
)

# 05:30 UTC: the day is over everywhere in Europe and Africa, and the result is there for breakfast.
# Elsewhere move it; nothing depends on the hour.
daily_flow = dg.ScheduleDefinition(
    name="daily_flow",
    job=intake,
    cron_schedule="30 5 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="The whole flow once a day: this intake, continued by the sensor continue_flow.",
)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    name="continue_flow",
    monitored_jobs=[intake],
    request_jobs=[train, forecast, publish],
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=15,
)
def continue_flow(context: dg.RunStatusSensorContext) -> Iterator[dg.RunRequest]:
    """Train, forecast and publish what a finished intake made due.

    All are requested at once; the queue runs one at a time, higher priority first.
    """
    settings = get_settings()
    plan = due_plan(context.instance, open_published(settings), weeks=settings.lookback_weeks)
    origin = context.dagster_run.run_id
    flow = {FLOW_TAG: origin}
    for first, last in plan.weekly_runs:
        tags = {**range_tags(first, last), **flow, PRIORITY: "30"}
        yield dg.RunRequest(run_key=f"{origin}-train-{first}", job_name="train", tags=tags)
    for first, last in plan.daily_runs:
        tags = {**range_tags(first, last), **flow, PRIORITY: "20"}
        yield dg.RunRequest(run_key=f"{origin}-forecast-{first}", job_name="forecast", tags=tags)
    yield dg.RunRequest(run_key=f"{origin}-publish", job_name="publish", tags={**flow, PRIORITY: "10"})


@dg.run_failure_sensor(name="log_run_failures", default_status=dg.DefaultSensorStatus.RUNNING)
def log_run_failures(context: dg.RunFailureSensorContext) -> None:
    """Write each failed run to the daemon's log with the step and its error."""
    run = context.dagster_run
    context.log.error("run %s of job %s failed: %s", run.run_id, run.job_name, context.failure_event.message)
    for event in context.get_step_failure_events():
        context.log.error("step %s: %s", event.step_key, step_error_text(event))


defs = dg.Definitions(
    jobs=[intake, train, forecast, publish],
    schedules=[daily_flow],
    sensors=[continue_flow, log_run_failures],
)
