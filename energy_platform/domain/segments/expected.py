"""What a young home is expected to use in each hour of a day: its own level, in the shape of its segment.

Belongs here: the cold start by hour, also the baseline for a home's first anomalies. Does not belong here:
forecasts of days (domain/forecasting/cold_start.py): there segments gain nothing on homes kept out, +0.3 ± 0.9 % and
-0.6 ± 0.5 %, so they are not used. By hour they save 1.6 to 2.1 % of the error, ± 0.4 to 0.7 (benchmarks/segment_quality.py).
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from energy_platform.domain.segments.shapes import (
    BLOCK_DAYS,
    HOURS,
    LEAST_DAY_KWH,
    SEASONS,
    Floats,
    season_of,
)

# From four weeks on a home's own profile is as good.
YOUNG_DAYS = 28
# A home's own hours weigh as much as its segment's after a week.
OWN_DAYS = 7.0

EXPECTED = pl.Schema(
    {
        "site_id": pl.String,
        "segment": pl.String,
        "season": pl.String,
        "is_weekend": pl.Boolean,
        "local_hour": pl.Int8,
        "known_days": pl.Float64,
        "own_weight": pl.Float64,
        "expected_kwh": pl.Float64,
    }
)


def young_sql(
    *,
    cutoff: date,
    blocks: str = "intermediate.int_meter_hour_blocks",
    meters: str = "intermediate.int_meters_in_totals",
) -> str:
    """Hours of every home of one source and commodity (two bound values) that has fewer than ``YOUNG_DAYS`` days.

    Args:
        cutoff: the season of this day is the one that is ahead; homes silent for two blocks before it are left out.
        blocks: relation with sums by meter, block, kind of day and local hour.
        meters: relation that says which meters count in a site's total.
    """
    newest = (cutoff - date(1969, 12, 29)).days // BLOCK_DAYS
    return f"""
WITH sums AS (
    SELECT m.site_id, b.meter_no, b.is_weekend, b.local_hour, sum(b.energy_kwh) AS energy_kwh, sum(b.hours) AS hours,
        max(b.block_number) AS newest
    FROM {blocks} AS b
    JOIN {meters} AS m USING (meter_no)
    WHERE m.is_in_site_total AND m.source = ? AND m.commodity = ?
    GROUP BY ALL
),
homes AS (
    SELECT site_id, is_weekend, local_hour, sum(energy_kwh / hours) AS mean_kwh, CAST(min(hours) AS DOUBLE) AS hours,
        max(newest) AS newest
    FROM sums GROUP BY ALL
)
SELECT site_id, is_weekend, local_hour, mean_kwh, hours
FROM homes
QUALIFY sum(hours) OVER (PARTITION BY site_id) < {YOUNG_DAYS * HOURS}
    AND max(newest) OVER (PARTITION BY site_id) >= {newest - 1}
