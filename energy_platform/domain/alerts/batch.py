"""Rules on what is kept or published: days, files, live meters. Frames in, signals out.

A rule gives a signal for each subject that breaks it and for each open episode of its own that is over. A day is looked
at again and again; its signals carry the same time, so that nothing counts twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

import polars as pl

from energy_platform.domain.alerts.records import Episode, Severity, Signal, Subject
from energy_platform.domain.alerts.rules import (
    AnomalyRule,
    DataQualityRule,
    ForecastBandRule,
    SilenceRule,
    fits,
)
from energy_platform.domain.alerts.words import amount, plain

BAND_LINK = "/assets/forecasts/meter_days"
ANOMALY_LINK = "/assets/anomalies/severities"
FILES_LINK = "/assets/lake/files"
DAYS_LINK = "/assets/marts/meter_days"
LIVE_LINK = "/assets/lake/telemetry"
_NEVER = datetime(1970, 1, 1)


def silences(
    rule: SilenceRule, last_seen: Mapping[str, datetime], episodes: Sequence[Episode], *, now_utc: datetime
) -> list[Signal]:
    """Live meters from which nothing has come for too long, and those that are back.

    Args:
        rule: after how long.
        last_seen: when something came from each live meter last.
        episodes: open ones of the rule.
        now_utc: the time on the wall.
    """
    seen = {meter: at for meter, at in last_seen.items() if fits(rule.meters, meter)}
    signals, after = list[Signal](), timedelta(minutes=rule.after_minutes)
    for meter, at in sorted(seen.items()):
        silent = now_utc - at
        if after < silent <= timedelta(days=rule.forgotten_after_days):
            text = f"Nothing has come from {meter} since {at:%Y-%m-%d %H:%M} UTC, for {_lasting(silent)}."
            signals.append(
                Signal(
                    rule.name,
                    rule.severity,
                    Subject(f"meter {meter}", meter, meter),
                    is_breach=True,
                    at_utc=at + after,
                    title=f"{rule.title}: {meter}",
                    text=text,
                    link=LIVE_LINK,
                )
            )
    back = {f"meter {meter}": max(at, now_utc - after) for meter, at in seen.items()}
    return [*signals, *_ended(episodes, signals, back, default_at=now_utc, text="Something has come from it again.")]


def outside_bands(rule: ForecastBandRule, days: pl.DataFrame, episodes: Sequence[Episode]) -> list[Signal]:
    """Meters whose newest days lie outside what was forecast for them.

    Args:
        rule: how far, and how many of the newest days.
        days: meter_id, channel, site_id, commodity, local_date, energy_kwh, p10_kwh, p90_kwh; one row a day.
        episodes: open ones of the rule.
    """
    margin = rule.beyond_share * (pl.col("p90_kwh") - pl.col("p10_kwh"))
    above = pl.col("energy_kwh") - (pl.col("p90_kwh") + margin)
    below = (pl.col("p10_kwh") - margin) - pl.col("energy_kwh")
    beyond = {"above": above, "below": below, "either": pl.max_horizontal(above, below)}[rule.side]
    if rule.commodity is not None:
        days = days.filter(pl.col("commodity") == rule.commodity)
    judged = (
        days.sort("local_date")
        .with_columns(is_beyond=beyond > 0, is_above=above > below)
        .group_by("meter_id", "channel", "site_id", "commodity", maintain_order=True)
        .agg(pl.all().tail(rule.of_samples), days=pl.len())
    )
    signals: list[Signal] = []
    calm: dict[str, datetime] = {}
    for row in judged.filter(pl.col("days") >= rule.of_samples).iter_rows(named=True):
        if not fits(rule.meters, row["meter_id"]):
            continue
        subject = Subject.of_channel(row["meter_id"], row["channel"], site_id=row["site_id"])
        flagged = [at for at, is_beyond in enumerate(row["is_beyond"]) if is_beyond]
        if not flagged:
            calm[subject.name] = _day_end(row["local_date"][-1])
        elif len(flagged) >= rule.samples:
            signals.append(_band_signal(rule, subject, row, flagged))
    over = f"None of the last {rule.of_samples} days was outside its forecast."
    return [*signals, *_ended(episodes, signals, calm, text=over)]


def anomalies(
    rule: AnomalyRule, days: pl.DataFrame, newest: Mapping[str, date], episodes: Sequence[Episode]
) -> list[Signal]:
    """Anomalies that may page, and those that are over: days have come since, and none was anomalous.

    Args:
        rule: how severe.
        days: meter_id, channel, site_id, local_date, false_alarm_share, cause, value, expected, reason, similar_days of the
            anomalous days of detectors that may page.
        newest: newest judged day by subject name (``meter/channel``).
        episodes: of the rule, open ones and those that are over: a day that was told of is not told of again.
    """
    known: dict[str, datetime] = {}
    for episode in episodes:
        name = episode.subject.name
        known[name] = max(known.get(name, episode.newest_at_utc), episode.newest_at_utc)
    signals = [
        signal
        for row in days.sort("local_date").iter_rows(named=True)
        if row["false_alarm_share"] <= rule.max_false_alarm_share and fits(rule.meters, row["meter_id"])
        if (signal := _anomaly(rule, row)).at_utc > known.get(signal.subject.name, _NEVER)
    ]
    last = {episode.subject.name: episode.newest_at_utc for episode in episodes if not episode.is_over}
    last |= {signal.subject.name: signal.at_utc for signal in signals}
    latest = {signal.subject: signal for signal in signals}
    open_ones = [episode for episode in episodes if not episode.is_over and episode.subject not in latest]
    text = "The days since then are not anomalous."
    for name, at in last.items():
        day = newest.get(name)
        if day is None or _day_end(day) <= at:
            continue
        signals += [_end(episode, _day_end(day), text) for episode in open_ones if episode.subject.name == name]
        signals += [
            replace(signal, is_breach=False, at_utc=_day_end(day), text=text)
            for subject, signal in latest.items()
            if subject.name == name
        ]
    return signals


def _anomaly(rule: AnomalyRule, row: Mapping[str, Any]) -> Signal:
    subject, share = (
        Subject.of_channel(row["meter_id"], row["channel"], site_id=row["site_id"]),
        row["false_alarm_share"],
    )
    return Signal(
        rule.name,
        Severity.CRITICAL if share <= rule.critical_false_alarm_share else rule.severity,
        subject,
        is_breach=True,
        at_utc=_day_end(row["local_date"]),
        title=f"{rule.title} at {subject.name}",
        text=row["reason"],
        value=row["value"],
        evidence={
            "day": str(row["local_date"]),
            "good days that look so": f"{share:.2%}",
            "cause": row["cause"],
            "expected": row["expected"],
            "similar days": row["similar_days"],
        },
        link=ANOMALY_LINK,
    )


def data_quality(
    rule: DataQualityRule, files: pl.DataFrame, days: pl.DataFrame, episodes: Sequence[Episode]
) -> list[Signal]:
    """Sources of whose newest files much was refused, or of whose newest days much is missing.

    Args:
        rule: how much.
        files: source, loaded_at_utc, rows_read, rows_rejected, uri.
        days: source, local_date, completeness (0 to 1, mean over the source's meters).
        episodes: open ones of the rule.
    """
    signals: list[Signal] = []
    fine: dict[str, datetime] = {}
    for (source,), part in files.sort("loaded_at_utc").group_by("source", maintain_order=True):
        subject, read = Subject(f"files of {source}"), int(part["rows_read"].sum())
        share = int(part["rows_rejected"].sum()) / read if read else 0.0
        at = part["loaded_at_utc"][-1]
        worst = part.sort("rows_rejected", descending=True).row(0, named=True)
        if not fits(rule.sources, str(source)):
            continue
        if share <= rule.max_rejected_share:
            fine[subject.name] = at
            continue
        text = f"{share:.1%} of {read:,} rows of {source} were refused; most in {worst['uri']} ({worst['rows_rejected']:,})."
        signals.append(_quality(rule, subject, at, text, 100 * share, 100 * rule.max_rejected_share, FILES_LINK))
    for (source,), part in days.sort("local_date").group_by("source", maintain_order=True):
        newest = part.tail(rule.days)
        subject, mean = Subject(f"days of {source}"), float(newest["completeness"].to_numpy().mean())
        at = _day_end(newest["local_date"][-1])
        if not fits(rule.sources, str(source)):
            continue
        if mean >= rule.min_completeness:
            fine[subject.name] = at
            continue
        text = f"Of the newest {newest.height} days of {source} only {mean:.0%} of the readings are there."
        signals.append(_quality(rule, subject, at, text, 100 * mean, 100 * rule.min_completeness, DAYS_LINK))
    return [*signals, *_ended(episodes, signals, fine, text="The newest ones are fine again.")]


def without_rule(episodes: Sequence[Episode], rules: Mapping[str, object], *, now_utc: datetime) -> list[Signal]:
    """The end of episodes whose rule was removed or turned off: nothing could end them any more."""
    text = "Its rule does not hold any more."
    gone = [episode for episode in episodes if episode.rule not in rules]
    return [_end(episode, max(now_utc, episode.newest_at_utc), text) for episode in gone]


def _band_signal(rule: ForecastBandRule, subject: Subject, row: Mapping[str, Any], flagged: Sequence[int]) -> Signal:
    at = flagged[-1]
    value, is_above = row["energy_kwh"][at], row["is_above"][at]
    limit = row["p90_kwh"][at] if is_above else row["p10_kwh"][at]
    side = "above" if is_above else "below"
    day: date = row["local_date"][at]
    text = (
        f"{amount(value, 'kWh')} on {day}, {side} the forecast of {amount(row['p10_kwh'][at], 'kWh')} to "
        f"{amount(row['p90_kwh'][at], 'kWh')}; so on {len(flagged)} of the last {rule.of_samples} days."
    )
    return Signal(
        rule.name,
        rule.severity,
        subject,
        is_breach=True,
        at_utc=_day_end(day),
        title=f"{rule.title}: {subject.name}",
        text=text,
        value=value,
        limit=limit,
        unit="kWh",
        evidence={"days": ", ".join(str(row["local_date"][each]) for each in flagged)},
        link=BAND_LINK,
    )


def _quality(
    rule: DataQualityRule, subject: Subject, at: datetime, text: str, value: float, limit: float, link: str
) -> Signal:
    return Signal(
        rule.name,
        rule.severity,
        subject,
        is_breach=True,
        at_utc=at,
        title=f"{rule.title}: {subject.name}",
        text=text,
        value=value,
        limit=limit,
        unit="%",
        evidence={"limit": f"{plain(limit)} %"},
        link=link,
    )


def _ended(
    episodes: Sequence[Episode],
    signals: Sequence[Signal],
    calm_at: Mapping[str, datetime],
    *,
    text: str,
    default_at: datetime | None = None,
) -> list[Signal]:
    """The end of the open episodes that no signal is for and that are known to be calm (or gone)."""
    broken = {signal.subject.name for signal in signals}
    ends: list[Signal] = []
    for episode in episodes:
        at = calm_at.get(episode.subject.name, default_at)
        if episode.subject.name not in broken and at is not None:
            ends.append(_end(episode, max(at, episode.newest_at_utc), text))
    return ends


def _end(episode: Episode, at_utc: datetime, text: str) -> Signal:
    return Signal(
        episode.rule,
        episode.severity,
        episode.subject,
        is_breach=False,
        at_utc=at_utc,
        title=episode.title,
        text=text,
        link=episode.link,
    )


def _day_end(day: date) -> datetime:
    """When a local day is over, near enough: signals of one day need one time."""
    return datetime.combine(day + timedelta(days=1), time())


def _lasting(duration: timedelta) -> str:
    minutes = int(duration.total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 2880 else f"{minutes // 1440} days"
