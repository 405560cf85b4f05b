"""What changed between two refits: homes that moved, and shapes that did.

Belongs here: which old segment is which new one, and the two figures. Does not belong here: the refits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from energy_platform.domain.segments.segmenting import UNKNOWN
from energy_platform.domain.segments.shapes import Floats


@dataclass(frozen=True, slots=True)
class Drift:
    """What a refit changed.

    Args:
        homes_compared: homes that both fits put into a segment.
        changed_share: part of them that is in another segment than the one that goes on their old one; 0 to 1.
        movement: mean total variation distance of a home's old segment shape and the one that goes on it,
            over cells that both know; 0 (same) to 1.
        became: the new segment of each old one that goes on, as "old → new".
    """

    homes_compared: int
    changed_share: float
    movement: float
    became: str


def drift(
    before: pl.DataFrame, after: pl.DataFrame, *, shapes_before: pl.DataFrame, shapes_after: pl.DataFrame
) -> Drift | None:
    """Compare two fits; None when they share no home.

    A new segment goes on the old one with which it shares the most homes, one to one (Hungarian method).

    Args:
        before: ``site_id``, ``segment`` of the earlier fit.
        after: the same of the later one.
        shapes_before: ``segment``, ``season``, ``is_weekend``, ``local_hour``, ``share`` of the earlier fit.
        shapes_after: the same of the later one.
    """
    from scipy.optimize import linear_sum_assignment

    both = (
        before.select("site_id", old="segment")
        .join(after.select("site_id", new="segment"), on="site_id")
        .filter((pl.col("old") != UNKNOWN) & (pl.col("new") != UNKNOWN))
    )
    if both.is_empty():
        return None
    counts = both.group_by("old", "new").len()
    old, new = sorted(counts["old"].unique()), sorted(counts["new"].unique())
    shared = np.zeros((len(old), len(new)))
    for one, other, homes in counts.iter_rows():
        shared[old.index(one), new.index(other)] = homes
    rows, columns = linear_sum_assignment(-shared)
    pairs = {old[row]: new[column] for row, column in zip(rows, columns, strict=True)}
    stayed = sum(shared[old.index(one), new.index(other)] for one, other in pairs.items())
    weights = {one: float(shared[old.index(one)].sum()) for one in pairs}
    moved = [
        weights[one] * _distance(_of(shapes_before, one), _of(shapes_after, other)) for one, other in pairs.items()
    ]
    return Drift(
        homes_compared=both.height,
        changed_share=1 - float(stayed) / both.height,
        movement=sum(moved) / sum(weights.values()),
        became=", ".join(f"{one} → {other}" for one, other in sorted(pairs.items())),
    )


def _of(shapes: pl.DataFrame, segment: str) -> pl.DataFrame:
    return shapes.filter(pl.col("segment") == segment).select("season", "is_weekend", "local_hour", "share")


def _distance(one: pl.DataFrame, other: pl.DataFrame) -> float:
    """Total variation distance of two shapes, mean over the cells that both have; 0 without any."""
    both = one.join(other, on=["season", "is_weekend", "local_hour"], suffix="_other")
    cells = both.group_by("season", "is_weekend").agg(
        distance=0.5 * (pl.col("share") - pl.col("share_other")).abs().sum()
    )
    found: Floats = cells["distance"].to_numpy()
    return float(found.mean()) if len(found) else 0.0
