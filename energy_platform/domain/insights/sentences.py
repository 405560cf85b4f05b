"""Sentences that table values support: usage, daily shape, forecasts, accuracy, anomalies, quality.

Every number in them is a figure with its source. Belongs here: which words go with which values.
Does not belong here: advice, promises of savings, causes: the tables do not know them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Protocol

from energy_platform.domain.insights.figures import (
    Figure,
    Sentence,
    Source,
    between,
    change,
    count,
    day,
    energy,
    share,
    source,
)

Row = Mapping[str, Any]
# A change smaller than this is called none: it is within what a few missing readings could make.
SAME = 0.01
# Below this many scored meter-days a difference between two models is said to be uncertain.
FEW_DAYS = 50


class Period(Protocol):
    """Mean daily energy over the complete days of a period."""

    @property
    def first_day(self) -> date: ...  # noqa: D102 - a protocol's fields say themselves
    @property
    def last_day(self) -> date: ...  # noqa: D102
    @property
    def mean_kwh(self) -> float: ...  # noqa: D102


def usage(meter: Row, recent: Period | None, before: Period | None, year_ago: Period | None) -> Sentence:
    """Mean daily energy of the newest 30 days, against the 30 before and those a year earlier.

    Args:
        meter: ``meter_id`` and ``channel``.
        recent: newest period; None when too few of its days are complete.
        before: the period before it, likewise.
        year_ago: the same weeks a year earlier, likewise.
    """
    if recent is None:
        return ["Too few of the newest 30 days are complete to state a daily use."]
    origin = _mean_over(meter, recent)
    last = source("marts.meter_days", "max.local_date", **_complete(meter))
    words: list[str | Figure] = [
        f"{_name(meter)} used ",
        energy(recent.mean_kwh, origin),
        " a day in the 30 days to ",
        day(recent.last_day, last),
    ]
    comparisons = ((before, "in the 30 days before"), (year_ago, "in the same weeks a year earlier"))
    joint = ", "
    for other, when in comparisons:
        if other is not None and other.mean_kwh > 0:
            words += [joint, *_compared(recent, other, origin, _mean_over(meter, other)), f" {when}"]
            joint = " and "
    return [*words, "."]


def daily_shape(meter: Row, profile: Sequence[Row]) -> Sentence:
    """The hours of largest mean use on weekdays and at weekends.

    Args:
        meter: ``meter_id`` and ``channel``.
        profile: rows of marts.meter_hour_profiles of it.
    """
    words: list[str | Figure] = []
    for is_weekend, when in ((False, "On weekdays"), (True, "at weekends")):
        hours = [row for row in profile if row["is_weekend"] is is_weekend]
        if not hours:
            continue
        top = max(hours, key=lambda row: (row["mean_kwh"], -row["local_hour"]))
        hour = top["local_hour"]
        origin = source(
            "marts.meter_hour_profiles", "only.mean_kwh", **_key(meter), is_weekend=is_weekend, local_hour=hour
        )
        opening = when if not words else f"; {when}"
        words += [f"{opening} it uses most from {hour:02}:00 to {(hour + 1) % 24:02}:00 local time, on average "]
        words += [energy(top["mean_kwh"], origin)]
    return [*words, "."] if words else ["No hour-of-day profile yet."]


def coming_days(meter: Row, forecasts: Sequence[Row], newest: date | None) -> Sentence:
    """What is forecast for the days after the newest complete one.

    Args:
        meter: ``meter_id`` and ``channel``.
        forecasts: issued forecasts, one a day, with ``local_date``, ``model``, ``cutoff_date``, ``p50_kwh``.
        newest: newest complete day; forecasts up to it have met their actuals.
    """
    ahead = [row for row in forecasts if newest is None or row["local_date"] > newest]
    cutoffs = {row["cutoff_date"] for row in ahead}
    if not ahead or len(cutoffs) != 1:
        return ["No forecast has been issued for the days after the newest complete day."]
    first, last, model = ahead[0]["local_date"], ahead[-1]["local_date"], ahead[0]["model"]
    rows = {**_key(meter), "cutoff_date": ahead[0]["cutoff_date"], "model": model}
    total = sum(row["p50_kwh"] for row in ahead)
    bounds = (first, last)
    return [
        f"{model} expects ",
        energy(total, between(source("forecasts.meter_days", "sum.p50_kwh", **rows), "local_date", *bounds)),
        " (sum of the daily medians) over the days ",
        day(first, between(source("forecasts.meter_days", "min.local_date", **rows), "local_date", *bounds)),
        " to ",
        day(last, between(source("forecasts.meter_days", "max.local_date", **rows), "local_date", *bounds)),
        ".",
    ]


def hours_ahead(fleet: str, commodity: str, cutoff: date, energy_kwh: float) -> Sentence:
    """What the medians of the 48 hours from a cutoff on add up to, for all meters of a source and commodity.

    Args:
        fleet: name of the source.
        commodity: electricity or gas.
        cutoff: local day at whose start the forecast was issued.
        energy_kwh: sum of the issued medians.
    """
    issued: dict[str, Any] = {"source": fleet, "commodity": commodity, "cutoff_date": cutoff, "is_issued": True}
    return [
        "In the 48 hours from ",
        day(cutoff, source("forecasts.fleet_hours", "min.cutoff_date", **issued)),
        f" on, the forecast medians of all {commodity} meters of {fleet} add up to ",
        energy(energy_kwh, source("forecasts.fleet_hours", "sum.p50_kwh", **issued)),
        "; where use comes in spikes, more than the medians is to be expected.",
    ]


def accuracy(score: Row) -> Sentence:
    """How one model did on one source and commodity, over all lead times.

    Args:
        score: ``model``, ``source``, ``commodity``, ``meter_days``, ``skill`` and ``coverage``.
    """
    rows = {"source": score["source"], "commodity": score["commodity"], "model": score["model"]}
    skill = share(None if score["skill"] is None else abs(score["skill"]), "")
    origin = source("forecasts.scores", "skill", **rows)
    figure = Figure(skill.text, score["skill"], str(origin))
    compared = count(score["meter_days"], source("forecasts.scores", "sum.meter_days", **rows))
    where = f"{score['model']} on {score['source']}, {score['commodity']}: "
    if score["skill"] is None:
        return [where, "its error cannot be compared with seasonal naive's yet."]
    if score["skill"] <= 0:
        worse: list[str | Figure] = (
            [" (its error is the same)"] if score["skill"] == 0 else [" (its error is ", figure, " larger)"]
        )
        verdict: list[str | Figure] = ["no skill over seasonal naive", *worse]
    else:
        verdict = ["its mean absolute error is ", figure, " smaller than seasonal naive's"]
    caution = " So few days leave much to chance." if score["meter_days"] < FEW_DAYS else ""
    return [where, *verdict, " on ", compared, f" forecast meter-days.{caution}"]


def calibration(score: Row) -> Sentence:
    """Whether the P10 to P90 band holds what it says."""
    rows = {"source": score["source"], "commodity": score["commodity"], "model": score["model"]}
    covered = score["coverage"]
    verdict = "as it should" if 0.75 <= covered <= 0.85 else "it is too narrow" if covered < 0.75 else "it is too wide"
    return [
        "Its P10–P90 band held ",
        share(covered, source("forecasts.scores", "weighted.coverage", **rows)),
        f" of the actual days, where 80 % is right: {verdict}.",
    ]


def anomalies(counts: Sequence[Row]) -> list[Sentence]:
    """How many intervals each detector flags, by source and commodity.

    Args:
        counts: ``detector``, ``source``, ``commodity``, ``anomalies``, sorted by detector.
    """
    found: dict[str, list[str | Figure]] = {}
    for row in counts:
        origin = source(
            "anomalies.scores", "count", **{name: row[name] for name in ("detector", "source", "commodity")}
        )
        words = found.setdefault(row["detector"], [f"{row['detector']} flags "])
        opening = "" if len(words) == 1 else ", "
        unit = "" if len(words) > 1 else " interval" if row["anomalies"] == 1 else " intervals"
        words += [opening, count(row["anomalies"], origin), f"{unit} of {row['source']} ({row['commodity']})"]
    return [[*words, "."] for words in found.values()]


def ledger(totals: Row) -> Sentence:
    """What became of the rows that were read."""
    words: list[str | Figure] = [
        "Of ",
        count(totals["rows_read"], source("lake.files", "sum.rows_read")),
        " rows read, ",
    ]
    words += [count(totals["rows_accepted"], source("lake.files", "sum.rows_accepted")), " were accepted, "]
    words += [
        count(totals["rows_duplicate"], source("lake.files", "sum.rows_duplicate")),
        " said again what was known and ",
    ]
    return [
        *words,
        count(totals["rows_rejected"], source("lake.files", "sum.rows_rejected")),
        " were rejected, each kept with its reason.",
    ]


def _compared(new: Period, old: Period, new_source: Source, old_source: Source) -> list[str | Figure]:
    figure = change(new.mean_kwh, old.mean_kwh, new_source, old_source)
    relative = new.mean_kwh / old.mean_kwh - 1
    if abs(relative) < SAME:
        return ["as much (within 1 %) as"]
    return [figure, " more than" if relative > 0 else " less than"]


def _mean_over(meter: Row, period: Period) -> Source:
    chosen = source("marts.meter_days", "mean.energy_kwh", **_complete(meter))
    return between(chosen, "local_date", period.first_day, period.last_day)


def _key(meter: Row) -> dict[str, Any]:
    return {"meter_id": meter["meter_id"], "channel": meter["channel"]}


def _complete(meter: Row) -> dict[str, Any]:
    return {**_key(meter), "completeness": (">=", 1)}


def _name(meter: Row) -> str:
    """A meter as people call it: its channel only when it has one of its own."""
    return str(meter["meter_id"]) if meter["channel"] == "main" else f"{meter['meter_id']} ({meter['channel']})"
