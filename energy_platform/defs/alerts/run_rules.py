"""Finished runs as signals: jobs that fail, checks that fail, models that drift, and assets that nobody made in time.

Belongs here: reading Dagster's own records. Does not belong here: who is told (domain/alerts).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from energy_platform.adapters.alert_rules import RuleSet
from energy_platform.defs.failures import step_error_text
from energy_platform.domain.alerts.records import Episode, Severity, Signal, Subject
from energy_platform.domain.alerts.rules import (
    CheckFailureRule,
    FreshnessRule,
    JobFailureRule,
    ModelDriftRule,
    fits,
)

DRIFT_CHECK = "models_have_not_drifted"
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
MOST_TEXT = 600
MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run that ended, with what its steps and checks said."""

    job: str
    run_id: str
    ended_at_utc: datetime
    updated_at_utc: datetime
    is_failure: bool
    errors: tuple[str, ...]
    checks: tuple[dg.AssetCheckEvaluation, ...]


def finished_runs(instance: dg.DagsterInstance, *, after_utc: datetime, limit: int = 50) -> list[FinishedRun]:
    """Runs that ended after a time, oldest first."""
    filters = dg.RunsFilter(statuses=ENDED, updated_after=after_utc.replace(tzinfo=UTC))
    records = instance.get_run_records(filters, limit=limit, order_by="update_timestamp", ascending=True)
    return [_finished(instance, record) for record in records]


def judge_runs(rules: RuleSet, runs: Iterable[FinishedRun]) -> list[Signal]:
    """The signals of rules on runs and checks, in order of time."""
    return [signal for run in runs for signal in (*_of_job(rules, run), *_of_checks(rules, run))]


def judge_freshness(
    rules: RuleSet,
    late: Sequence[tuple[str, float, float]],
    episodes: Sequence[Episode],
    *,
    now_utc: datetime,
) -> list[Signal]:
    """One signal for all late assets together: when the flow stands still, all of them are late.

    Args:
        rules: those that hold.
        late: asset, hours since it was made, hours that its policy allows.
        episodes: open ones of these rules.
        now_utc: the time on the wall.
    """
    signals: list[Signal] = []
    for rule in rules.of(FreshnessRule):
        mine = sorted((hours - allowed, name, hours) for name, hours, allowed in late if fits(rule.assets, name))
        subject = Subject("assets that are late")
        if mine:
            _, oldest, hours = mine[-1]
            named = ", ".join(name for _, name, _ in mine[:MOST_NAMED]) + (" …" if len(mine) > MOST_NAMED else "")
            text = f"{len(mine)} assets are later than they may be; {oldest} was last made {hours:.0f} hours ago."
            when, link = now_utc.replace(minute=0, second=0, microsecond=0), f"/assets/{oldest}"
            facts = {"assets": named}
            signals.append(
                Signal(rule.name, rule.severity, subject, True, when, rule.title, text, evidence=facts, link=link)
            )
        elif any(episode.rule == rule.name for episode in episodes):
            text = "All of them are in time again."
            signals.append(Signal(rule.name, rule.severity, subject, False, now_utc, rule.title, text, link="/assets"))
    return signals


def late_assets(
    instance: dg.DagsterInstance, specs: Iterable[dg.AssetSpec], *, now_utc: datetime
) -> list[tuple[str, float, float]]:
    """Assets later than the window of their freshness policy: name, hours since they were made, hours allowed.

    What was never made is not late: nobody has begun.
    """
    windows = {spec.key: getattr(spec.freshness_policy, "fail_window", None) for spec in specs}
    allowed: dict[dg.AssetKey, timedelta] = {
        key: window.to_timedelta() for key, window in windows.items() if window is not None
    }
    late = []
    for record in instance.get_asset_records(list(allowed)):
        event = record.asset_entry.last_materialization_record
        if event is None:
            continue
        age = now_utc - _utc(event.timestamp)
        key = record.asset_entry.asset_key
        if age > allowed[key]:
            late.append((key.to_user_string(), age.total_seconds() / 3600, allowed[key].total_seconds() / 3600))
    return late


def _of_job(rules: RuleSet, run: FinishedRun) -> list[Signal]:
    subject = Subject(f"job {run.job}")
    text = " ".join(run.errors)[:MOST_TEXT] if run.is_failure else f"A later run of {run.job} succeeded."
    return [
        Signal(
            rule.name,
            rule.severity,
            subject,
            is_breach=run.is_failure,
            at_utc=run.ended_at_utc,
            title=f"{rule.title}: {run.job}",
            text=text or "No step says why.",
            evidence={"run": run.run_id},
            link=f"/runs/{run.run_id}",
        )
        for rule in rules.of(JobFailureRule)
        if fits(rule.jobs, run.job)
    ]


def _of_checks(rules: RuleSet, run: FinishedRun) -> list[Signal]:
    signals: list[Signal] = []
    for check in run.checks:
        asset = check.asset_key.to_user_string()
        name = f"{asset}:{check.check_name}"
        for rule in rules.of(CheckFailureRule, ModelDriftRule):
            is_drift = check.check_name == DRIFT_CHECK
            if isinstance(rule, ModelDriftRule) != is_drift:
                continue
            is_counted = check.severity is dg.AssetCheckSeverity.ERROR
            if isinstance(rule, CheckFailureRule):
                if not fits(rule.checks, name):
                    continue
                is_counted = is_counted or rule.including_warnings
            is_breach = not check.passed and (is_counted or is_drift)
            words = (check.description or "It says nothing more.") if is_breach else "It passes again."
            signals.append(
                Signal(
                    rule.name,
                    rule.severity if is_counted or is_drift else Severity.INFO,
                    Subject(f"check {name}"),
                    is_breach=is_breach,
                    at_utc=run.ended_at_utc,
                    title=f"{rule.title}: {name}",
                    text=words[:MOST_TEXT],
                    evidence={"run": run.run_id},
                    link=f"/assets/{asset}?view=checks",
                )
            )
    return signals


def _finished(instance: dg.DagsterInstance, record: dg.RunRecord) -> FinishedRun:
    run = record.dagster_run
    failures = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
    checks = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
    events = [each.event_log_entry.dagster_event for each in failures]
    said = [each.event_log_entry.asset_check_evaluation for each in checks]
    ended = record.end_time or record.update_timestamp.replace(tzinfo=UTC).timestamp()
    return FinishedRun(
        run.job_name,
        run.run_id,
        _utc(ended),
        record.update_timestamp.replace(tzinfo=None),
        run.status is dg.DagsterRunStatus.FAILURE,
        tuple(f"Step {event.step_key}: {step_error_text(event)}" for event in events if event is not None),
        tuple(each for each in said if each is not None),
    )


def _utc(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, tz=UTC).replace(tzinfo=None)
