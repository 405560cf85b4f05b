"""From judged days to what people read: severities with their reasons, and episodes of them.

Belongs here: rows of ``anomalies.severities`` and ``anomalies.episodes``, which earlier days are known to be
anomalous. Does not belong here: how a day is judged (severity.py), who is told (domain/alerts).
"""

from __future__ import annotations

import hashlib
from datetime import date, datetime

import numpy as np
import polars as pl

from energy_platform.domain.anomalies.detectors.level_shift import NAME as LEVEL_SHIFT
from energy_platform.domain.anomalies.detectors.similar_days import FittedSimilarDays
from energy_platform.domain.anomalies.severity import METER_FAULTS, Judged, Severity, recent
from energy_platform.domain.columns.anomalies import EPISODES, SEVERITIES

# What looks worse than 19 of 20 good days is kept; most of it is no alarm.
KEPT_SHARE = 0.05
# A fault that is away for a day or two and comes back is the same fault.
SAME_EPISODE_DAYS = 3
# So long a change is how the home is now: later days may teach detectors again.
SETTLED_DAYS = 14
DETECTORS_NAMED = 4


def severity_rows(
    rows: pl.DataFrame,
    severity: Severity,
    *,
    since: date,
    cutoff: date,
    version: str | None,
    may_page: bool,
    now_utc: datetime,
) -> pl.DataFrame:
    """Rows of ``anomalies.severities`` without their episodes: the days from ``since`` on that are worth a look.

    Args:
        rows: ``HOUSEHOLD_DAYS`` with source and commodity; days before ``since`` are context.
        severity: as learned at ``cutoff``.
        since: the first day that is told of.
        cutoff: of the detectors.
        version: their version in the registry.
        may_page: whether the severity's own record allows it.
        now_utc: when this is worked out.
    """
    judged = severity.score(rows, since)
    days = rows.filter(recent(rows, since))
    told = (days["local_date"] >= since).to_numpy()
    places = np.flatnonzero(told & (judged.is_anomalous | (judged.false_alarm_share <= KEPT_SHARE)))
    chosen = days[places]
    evidence = severity.detectors.get("similar_days")
    similar = evidence.evidence(chosen) if isinstance(evidence, FittedSimilarDays) else [[] for _ in places]
    parts = severity.combination.parts(judged.matrix[places])
    made = []
    for number, place in enumerate(places):
        day = chosen.row(number, named=True)
        order = [severity.combination.names[column] for column in np.argsort(-parts[number], kind="stable")]
        alarming = [name for name in order if judged.scores[name]["is_anomalous"][int(place)]]
        cause = _cause(judged, order, alarming, int(place))
        found = judged.scores[cause].row(int(place), named=True)
        share = float(judged.false_alarm_share[place])
        made.append(
            {
                **{name: day[name] for name in ("meter_id", "channel", "source", "commodity", "local_date")},
                "cutoff_date": cutoff,
                "model_version": version,
                "severity": -float(np.log10(share)),
                "false_alarm_share": share,
                "is_anomalous": bool(judged.is_anomalous[place]),
                "episode_id": None,
                "cause": cause,
                "detectors": ", ".join(alarming[:DETECTORS_NAMED]) or cause,
                **{name: found[name] for name in ("value", "expected", "lower", "upper")},
                "reason": _reason(judged, [cause, *(name for name in alarming if name != cause)], int(place), share),
                "similar_days": ", ".join(one.isoformat() for one in similar[number]) or None,
                "estimated_share": day["estimated_share"],
                "may_page": may_page and bool(judged.is_anomalous[place]),
                "issued_at_utc": now_utc,
            }
        )
    return pl.DataFrame(made, schema=SEVERITIES.polars_schema)


def _cause(judged: Judged, order: list[str], alarming: list[str], place: int) -> str:
    """The detector to name: a fault of the meter or a shift by its own name, else what contributes most."""
    named = [name for name in alarming if name in METER_FAULTS or name == LEVEL_SHIFT]
    strongest = sorted(named, key=lambda name: -float(judged.signals[name][place]))
    return next(iter([*strongest, *alarming, *order]))


