"""Sensors that look at rules and deliver messages, and the daily digest.

Belongs here: what each looks at, and when. Does not belong here: rules and states (domain/alerts), reading
(published_rules.py, run_rules.py). They read published generations and Dagster's records, never the warehouse.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import dagster as dg
from pydantic import BaseModel

from energy_platform.adapters.operations.episodes import list_episodes
from energy_platform.adapters.operations.live import list_last_seen
from energy_platform.alerting import open_alerting
from energy_platform.defs.alerts.published_rules import judge_published
from energy_platform.defs.alerts.run_rules import finished_runs, judge_freshness, judge_runs, late_assets
from energy_platform.domain.alerts.batch import silences, without_rule
from energy_platform.domain.alerts.records import Episode, Signal
from energy_platform.domain.alerts.rules import FreshnessRule, SilenceRule
from energy_platform.domain.errors import NothingPublished
from energy_platform.serving.published import open_published
from energy_platform.settings import get_settings
from energy_platform.streaming.alerting import LIVING, Alerting

MOST_EPISODES = 5_000
# A tick may take a minute; a channel that does not answer takes ten seconds.
DELIVER_SECONDS = 25.0


def utc_now() -> datetime:
    """The present, naive UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


@dg.sensor(
    name="alert_rules",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks at silent meters, and at published tables when there is a new generation; delivers messages.",
)
def alert_rules(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Take what the rules on live and published values say to their episodes, and send what is due."""
    now, known = utc_now(), json.loads(context.cursor or "{}")
    with open_alerting(get_settings()) as alerting:
        alerting.look_at_sites(now_utc=now)
        rules = alerting.book.current()
        changes = alerting.take(_silences(alerting, now), now_utc=now)
        holding = {name: rule for name, rule in rules.rules.items() if rule.enabled}
        changes += alerting.take(without_rule(_open_episodes(alerting), holding, now_utc=now), now_utc=now)
        # Once an hour nothing has to be new: a snooze may have ended.
        stamp = {"generation": _newest_generation(), "rules": _fingerprint(holding.values()), "hour": f"{now:%dT%H}"}
        if stamp["generation"] is not None and stamp != known:
            changes += alerting.take(_published(alerting, now), now_utc=now)
        done = alerting.deliver(now_utc=now, seconds=DELIVER_SECONDS)
    context.log.info("%d episodes changed, %d messages delivered, %d failed", len(changes), done.delivered, done.failed)
    return dg.SensorResult(cursor=json.dumps(stamp), skip_reason=dg.SkipReason(_said(len(changes), done.delivered)))


@dg.sensor(
    name="alert_runs",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells of runs and asset checks that fail, models that drift and assets that are late, and of their end.",
)
def alert_runs(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Take what ended runs and late assets say to their episodes, and send what is due."""
    now = utc_now()
    if context.cursor is None:
        return dg.SensorResult(cursor=now.isoformat(), skip_reason=dg.SkipReason("what ends from now on is told of"))
    with open_alerting(get_settings()) as alerting:
        rules = alerting.book.current()
        runs = finished_runs(context.instance, after_utc=datetime.fromisoformat(context.cursor))
        signals = judge_runs(rules, runs)
        if any(rules.of(FreshnessRule)):
            late = late_assets(context.instance, _specs(context), now_utc=now)
            signals += judge_freshness(rules, late, _open_episodes(alerting), now_utc=now)
        changes = alerting.take(signals, now_utc=now)
        done = alerting.deliver(now_utc=now, seconds=DELIVER_SECONDS)
    newest = max([datetime.fromisoformat(context.cursor), *(run.updated_at_utc for run in runs)])
    return dg.SensorResult(cursor=newest.isoformat(), skip_reason=dg.SkipReason(_said(len(changes), done.delivered)))


@dg.op(description="Puts the digest of open and ended alerts into the outbox, once a day and channel, and delivers it.")
def send_alert_digest(context: dg.OpExecutionContext) -> None:
    """Make and send the digest."""
    now = utc_now()
    with open_alerting(get_settings()) as alerting:
        alerting.look_at_sites(now_utc=now)
        keys = alerting.digest(now_utc=now)
        done = alerting.deliver(now_utc=now)
    context.log.info("digest for %d channels; %d messages delivered, %d failed", len(keys), done.delivered, done.failed)


@dg.job(name="alert_digest", description="The daily digest of alerts.")
def alert_digest() -> None:
    """One step: make and send it."""
    send_alert_digest()


# 06:00 UTC: after the daily flow has looked at yesterday.
daily_digest = dg.ScheduleDefinition(
    name="daily_alert_digest",
    job=alert_digest,
    cron_schedule="0 6 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="What is open and what ended since yesterday, to the channels of the digest.",
)


def _silences(alerting: Alerting, now: datetime) -> list[Signal]:
    rules = list(alerting.book.current().of(SilenceRule))
    last_seen = list_last_seen(alerting.operations) if rules else {}
    return [
        signal
        for rule in rules
        for signal in silences(rule, last_seen, _open_episodes(alerting, rule.name), now_utc=now)
    ]


def _published(alerting: Alerting, now: datetime) -> list[Signal]:
    try:
        generation = open_published(get_settings()).current()
    except NothingPublished:
        return []

    def episodes_of(rule: str) -> Sequence[Episode]:
        return list_episodes(alerting.operations, rule=rule, limit=MOST_EPISODES)

    return judge_published(alerting.book.current(), generation, episodes_of, now_utc=now)


def _newest_generation() -> str | None:
    try:
        return open_published(get_settings()).current().generation_id
    except NothingPublished:
        return None


def _open_episodes(alerting: Alerting, rule: str | None = None) -> list[Episode]:
    return list_episodes(alerting.operations, states=LIVING, rule=rule, limit=MOST_EPISODES)


def _specs(context: dg.SensorEvaluationContext) -> Iterable[dg.AssetSpec]:
    repository = context.repository_def
    return [] if repository is None else [node.to_asset_spec() for node in repository.asset_graph.asset_nodes]


def _fingerprint(rules: Iterable[BaseModel]) -> str:
    said = "".join(rule.model_dump_json() for rule in rules)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _said(changes: int, delivered: int) -> str:
    return f"{changes} episodes changed, {delivered} messages delivered"
