"""What rules on published tables look at, read from one generation and handed to domain/alerts.

Belongs here: which table and which of its newest days. Does not belong here: what breaks a rule (domain/alerts/batch.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import polars as pl

from energy_platform.adapters.alert_rules import RuleSet
from energy_platform.adapters.published import Generation
from energy_platform.domain.alerts.batch import anomalies, data_quality, outside_bands
from energy_platform.domain.alerts.budgets import budget_signals, outlooks
from energy_platform.domain.alerts.records import Episode, Signal
from energy_platform.domain.alerts.rules import AnomalyRule, BudgetRule, DataQualityRule, ForecastBandRule
from energy_platform.domain.columns import FILES, FORECASTS, METER_DAYS
from energy_platform.domain.columns.anomalies import SEVERITIES

WHOLE = 0.99
EpisodesOf = Callable[[str], Sequence[Episode]]
"""Episodes of a rule by its name, those that are over included."""


def judge_published(
    rules: RuleSet, generation: Generation, episodes_of: EpisodesOf, *, now_utc: datetime
) -> list[Signal]:
    """The signals of every rule on published tables."""
    judges: dict[type, Callable[..., list[Signal]]] = {
        ForecastBandRule: _bands,
        AnomalyRule: _anomalies,
        BudgetRule: _budgets,
        DataQualityRule: _quality,
    }
    wanted = [(rule, judge) for kind, judge in judges.items() for rule in rules.of(kind)]
    if not wanted:
        return []
    with generation.connect() as connection:
        look = _Look(connection, generation.tables)
        return [
            signal
            for rule, judge in wanted
            for signal in judge(rule, look, episodes_of(rule.name), now_utc - timedelta(days=rule.max_age_days))
        ]


class _Look:
    """Queries over a generation; a table that is not published has no rows."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, tables: Mapping[str, int]) -> None:
        self._connection, self._tables = connection, tables

    def has(self, *tables: str) -> bool:
        """Whether all of them are published."""
        return all(table in self._tables for table in tables)

    def rows(self, sql: str, *values: Any) -> pl.DataFrame:
        """The rows of a query."""
        found: pl.DataFrame = self._connection.execute(sql, list(values)).pl()
        return found


def _bands(rule: ForecastBandRule, look: _Look, episodes: Sequence[Episode], since: datetime) -> list[Signal]:
    if not look.has(METER_DAYS.full_name, FORECASTS.full_name):
        return []
    days = look.rows(
        f"""
        SELECT d.meter_id, d.channel, d.site_id, d.commodity, d.local_date, d.energy_kwh, f.p10_kwh, f.p90_kwh
        FROM {METER_DAYS.full_name} AS d
        JOIN {FORECASTS.full_name} AS f USING (meter_id, channel, local_date)
        WHERE f.is_issued AND f.lead_days = 1 AND d.completeness >= ? AND d.local_date >= ?
        """,
        WHOLE,
        since.date(),
    )
    return outside_bands(rule, days, _open(episodes))


def _anomalies(rule: AnomalyRule, look: _Look, episodes: Sequence[Episode], since: datetime) -> list[Signal]:
    if not look.has(SEVERITIES.full_name):
        return []
    days = look.rows(
        f"""
        SELECT s.meter_id, s.channel, m.site_id, s.local_date, s.false_alarm_share, s.cause, s.value, s.expected, s.reason,
            s.similar_days
        FROM {SEVERITIES.full_name} AS s JOIN lake.meters AS m USING (meter_id, channel)
        WHERE s.is_anomalous AND s.may_page AND s.local_date >= ?
        """,
        since.date(),
    )
    newest = look.rows(
        f"SELECT meter_id || '/' || channel AS name, max(local_date) AS newest FROM {METER_DAYS.full_name} "
        "WHERE completeness >= ? AND local_date >= ? GROUP BY ALL",
        WHOLE,
        since.date(),
    )
    by_name: dict[str, date] = dict(newest.iter_rows())
    return anomalies(rule, days, by_name, episodes)


def _budgets(rule: BudgetRule, look: _Look, episodes: Sequence[Episode], since: datetime) -> list[Signal]:
    if not look.has(METER_DAYS.full_name, FORECASTS.full_name):
        return []
    days = look.rows(
        f"""
        SELECT site_id, local_date, sum(energy_kwh) AS energy_kwh FROM {METER_DAYS.full_name}
        WHERE commodity = ? AND local_date >= ? GROUP BY site_id, local_date
        QUALIFY max(local_date) OVER (PARTITION BY site_id) >= ?
        """,
        rule.commodity,
        since.date() - timedelta(days=31 * rule.period_months),
        since.date(),
    )
    forecasts = look.rows(
        f"""
        SELECT m.site_id, f.local_date, f.p50_kwh
        FROM {FORECASTS.full_name} AS f JOIN lake.meters AS m USING (meter_id, channel)
        WHERE f.is_issued AND f.commodity = ? AND f.cutoff_date >= ?
        QUALIFY f.cutoff_date = max(f.cutoff_date) OVER (PARTITION BY f.meter_id, f.channel)
        """,
        rule.commodity,
        since.date(),
    )
    by_site = forecasts.group_by("site_id", "local_date").agg(pl.col("p50_kwh").sum())
    return budget_signals(rule, outlooks(days, by_site, months=rule.period_months), _open(episodes))


def _quality(rule: DataQualityRule, look: _Look, episodes: Sequence[Episode], since: datetime) -> list[Signal]:
    files = look.rows(
        f"SELECT source, loaded_at_utc, rows_read, rows_rejected, uri FROM {FILES.full_name} WHERE loaded_at_utc >= ? "
        "QUALIFY loaded_at_utc::DATE >= max(loaded_at_utc::DATE) OVER (PARTITION BY source) - ?::INTEGER + 1",
        since,
        rule.days,
    )
    days = look.rows(
        f"SELECT source, local_date, avg(completeness) AS completeness FROM {METER_DAYS.full_name} "
        "WHERE local_date >= ? GROUP BY ALL",
        since.date(),
    )
    return data_quality(rule, files, days, _open(episodes))


def _open(episodes: Sequence[Episode]) -> list[Episode]:
    return [episode for episode in episodes if not episode.is_over]
