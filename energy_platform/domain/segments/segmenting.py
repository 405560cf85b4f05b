"""One refit: from the profiles of a source's homes to members, shapes and the evidence behind them.

Belongs here: the order of the steps and the rows they become. Does not belong here: any one step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from energy_platform.domain.segments import choosing, clustering, naming
from energy_platform.domain.segments.shapes import (
    CELLS,
    HOURS,
    WEEKDAYS,
    WEEKEND_DAYS,
    Flags,
    Floats,
    HomeProfiles,
    Labels,
    day_levels,
)
from energy_platform.domain.threads import one_thread

# Everybody, where there are no groups; and homes of which no season is known well enough to say.
ALL, UNKNOWN = "all", "unknown"

MEMBERS = pl.Schema(
    {
        "site_id": pl.String,
        "segment": pl.String,
        "distance": pl.Float64,
        "known_cells": pl.Int16,
        "is_fitted": pl.Boolean,
    }
)
SHAPES = pl.Schema(
    {
        "segment": pl.String,
        "season": pl.String,
        "is_weekend": pl.Boolean,
        "local_hour": pl.Int8,
        "share": pl.Float64,
        "day_level": pl.Float64,
        "homes": pl.Int32,
    }
)


@dataclass(frozen=True, slots=True)
class Segments:
    """The segments of the homes of one source and commodity.

    Args:
        members: ``MEMBERS``, a row a home.
        shapes: ``SHAPES``, a row a segment, cell and hour that is known.
        choices: ``choosing.EVIDENCE``, a row a k.
        reason: why there are as many, in words.
    """

    members: pl.DataFrame
    shapes: pl.DataFrame
    choices: pl.DataFrame
    reason: str


def segment_homes(profiles: HomeProfiles, *, seed: int, choice: choosing.Choice | None = None) -> Segments:
    """Group homes as the evidence says, name the groups, and put every home into one.

    Args:
        profiles: the homes; each one is put into a group, known or not.
        seed: of everything that is drawn.
        choice: of an earlier fit to these homes; None weighs the evidence.
    """
    decided = choice or choosing.choose(profiles, seed=seed)
    days_kwh, shares = profiles.days_kwh(), profiles.shares()
    if decided.groups == 1:
        labels = clustering.everyone(profiles)
        known: Flags = np.any(~np.isnan(shares[:, :, 0]), axis=1)
        members = _members(profiles, [ALL] * len(profiles), np.full(len(profiles), np.nan), shares, known)
        return Segments(members, _shapes(shares, days_kwh, labels, [ALL]), decided.evidence, decided.reason)
    cells = clustering.known_cells(shares)
    with one_thread():
        fitted = clustering.fit(shares, groups=decided.groups, seed=seed, cells=cells)
    labels, distance = fitted.assign(shares)
    found = naming.names(mean_days(clustering.group_shapes(shares, labels, groups=decided.groups)))
    named = [UNKNOWN if label == clustering.NONE else found[label] for label in labels.tolist()]
    members = _members(profiles, named, distance, shares, clustering.complete_homes(shares, cells))
    return Segments(members, _shapes(shares, days_kwh, labels, found), decided.evidence, decided.reason)


def mean_days(shapes: Floats) -> Floats:
    """Shapes over all cells they know, weekdays five and weekend days two times in seven; shape (groups, 24)."""
    weight = np.array([WEEKEND_DAYS if weekend else WEEKDAYS for _, weekend in CELLS], dtype=np.float64)
    known = ~np.isnan(shapes[:, :, 0])
    total = (known * weight).sum(axis=1, keepdims=True)
    days: Floats = np.nansum(shapes * weight[None, :, None], axis=1) / np.maximum(total, 1)
    return days


def _members(
    profiles: HomeProfiles, named: list[str], distance: Floats, shares: Floats, is_fitted: Flags
) -> pl.DataFrame:
    columns = {
        "site_id": list(profiles.site_ids),
        "segment": named,
        "distance": pl.Series(distance, dtype=pl.Float64).fill_nan(None),
        "known_cells": (~np.isnan(shares[:, :, 0])).sum(axis=1),
        "is_fitted": is_fitted,
    }
    return pl.DataFrame(columns).cast(MEMBERS)


def _shapes(shares: Floats, days_kwh: Floats, labels: Labels, found: list[str]) -> pl.DataFrame:
    """The mean shape and level of every segment's days; cells that none of its homes knows have no row."""
    grouped = clustering.group_shapes(shares, labels, groups=len(found))
    levels = day_levels(days_kwh)
    parts = []
    for group, name in enumerate(found):
        for cell, (season, weekend) in enumerate(CELLS):
            of_cell = ~np.isnan(shares[labels == group, cell, 0])
            if not of_cell.any():
                continue
            known = levels[labels == group, cell]
            known = known[~np.isnan(known)]
            parts.append(
                pl.DataFrame(
                    {
                        "segment": [name] * HOURS,
                        "season": [season] * HOURS,
                        "is_weekend": [weekend] * HOURS,
                        "local_hour": range(HOURS),
                        "share": grouped[group, cell],
                        "day_level": [float(known.mean()) if len(known) else 1.0] * HOURS,
                        "homes": [int(of_cell.sum())] * HOURS,
                    }
                ).cast(SHAPES)
            )
    return pl.concat(parts) if parts else pl.DataFrame(schema=SHAPES)
