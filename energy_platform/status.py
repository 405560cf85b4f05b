"""What the platform holds: the figures behind ``energy status`` and the table after ``energy run``.

Everything comes from the published generation and from Dagster's own records, so asking is
possible at any time, also while a run writes.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import dagster as dg

from energy_platform.adapters.published import Generation
from energy_platform.defs.plan import FLOW_TAG
from energy_platform.domain.errors import UnknownSource
from energy_platform.domain.flow_plan import monday_of
from energy_platform.flow import stage_of
from energy_platform.instance import open_instance
from energy_platform.serving.published import open_published
from energy_platform.settings import Settings

# Energy is over the readings in use, corrections counted once; weather has no energy.
SOURCES_SQL = """
WITH newest AS (
    SELECT source, max(newest_interval_start_utc) AS newest_reading_utc, count(DISTINCT meter_id) AS meters,
           sum(total_kwh) AS energy_kwh
    FROM marts.channel_summaries GROUP BY source
)
SELECT files.source, count(*) AS files, count(*) FILTER (WHERE status = 'failed') AS files_failed,
       sum(rows_read)::BIGINT AS rows_read, sum(rows_accepted)::BIGINT AS rows_accepted,
       sum(rows_rejected)::BIGINT AS rows_rejected, sum(rows_duplicate)::BIGINT AS rows_duplicate,
       sum(rows_superseding)::BIGINT AS rows_superseding, any_value(newest.energy_kwh) AS energy_kwh,
       coalesce(any_value(newest.meters), 0)::BIGINT AS meters, any_value(newest.newest_reading_utc) AS newest_reading_utc
FROM lake.files AS files LEFT JOIN newest ON newest.source = files.source
GROUP BY files.source ORDER BY files.source
"""
TOTALS_SQL = """
SELECT (SELECT count(*) FROM lake.files) AS files, (SELECT coalesce(sum(rows_read), 0)::BIGINT FROM lake.files
        WHERE source NOT IN (SELECT source FROM lake.files JOIN lake.weather USING (file_id))) AS readings_read,
       (SELECT coalesce(sum(rows_rejected), 0)::BIGINT FROM lake.files) AS rejected,
       (SELECT count(DISTINCT meter_id) FROM lake.meters) AS meters,
       (SELECT count(*) FROM marts.meter_days) AS meter_days,
       (SELECT count(*) FROM forecasts.meter_days) AS forecast_rows,
       (SELECT count(*) FROM anomalies.scores) AS anomalies
"""
SKILL_SQL = """
SELECT 1 - sum(mae_kwh * meter_days) FILTER (WHERE model = ?)
         / nullif(sum(mae_kwh * meter_days) FILTER (WHERE model = 'seasonal_naive'), 0) AS skill
FROM forecasts.scores
"""
MODELS_SQL = """
SELECT model, model_version, cutoff_date, is_champion, backtest_mae_kwh, naive_mae_kwh, reason
FROM models.decisions ORDER BY cutoff_date DESC, model LIMIT 20
"""


def status(settings: Settings) -> dict[str, Any]:
    """Sources, totals, models, champion and the last run, as ``energy status --json`` prints them.

    Raises:
        NothingPublished: nothing has been run yet.
    """
    generation = open_published(settings).current()
    issued = champion(generation)
    skill = {"skill": None} if issued is None else _rows(generation, SKILL_SQL, issued["model"])[0]
    return {
        "home": str(settings.home_path),
        "generation": generation.generation_id,
        "published_at_utc": generation.created_at_utc.isoformat(),
        "sources": {row.pop("source"): row for row in _rows(generation, SOURCES_SQL)},
        "totals": _rows(generation, TOTALS_SQL)[0] | skill,
        "failed_files": _rows(generation, "SELECT uri, error FROM lake.files WHERE status = 'failed' ORDER BY file_id"),
        "models": _rows(generation, MODELS_SQL),
        "champion": issued,
        "last_run": last_run(settings),
    }


def champion(generation: Generation) -> dict[str, Any] | None:
    """Model, version and cutoff of the newest decision, or None when seasonal naive is what is issued."""
    sql = (
        "SELECT model, model_version, cutoff_date, is_champion FROM models.decisions ORDER BY cutoff_date DESC LIMIT 1"
    )
    rows = _rows(generation, sql)
    return rows[0] if rows and rows[0].pop("is_champion") else None


def last_run(settings: Settings) -> dict[str, Any] | None:
    """The last flow by Dagster's records: its runs, whether all succeeded, seconds by stage."""
    with open_instance(settings) as instance:
        newest = instance.get_run_records(limit=1)
        if not newest:
            return None
        run = newest[0].dagster_run
        flow_id = run.tags.get(FLOW_TAG, run.run_id)
        begun = instance.get_run_records(dg.RunsFilter(run_ids=[flow_id]))
        records = [*begun, *instance.get_run_records(dg.RunsFilter(tags={FLOW_TAG: flow_id}))]
        seconds: dict[str, float] = {}
        for record in records:
            for stage, taken in _step_seconds(instance, record.dagster_run.run_id).items():
                seconds[stage] = round(seconds.get(stage, 0.0) + taken, 3)
        starts = [record.start_time for record in records if record.start_time]
        ends = [record.end_time for record in records if record.end_time]
        return {
            "flow_id": flow_id,
            "runs": len(records),
            "succeeded": all(record.dagster_run.is_success for record in records),
            "seconds": round(max(ends) - min(starts), 3) if starts and ends else None,
            "seconds_by_stage": seconds,
        }


def _step_seconds(instance: dg.DagsterInstance, run_id: str) -> Mapping[str, float]:
    """Seconds of the steps of one run by the stage that each step's materializations belong to."""
    stages: dict[str, set[str]] = {}
    for record in instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION).records:
        event = record.event_log_entry.dagster_event
        if event is not None and event.asset_key is not None and event.step_key is not None:
            stages.setdefault(event.step_key, set()).add(event.asset_key.path[0])
    seconds: dict[str, float] = {}
    for step in instance.get_run_step_stats(run_id):
        if step.start_time and step.end_time:
            stage = stage_of(stages.get(step.step_key, set()))
            seconds[stage] = seconds.get(stage, 0.0) + step.end_time - step.start_time
    return seconds


def _rows(generation: Generation, sql: str, *params: object) -> list[dict[str, Any]]:
    with generation.connect() as connection:
        rows: list[dict[str, Any]] = connection.execute(sql, list(params)).pl().to_dicts()
        return rows


def backtest_cutoffs(settings: Settings, *, weeks: int, source: str | None) -> tuple[date, ...]:
    """The newest weekly cutoffs whose seven days have actuals, oldest first.

    Args:
        settings: where the state is.
        weeks: how many.
        source: the source whose newest complete day counts; the newest of all without it.

    Raises:
        UnknownSource: no data of that source has been published.
    """
    clocks = _rows(open_published(settings).current(), "SELECT source, newest_complete_day FROM features.source_clocks")
    chosen = [row["newest_complete_day"] for row in clocks if source in {None, row["source"]}]
    if not chosen:
        raise UnknownSource(source or "", known=[row["source"] for row in clocks])
    last = monday_of(max(chosen) - timedelta(days=6))
    return tuple(last - timedelta(days=7 * back) for back in reversed(range(weeks)))
