"""Forecasts of meters too young for a model: the profile of their peers, scaled by the days there are.

Belongs here: who the peers are, the profile, the band. Does not belong here: which meters are young
(fallbacks.py). Peers are meters of the same source and commodity with four weeks of days.
Peers of the same segment alone (domain/segments) forecast days no better: -0.6 to +0.3 % on homes kept out, within
the noise (benchmarks/segment_quality.py). Hours of the day they do: segments.expected_hours.

How far off such forecasts are is rehearsed: a week ago, each peer is forecast as if it had only as many days
as the young meter has now.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energy_platform.domain.features import HORIZON_DAYS
from energy_platform.domain.forecasting.history import Floats, Places
from energy_platform.domain.forecasting.intervals import HIGH, LOW

NAME = "cold_start"
PEER_DAYS = 28
# With fewer, a tenth quantile over them is one home.
MIN_PEERS = 5
MAX_PEERS = 500
_SCALE_FLOOR_KWH = 1e-3


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Forecasts of some young meters.

    Args:
        p10_kwh: shape (meters, leads); NaN where nothing can be said.
        p50_kwh: the same shape.
        p90_kwh: the same shape.
        peers: how many meters the profile is of.
    """

    p10_kwh: Floats
    p50_kwh: Floats
    p90_kwh: Floats
    peers: int


def cold_start(energy_kwh: Floats, young: Places, *, today: int) -> ColdStart:
    """Forecast young meters from their peers.

    Args:
        energy_kwh: days of one source and commodity, shape (meters, days), NaN where unknown.
        young: rows of the matrix to forecast; they have less than a week of known days.
        today: column of the issue day; only columns before it are read.
    """
    known = energy_kwh[:, :today]
    empty = np.full((len(young), HORIZON_DAYS), np.nan)
    p10, p50, p90 = empty.copy(), empty.copy(), empty.copy()
    peers = _peers(known)
    if len(peers) < MIN_PEERS:
        # Nobody to learn from: its own mean, as far down and up as its days went.
        for place, meter in enumerate(young):
            own = known[meter][~np.isnan(known[meter])]
            if len(own):
                p10[place], p50[place], p90[place] = own.min(), own.mean(), own.max()
        return ColdStart(p10, p50, p90, 0)
    profile = _profile(known[peers], today)
    counts = (~np.isnan(known[young])).sum(axis=1)
    for days in np.unique(counts):
        of_count = counts == days
        level = _levels(known[young[of_count]], profile, int(days), known[peers])
        low, high = _rehearsed(known[peers], int(days))
        ahead = profile[(today + np.arange(HORIZON_DAYS)) % 7]
        p50[of_count] = level[:, None] * ahead
        p10[of_count] = np.maximum(p50[of_count] + low * level[:, None], 0.0)
        p90[of_count] = p50[of_count] + high * level[:, None]
    return ColdStart(np.minimum(p10, p50), p50, np.maximum(p90, p50), len(peers))


def _peers(known: Floats) -> Places:
    recent = ~np.isnan(known[:, -PEER_DAYS - HORIZON_DAYS :])
    return np.flatnonzero(recent.sum(axis=1) >= PEER_DAYS)[:MAX_PEERS]


def _profile(peers: Floats, today: int) -> Floats:
    """Each weekday's share of the mean, over all peers; index is the column modulo 7, mean about 1."""
    recent = peers[:, -PEER_DAYS:]
    level = np.maximum(np.nanmean(recent, axis=1), _SCALE_FLOOR_KWH)
    relative = np.nanmean(np.minimum(recent / level[:, None], 3.0), axis=0)
    column = (today - recent.shape[1] + np.arange(recent.shape[1])) % 7
    return np.array([np.nanmean(relative[column == weekday]) for weekday in range(7)])


def _levels(own: Floats, profile: Floats, days: int, peers: Floats) -> Floats:
    """Level of each young meter: its days over the profile; the middle peer's while it has none."""
    if not days:
        return np.full(len(own), float(np.nanmedian(np.nanmean(peers[:, -PEER_DAYS:], axis=1))))
    weight = profile[np.arange(own.shape[1]) % 7]
    level: Floats = np.nansum(own, axis=1) / np.where(np.isnan(own), 0.0, weight).sum(axis=1)
    return level


def _rehearsed(peers: Floats, days: int) -> tuple[float, float]:
    """P10 and P90 of (actual - forecast) / level of the peers a week ago, had they had ``days`` days."""
    until = peers.shape[1] - HORIZON_DAYS
    before, after = peers[:, :until], peers[:, until:]
    profile = _profile(before, until)
    own = before[:, until - days :] if days else before[:, :0]
    weight = profile[(until - days + np.arange(days)) % 7]
    seen = np.where(np.isnan(own), 0.0, weight).sum(axis=1)
    level = np.nansum(own, axis=1) / np.where(seen > 0, seen, np.nan) if days else _levels(before, profile, 0, before)
    forecast = level[:, None] * profile[(until + np.arange(HORIZON_DAYS)) % 7]
    off = (after - forecast) / np.maximum(level, _SCALE_FLOOR_KWH)[:, None]
    off = off[~np.isnan(off)]
    if not len(off):
        return 0.0, 0.0
    return float(np.quantile(off, LOW)), float(np.quantile(off, HIGH))
