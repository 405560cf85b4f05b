"""Refits over time: when one is due, what is kept of the ones before, what changed.

Belongs here: rows of all sources and refits as the tables hold them. Does not belong here: one refit (segmenting.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from energy_platform.domain.columns.segments import (
    SEGMENT_CHOICES,
    SEGMENT_DRIFT,
    SEGMENT_MEMBERS,
    SEGMENT_SHAPES,
)
from energy_platform.domain.flow_plan import monday_of
from energy_platform.domain.segments.choosing import EVIDENCE, EVIDENCE_HOMES, Choice
from energy_platform.domain.segments.drift import drift
from energy_platform.domain.segments.segmenting import Segments

CUTOFF = "cutoff_date"


@dataclass(frozen=True, slots=True)
class Group:
    """The homes that may be alike: those of one source and commodity."""

    source: str
    commodity: str
    cutoff: date

    def of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows of this source and commodity."""
        return rows.filter((pl.col("source") == self.source) & (pl.col("commodity") == self.commodity))

    def keyed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows with the columns that say whose they are."""
        whose = {"source": pl.lit(self.source), "commodity": pl.lit(self.commodity), CUTOFF: pl.lit(self.cutoff)}
        return rows.with_columns(**whose)


def cutoff_of(newest_complete_day: date) -> date:
    """The Monday of a source's own week: refits are weekly, and know only what lies before it.

    Example:
        >>> cutoff_of(date(2014, 1, 1)).isoformat()
        '2013-12-30'
    """
    return monday_of(newest_complete_day + timedelta(days=1))


def earlier_choice(choices: pl.DataFrame, group: Group, *, homes: int) -> Choice | None:
    """The decision of this cutoff, if it was made already for as many homes: evidence is weighed once a week.

    Args:
        choices: ``segments.choices``.
        group: whose, and at which cutoff.
        homes: homes that know every cell; the evidence is weighed on ``EVIDENCE_HOMES`` of them at most.
    """
    found = group.of(choices).filter(pl.col(CUTOFF) == group.cutoff).sort("k")
    chosen = found.filter("is_chosen")
    if chosen.is_empty() or chosen["homes"][0] != min(homes, EVIDENCE_HOMES):
        return None
    return Choice(int(chosen["k"][0]), str(chosen["reason"][0]), found.select(EVIDENCE.names()).cast(EVIDENCE))


def with_refit(tables: Mapping[str, pl.DataFrame], group: Group, made: Segments) -> dict[str, pl.DataFrame]:
    """The tables with a refit in them: the same refit again changes nothing.

    Of members and shapes the refit before is kept, for the drift; choices and drift keep all.

    Args:
        tables: ``members``, ``shapes``, ``choices``, ``drift`` as they are.
        group: whose refit, and at which cutoff.
        made: the refit.
    """
    before = group.of(tables["members"]).filter(pl.col(CUTOFF) < group.cutoff)[CUTOFF].max()
    members, shapes = group.keyed(made.members), group.keyed(made.shapes)
    changed = _drift(tables, group, made, before) if isinstance(before, date) else pl.DataFrame()
    kept = pl.col(CUTOFF) == (before if before is not None else group.cutoff)
    earlier = pl.col(CUTOFF) < group.cutoff
    return {
        "members": _put(tables["members"], group, kept & earlier, members, SEGMENT_MEMBERS.polars_schema),
        "shapes": _put(tables["shapes"], group, kept & earlier, shapes, SEGMENT_SHAPES.polars_schema),
        "choices": _put(tables["choices"], group, earlier, group.keyed(made.choices), SEGMENT_CHOICES.polars_schema),
        "drift": _put(tables["drift"], group, earlier, changed, SEGMENT_DRIFT.polars_schema),
    }


def newest(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of each source and commodity's newest refit."""
    return rows.filter(pl.col(CUTOFF) == pl.col(CUTOFF).max().over("source", "commodity"))


def _put(old: pl.DataFrame, group: Group, keep: pl.Expr, new: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    others = (pl.col("source") != group.source) | (pl.col("commodity") != group.commodity)
    parts = [old.filter(others | keep).select(schema.names()).cast(schema)]
    parts += [] if new.is_empty() else [new.select(schema.names()).cast(schema)]
    return pl.concat(parts)


def _drift(tables: Mapping[str, pl.DataFrame], group: Group, made: Segments, before: date) -> pl.DataFrame:
    members, shapes = (group.of(tables[name]).filter(pl.col(CUTOFF) == before) for name in ("members", "shapes"))
    found = drift(members, made.members, shapes_before=shapes, shapes_after=made.shapes)
    if found is None:
        return pl.DataFrame()
    row = {
        "before_date": before,
        "homes": found.homes_compared,
        "changed_share": found.changed_share,
        "movement": found.movement,
        "became": found.became,
    }
    return group.keyed(pl.DataFrame([row]))
