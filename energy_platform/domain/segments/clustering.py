"""Homes as points, and the points in k groups.

Belongs here: the few numbers a shape is reduced to, k-means on them, the group of a home that was not
there. Does not belong here: which k (choosing.py), what a group is called (naming.py).

A day's shares are summed over seven parts of the day and their square roots taken (Hellinger distance:
a night heater with half its energy in six hours does not outweigh all others), all cells side by side;
their principal components, as many as hold 70 % of the variance, are the point. On the 52 London homes
that takes three components of 56 features; what is left out is mostly noise of single parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energy_platform.domain.segments.shapes import CELLS, HOURS, Flags, Floats, HomeProfiles, Labels

# Night, breakfast, morning, afternoon, early and late evening, late: hours from, and the end of the last.
PARTS = (0, 6, 9, 12, 16, 19, 22, HOURS)
# A cell that fewer homes know would make those few the only ones that count.
CELL_KNOWN_SHARE = 0.8
VARIANCE_SHARE = 0.7
LEAST_COMPONENTS, MOST_COMPONENTS = 2, 6
STARTS = 10
NONE = -1


@dataclass(frozen=True, slots=True)
class Segmentation:
    """A grouping of homes, which also takes in homes that it was not made of.

    Args:
        cells: numbers of the cells (in ``CELLS``) that the points are made of.
        mean: centre of the features, shape (cells × parts,).
        axes: principal axes, shape (components, cells × parts).
        centres: one point a group, shape (groups, components); groups in order of size.
    """

    cells: Labels
    mean: Floats
    axes: Floats
    centres: Floats

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return len(self.centres)

    def points(self, shares: Floats) -> Floats:
        """Homes as points, shape (homes, components); NaN for homes that know none of the cells.

        A home that knows some of the cells is put where it fits those best (least squares).
        """
        features = as_features(shares[:, self.cells]) - self.mean
        points = np.full((len(shares), len(self.axes)), np.nan)
        known = ~np.isnan(features)
        whole = known.all(axis=1)
        points[whole] = features[whole] @ self.axes.T
        for pattern in np.unique(known[~whole], axis=0):
            if pattern.any():
                homes = (known == pattern).all(axis=1)
                fitted, *_ = np.linalg.lstsq(self.axes[:, pattern].T, features[homes][:, pattern].T, rcond=None)
                points[homes] = fitted.T
        return points

    def assign(self, shares: Floats) -> tuple[Labels, Floats]:
        """The nearest group of each home (``NONE`` where nothing is known of it), and the distance to its centre."""
        distance = np.linalg.norm(self.points(shares)[:, None] - self.centres[None], axis=2)
        unknown = np.isnan(distance).any(axis=1)
        nearest = np.where(unknown, NONE, np.argmin(np.nan_to_num(distance), axis=1)).astype(np.int64)
        return nearest, np.where(unknown, np.nan, distance.min(axis=1))


def as_features(shares: Floats) -> Floats:
    """Shares of shape (homes, cells, 24) as square roots of parts of the day, shape (homes, cells × parts)."""
    parts = np.add.reduceat(shares, PARTS[:-1], axis=2)
    roots: Floats = np.sqrt(parts).reshape(len(shares), -1)
    return roots


def known_cells(shares: Floats) -> Labels:
    """Numbers of the cells that enough homes know."""
    known = ~np.isnan(shares[:, :, 0])
    anywhere = known[known.any(axis=1)]
    return np.flatnonzero(anywhere.mean(axis=0) >= CELL_KNOWN_SHARE) if len(anywhere) else np.empty(0, dtype=np.int64)


def complete_homes(shares: Floats, cells: Labels) -> Flags:
    """Homes that know each of the cells: those that groups are made of."""
    if not len(cells):
        return np.zeros(len(shares), dtype=np.bool_)
    whole: Flags = np.all(~np.isnan(shares[:, cells, 0]), axis=1)
    return whole


def fit(shares: Floats, *, groups: int, seed: int, cells: Labels | None = None, starts: int = STARTS) -> Segmentation:
    """Group the homes that know every cell.

    Args:
        shares: shape (homes, cells, 24), NaN where unknown.
        groups: how many; 1 puts all together.
        seed: of the starts of k-means.
        cells: numbers of the cells to use; None takes those that enough homes know.
        starts: how often k-means begins anew; the best is kept.
    """
    used = known_cells(shares) if cells is None else cells
    features = as_features(shares[complete_homes(shares, used)][:, used])
    mean, axes = principal_axes(features)
    points = (features - mean) @ axes.T
    if groups == 1:
        return Segmentation(used, mean, axes, points.mean(axis=0, keepdims=True))
    return Segmentation(used, mean, axes, k_means(points, groups=groups, seed=seed, starts=starts))


def k_means(points: Floats, *, groups: int, seed: int, starts: int = STARTS) -> Floats:
    """Centres by k-means, the largest group first; shape (groups, components)."""
    from sklearn.cluster import KMeans

    fitted = KMeans(groups, n_init=starts, random_state=seed).fit(points)
    order = np.argsort(-np.bincount(fitted.labels_, minlength=groups), kind="stable")
    centres: Floats = fitted.cluster_centers_[order]
    return centres


def principal_axes(features: Floats) -> tuple[Floats, Floats]:
    """Mean, and the axes that hold ``VARIANCE_SHARE`` of the variance about it, shape (components, features)."""
    mean = features.mean(axis=0)
    _, sizes, axes = np.linalg.svd(features - mean, full_matrices=False)
    held = np.cumsum(sizes**2) / max(float((sizes**2).sum()), 1e-12)
    needed = int(np.searchsorted(held, VARIANCE_SHARE)) + 1
    return mean, axes[: min(max(needed, LEAST_COMPONENTS), MOST_COMPONENTS, len(axes))]


def group_shapes(shares: Floats, labels: Labels, *, groups: int) -> Floats:
    """Mean shape of each group's homes, shape (groups, cells, 24); NaN for a cell that none of them knows."""
    found = np.full((groups, len(CELLS), HOURS), np.nan)
    for group in range(groups):
        members = shares[labels == group]
        count = (~np.isnan(members)).sum(axis=0)
        np.divide(np.nansum(members, axis=0), count, out=found[group], where=count > 0)
    return found


def everyone(profiles: HomeProfiles) -> Labels:
    """All homes in one group."""
    return np.zeros(len(profiles), dtype=np.int64)


def evidence_homes(profiles: HomeProfiles) -> int:
    """How many homes know every cell that groups are made by."""
    shares = profiles.shares()
    return int(complete_homes(shares, known_cells(shares)).sum())