def _reason(judged: Judged, names: list[str], place: int, share: float) -> str:
    """The sentences of the first two detectors that have one, and what the severity means."""
    said = [judged.scores[name]["reason"][place] for name in names]
    sentences = [text[:1].upper() + text[1:] for text in said if text][:2]
    seldom = f"One good day in {1 / share:,.0f} looks so bad."
    return " ".join([*(sentences or ["Several detectors find it unusual, none by itself."]), seldom])


def kind_of(cause: pl.Expr) -> pl.Expr:
    """``meter`` or ``use``."""
    return pl.when(cause.is_in(METER_FAULTS)).then(pl.lit("meter")).otherwise(pl.lit("use"))


def with_episodes(severities: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Severities with the names of their episodes, and the rows of ``anomalies.episodes``.

    Anomalous days of one meter and one kind of cause that are at most ``SAME_EPISODE_DAYS`` apart are one episode.
    """
    by = ["meter_id", "channel", "kind"]
    alarms = severities.filter("is_anomalous").with_columns(kind=kind_of(pl.col("cause"))).sort(*by, "local_date")
    apart = (pl.col("local_date") - pl.col("local_date").shift()).dt.total_days().over(by)
    numbered = alarms.with_columns(run=(apart.is_null() | (apart > SAME_EPISODE_DAYS)).cum_sum().over(by))
    worst = numbered.sort("severity", descending=True, maintain_order=True).group_by([*by, "run"], maintain_order=True)
    episodes = worst.agg(
        pl.col("source", "commodity", "severity", "value", "expected", "reason").first(),
        worst_date=pl.col("local_date").first(),
        # A shift explains the days around it better than each of their own strangeness.
        cause=pl.when((pl.col("cause") == LEVEL_SHIFT).any())
        .then(pl.lit(LEVEL_SHIFT))
        .otherwise(pl.col("cause").first()),
        first_date=pl.col("local_date").min(),
        last_date=pl.col("local_date").max(),
        anomalous_days=pl.len().cast(pl.Int64),
        may_page=pl.col("may_page").any(),
    ).with_columns(
        episode_id=pl.struct("meter_id", "channel", "kind", "first_date").map_elements(
            lambda one: episode_id(one["meter_id"], one["channel"], one["kind"], one["first_date"]),
            return_dtype=pl.String,
        )
    )
    named = numbered.join(episodes.select(*by, "run", "episode_id"), on=[*by, "run"], suffix="_new").select(
        "meter_id", "channel", "local_date", new_id="episode_id_new"
    )
    given = severities.drop("episode_id").join(
        named.rename({"new_id": "episode_id"}), on=["meter_id", "channel", "local_date"], how="left"
    )
    return given.select(SEVERITIES.column_names), episodes.select(EPISODES.column_names).sort(
        "first_date", "episode_id"
    )


def episode_id(meter_id: str, channel: str, kind: str, first_date: date) -> str:
    """A short name that stays the same as long as the episode begins on the same day.

    Example:
        >>> episode_id("MAC000002", "main", "use", date(2013, 7, 1))
        '2013-07-01-9ec5a259'
    """
    text = f"{meter_id}\n{channel}\n{kind}\n{first_date}"
    return f"{first_date}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def known_anomalous(episodes: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """Days that no detector may learn from: meter_id, channel, local_date.

    Days of an episode, unless a person said that it was none. Of a change in use only the first ``SETTLED_DAYS`` days:
    what lasts longer is how the home is now. Days that a person called anomalous count in full.

    Args:
        episodes: ``anomalies.episodes``.
        verdicts: episode_id, is_real of what people said, the last word on each.
    """
    judged = episodes.join(verdicts.select("episode_id", "is_real"), on="episode_id", how="left")
    lasting = (pl.col("kind") == "use") & pl.col("is_real").is_null()
    end = pl.min_horizontal("last_date", pl.col("first_date") + pl.duration(days=SETTLED_DAYS - 1))
    return (
        judged.filter(pl.col("is_real").fill_null(value=True))
        .select(
            "meter_id",
            "channel",
            local_date=pl.date_ranges("first_date", pl.when(lasting).then(end).otherwise(pl.col("last_date"))),
        )
        .explode("local_date")
        .unique()
    )