ORDER BY ALL
""".strip()


def expected_hours(young: pl.DataFrame, shapes: pl.DataFrame, *, day: date) -> pl.DataFrame:
    """Expected energy by hour of weekdays and weekend days in the season of ``day``.

    The nearest segment by the hours there are (Hellinger distance), its shape at the home's own level, drawn
    towards the home's own hours as they become more: weight days / (days + ``OWN_DAYS``).

    Args:
        young: what ``young_sql`` gives.
        shapes: ``segment``, ``season``, ``is_weekend``, ``local_hour``, ``share``, ``day_level`` of one fit.
        day: whose season is ahead.

    Returns:
        ``EXPECTED``: 48 rows a home; none for homes that use next to nothing.
    """
    season, names, relative = shapes_ahead(shapes, day)
    if not names or young.is_empty():
        return pl.DataFrame(schema=EXPECTED)
    sites = young["site_id"].unique().sort()
    where = (
        sites.search_sorted(young["site_id"]).to_numpy(),
        young["is_weekend"].cast(pl.Int64).to_numpy(),
        young["local_hour"].cast(pl.Int64).to_numpy(),
    )
    mean_kwh, hours = np.full((len(sites), 2, HOURS), np.nan), np.zeros((len(sites), 2, HOURS))
    mean_kwh[where], hours[where] = young["mean_kwh"].to_numpy(), young["hours"].to_numpy()
    nearest = nearest_shapes(mean_kwh, relative)
    expected, weight = expect(mean_kwh, hours, relative[nearest])
    known_days = hours.sum(axis=(1, 2)) / HOURS
    kept = (~np.isnan(expected).any(axis=(1, 2))) & (np.nan_to_num(mean_kwh).max(axis=1).sum(axis=1) >= LEAST_DAY_KWH)
    count = len(sites) * 2 * HOURS
    frame = pl.DataFrame(
        {
            "site_id": np.repeat(sites.to_numpy(), 2 * HOURS),
            "segment": np.repeat(np.array(names, dtype=object)[nearest], 2 * HOURS),
            "season": [season] * count,
            "is_weekend": np.tile(np.repeat([False, True], HOURS), len(sites)),
            "local_hour": np.tile(np.arange(HOURS), 2 * len(sites)),
            "known_days": np.repeat(known_days, 2 * HOURS),
            "own_weight": weight.ravel(),
            "expected_kwh": expected.ravel(),
        }
    ).cast(EXPECTED)
    return frame.filter(pl.Series(np.repeat(kept, 2 * HOURS)))


def shapes_ahead(shapes: pl.DataFrame, day: date) -> tuple[str, list[str], Floats]:
    """Season, segments and shapes (see ``relative_shapes``) to expect from ``day`` on.

    In the first year the season ahead has no shapes yet: the one before stands in, then the one after.
    """
    ahead = season_of(day)
    for shift in (0, -1, 1, 2):
        season = SEASONS[(ahead + shift) % len(SEASONS)]
        names, relative = relative_shapes(shapes.filter(pl.col("season") == season))
        if names:
            return season, names, relative
    return SEASONS[ahead], [], np.empty((0, 2, HOURS))


def relative_shapes(shapes: pl.DataFrame) -> tuple[list[str], Floats]:
    """Segments that know both kinds of day, and each hour over the home's mean hour, shape (segments, 2, 24)."""
    names, found = [], []
    for (name,), rows in shapes.sort("segment", "is_weekend", "local_hour").group_by("segment", maintain_order=True):
        if rows.height == 2 * HOURS:
            names.append(str(name))
            found.append((rows["share"] * rows["day_level"] * HOURS).to_numpy().reshape(2, HOURS))
    return names, np.stack(found) if found else np.empty((0, 2, HOURS))


def nearest_shapes(mean_kwh: Floats, relative: Floats) -> np.ndarray:
    """Number of the shape that each home's known hours are nearest to; shape (homes,)."""
    known = ~np.isnan(mean_kwh)
    own = np.nan_to_num(np.maximum(mean_kwh, 0.0))
    # Over the hours the home knows, both are shares.
    own_share = own / np.maximum(own.sum(axis=(1, 2), keepdims=True), 1e-9)
    theirs = relative[None] * known[:, None]
    their_share = theirs / np.maximum(theirs.sum(axis=(2, 3), keepdims=True), 1e-9)
    distance = ((np.sqrt(own_share)[:, None] - np.sqrt(their_share)) ** 2).sum(axis=(2, 3))
    nearest: np.ndarray = np.argmin(distance, axis=1)
    return nearest


def expect(mean_kwh: Floats, hours: Floats, relative: Floats) -> tuple[Floats, Floats]:
    """Expected energy of every hour, and the weight that the home's own hours have in it.

    Args:
        mean_kwh: own mean hours, shape (homes, 2, 24), NaN where there were none.
        hours: how many hours each is taken over.
        relative: shape of each home's segment over its mean hour, same shape.
    """
    weight = hours / (hours + OWN_DAYS)
    used, shaped = np.nansum(mean_kwh * hours, axis=(1, 2)), (relative * hours).sum(axis=(1, 2))
    level = np.divide(used, shaped, out=np.full(len(used), np.nan), where=shaped > 0)
    by_shape = level[:, None, None] * relative
    expected: Floats = np.where(hours > 0, weight * np.nan_to_num(mean_kwh), 0.0) + (1 - weight) * by_shape
    return expected, weight
