"""The report as its template takes it: sentences, tables of figures and drawn charts, section by section.

Belongs here: which figures, sentences and charts stand in which section. Does not belong here:
reading tables (content.py), marks and axes (charts.py), what words say (domain/insights), layout
(report.html.j2, report.css).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from energy_platform.domain.insights import sentences
from energy_platform.domain.insights.figures import Figure, Sentence
from energy_platform.serving.report import charts, tables
from energy_platform.serving.report.content import (
    ANOMALIES_SHOWN,
    DAILY_LINE_DAYS,
    FORECAST_DAYS_SHOWN,
    METERS_SHOWN,
    Content,
    Row,
    windows,
)
from energy_platform.serving.report.hours import FleetAhead
from energy_platform.serving.report.segments import SimilarHomes
from energy_platform.serving.report.tables import DataTable
from energy_platform.serving.segment_charts import shapes_chart

# Groups of source and commodity that get charts and accuracy tables of their own.
GROUPS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart with the words below it."""

    svg: str
    caption: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class MeterCard:
    """One meter's own page: what it used, when, and what was forecast."""

    name: str
    commodity: str
    sentences: tuple[Sentence, ...]
    usage: Drawing
    pair: tuple[Drawing, ...]


@dataclass(frozen=True, slots=True)
class FleetCard:
    """Something about all meters of a source and commodity: the next 48 hours, the segments of its homes."""

    title: str
    sentence: Sentence
    drawing: Drawing


@dataclass(frozen=True, slots=True)
class AccuracyGroup:
    """How the models did on one source and commodity."""

    title: str
    sentences: tuple[Sentence, ...]
    table: DataTable
    drawing: Drawing


@dataclass(frozen=True, slots=True)
class Page:
    """The whole report."""

    key_figures: tuple[tuple[str, Figure], ...]
    summary: tuple[Sentence, ...]
    groups: DataTable
    fleets: tuple[Drawing, ...]
    hours: tuple[FleetCard, ...]
    segments: tuple[FleetCard, ...]
    meters_rule: str
    meters: tuple[MeterCard, ...]
    anomaly_sentences: tuple[Sentence, ...]
    anomalies: DataTable
    accuracy: tuple[AccuracyGroup, ...]
    decisions: DataTable
    quality_sentence: Sentence
    ledger: DataTable
    reasons: DataTable
    failed: DataTable
    completeness: tuple[Drawing, ...]
    provenance: tuple[tuple[str, str], ...]
    published: DataTable


def build_page(content: Content) -> Page:
    """Lay the report out from what was read."""
    cards = tuple(_meter_card(content, meter, number) for number, meter in enumerate(content.picked.to_dicts()))
    accuracy = tuple(_accuracy(content))
    lead = [card.sentences[0] for card in cards] + [words for group in accuracy for words in group.sentences[:1]]
    return Page(
        key_figures=tables.key_figures(content),
        summary=tuple(lead),
        groups=tables.groups(content),
        fleets=tuple(_fleets(content)),
        hours=tuple(_hours(fleet, number) for number, fleet in enumerate(content.hours)),
        segments=tuple(_segments(homes, number) for number, homes in enumerate(content.segments)),
        meters_rule=_meters_rule(content),
        meters=cards,
        anomaly_sentences=tuple(sentences.anomalies(content.anomaly_counts.to_dicts())),
        anomalies=tables.anomalies(content, shown=ANOMALIES_SHOWN),
        accuracy=accuracy,
        decisions=tables.decisions(content),
        quality_sentence=sentences.ledger(content.totals),
        ledger=tables.ledger(content),
        reasons=tables.reasons(content),
        failed=tables.failed(content),
        completeness=tuple(_completeness(content)),
        provenance=_provenance(content),
        published=tables.published(content),
    )


def _meters_rule(content: Content) -> str:
    channels = content.totals["channels"]
    if channels <= METERS_SHOWN:
        return "Every meter is shown."
    return (
        f"{content.picked.height} of {channels:,} meters and channels are shown: "
        "the one with the largest total energy of each source and commodity in turn."
    )


def _meter_card(content: Content, meter: Row, number: int) -> MeterCard:
    """One meter: sentences, its days, its hours, and its forecasts against what happened."""
    daily = content.of_meter(content.daily, meter)
    profile = content.of_meter(content.profiles, meter)
    forecasts = content.of_meter(content.forecasts, meter)
    marked = content.of_meter(content.anomaly_days, meter)["local_date"].to_list()
    newest = _newest_complete(daily)
    name = meter["meter_id"] if meter["channel"] == "main" else f"{meter['meter_id']}, {meter['channel']}"
    hours = Drawing(
        charts.render(
            charts.profile_chart(profile, commodity=meter["commodity"]),
            label=f"Mean energy of {name} by hour of the day, weekdays and weekends",
            name=f"m{number}p",
        ),
        "Mean energy in each local hour. Full line: weekdays; dashed: weekends.",
        "Hour of the day",
    )
    words = (
        sentences.usage(meter, *windows(daily)),
        sentences.daily_shape(meter, profile.to_dicts()),
        sentences.coming_days(meter, forecasts.to_dicts(), newest),
    )
    return MeterCard(
        name=name,
        commodity=meter["commodity"],
        sentences=words,
        usage=_usage(daily, label=name, commodity=meter["commodity"], marked=marked, name=f"m{number}u"),
        pair=(hours, *_forecast(daily, forecasts, meter, name, number)),
    )


def _usage(daily: pl.DataFrame, *, label: str, commodity: str, marked: Sequence[date], name: str) -> Drawing:
    """Days and weeks of one meter or fleet."""
    incomplete = daily.height - daily["is_complete"].sum()
    weekly = daily.height > DAILY_LINE_DAYS
    caption = "Strong line: weekly mean." if weekly else "Thin line: each complete day; strong line: weekly mean."
    if incomplete:
        plural = "day is" if incomplete == 1 else "days are"
        caption += f" {incomplete:,} incomplete {plural} left out, which can leave gaps."
    if marked:
        caption += f" Circles: the {len(marked)} days with the strongest anomalies."
    drawn = charts.usage_chart(daily, commodity=commodity, marked=marked, weekly=weekly)
    return Drawing(charts.render(drawn, label=f"Daily {commodity} of {label} over time, kWh a day", name=name), caption)


def _forecast(daily: pl.DataFrame, forecasts: pl.DataFrame, meter: Row, name: str, number: int) -> tuple[Drawing, ...]:
    """Issued forecasts of the last weeks and the days ahead, over the actual days."""
    if forecasts.is_empty():
        return ()
    shown = forecasts.tail(FORECAST_DAYS_SHOWN)
    first, last = shown["local_date"][0], shown["local_date"][-1]
    actual = daily.filter(pl.col("local_date").is_between(first, last))
    leads = sorted(set(shown["lead_days"].to_list()))
    ahead = f"{leads[0]} day ahead" if leads == [1] else f"{leads[0]} to {leads[-1]} days ahead"
    drawn = charts.forecast_chart(
        actual.select("local_date", "energy_kwh", "is_complete"), shown, commodity=meter["commodity"]
    )
    label = f"Forecast and actual energy of {name}, {first} to {last}"
    caption = (
        f"Line and band: median and P10–P90 of the forecast issued last before each day ({ahead}). "
        "Dots: what was measured. Right of the dashed line lie days that are not complete yet."
    )
    return (Drawing(charts.render(drawn, label=label, name=f"m{number}f"), caption, "Forecast against actual"),)


def _fleets(content: Content) -> list[Drawing]:
    """Totals of each source and commodity that has more than one meter."""
    drawings = []
    many = content.groups.filter(pl.col("meters") > 1).sort("energy_kwh", descending=True).head(GROUPS_SHOWN)
    for number, group in enumerate(many.to_dicts()):
        days = content.fleet.filter((pl.col("source") == group["source"]) & (pl.col("commodity") == group["commodity"]))
        if days.is_empty():
            continue
        seen = days["meters"].to_list()
        label = f"all {group['meters']:,} {group['commodity']} meters of {group['source']}"
        drawn = _usage(days, label=label, commodity=group["commodity"], marked=(), name=f"g{number}")
        caption = f"{drawn.caption} Sum over the meters whose day is complete: {min(seen):,} to {max(seen):,} of them."
        drawings.append(Drawing(drawn.svg, caption, f"{group['source']}: {group['commodity']}, all meters"))
    return drawings


def _hours(fleet: FleetAhead, number: int) -> FleetCard:
    """The newest forecast of one fleet, who made it and why."""
    drawn = charts.hours_chart(fleet.forecast, fleet.measured, commodity=fleet.commodity, unit=fleet.unit)
    label = f"Forecast energy of {fleet.title}, two days from {fleet.cutoff}, after the three days before"
    caption = (
        f"Line and band: median and P10–P90 of what {fleet.model} forecasts from {fleet.cutoff} on, local time; "
        f"dark line: what was measured. Why this model: {fleet.reason}"
    )
    return FleetCard(
        fleet.title,
        sentences.hours_ahead(fleet.source, fleet.commodity, fleet.cutoff, fleet.energy_kwh),
        Drawing(charts.render(drawn, label=label, name=f"h{number}"), caption),
    )


def _segments(homes: SimilarHomes, number: int) -> FleetCard:
    """The shapes of one source's segments."""
    caption = (
        "Share of the day's energy in each local hour, one row a segment; dashed: an even day. "
        "Why there are so many segments stands in segments.choices."
    )
    label = f"{homes.title}, mean day of each segment by season, weekdays and weekends"
    drawn = charts.render(shapes_chart(homes.shapes), label=label, name=f"s{number}")
    return FleetCard(homes.title, homes.sentence, Drawing(drawn, caption))


def _accuracy(content: Content) -> list[AccuracyGroup]:
    """Scores by source and commodity, the groups with the most scored days first."""
    if content.scores.is_empty():
        return []
    overall = content.scores.filter(pl.col("lead_days").is_null())
    sizes = (
        overall.group_by("source", "commodity")
        .agg(pl.col("meter_days").max())
        .sort("meter_days", "source", "commodity", descending=[True, False, False])
    )
    found = []
    for number, (name, commodity) in enumerate(sizes.head(GROUPS_SHOWN).select("source", "commodity").iter_rows()):
        mine = content.scores.filter((pl.col("source") == name) & (pl.col("commodity") == commodity))
        totals = mine.filter(pl.col("lead_days").is_null()).sort("mae_kwh").to_dicts()
        words: list[Sentence] = []
        for score in totals:
            if score["model"] != "seasonal_naive":
                words += [sentences.accuracy(score), sentences.calibration(score)]
        leads = mine.filter(pl.col("lead_days").is_not_null())
        drawing = Drawing(
            charts.render(
                charts.accuracy_chart(leads), label=f"Error by days ahead, {name}, {commodity}", name=f"a{number}"
            ),
            "Mean absolute error of the median forecast; lower is better.",
            "Error by lead time",
        )
        found.append(
            AccuracyGroup(f"{name}: {commodity}", tuple(words), tables.accuracy(mine, name, commodity), drawing)
        )
    return found


def _completeness(content: Content) -> list[Drawing]:
    """One strip chart a source, each on its own time axis."""
    drawings = []
    frame = content.completeness.with_columns(
        pl.when(pl.col("channel") == "main")
        .then("meter_id")
        .otherwise(pl.format("{}, {}", "meter_id", "channel"))
        .alias("meter")
    )
    for number, (name,) in enumerate(frame.select("source").unique().sort("source").iter_rows()):
        weeks = frame.filter(pl.col("source") == name).select("meter", "week", "completeness")
        drawn = charts.completeness_chart(weeks)
        label = f"Share of readings present by week, meters of {name}"
        drawings.append(Drawing(charts.render(drawn, label=label, name=f"c{number}"), "", name))
    return drawings


def _provenance(content: Content) -> tuple[tuple[str, str], ...]:
    generation = content.generation
    facts = [(name.replace("_", " "), str(value)) for name, value in sorted(generation.facts.items())]
    return (
        ("generation", generation.generation_id),
        ("published at", f"{generation.created_at_utc:%Y-%m-%d %H:%M:%S} UTC"),
        *facts,
    )


def _newest_complete(daily: pl.DataFrame) -> date | None:
    newest: Any = daily.filter("is_complete")["local_date"].max()
    return newest if isinstance(newest, date) else None
