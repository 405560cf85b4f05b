"""How much of what history does not tell does a set of columns tell? Least squares on surprises.

Belongs here: the arithmetic of sentinel.py. Does not belong here: which columns are tried on which days,
the words of a finding (sentinel.py).

A *surprise* is the part of a day's energy that yesterday, the same weekday and the meter's size do not
explain. Honest inputs explain some of it (a holiday, a cold spell) and leave the noise. A column that holds
the target leaves nothing, however the meters differ in size and however predictable they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Codes: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

# Share of the surprise that no honest input was seen to explain; with a near-perfect R² less is enough.
EXPLAINED = 0.9
PERFECT_R2, EXPLAINED_WHEN_PERFECT = 0.98, 0.75
# A row counts as reproduced when what is left is below this share of its surprise.
EXACT = 0.02
EXACT_SHARE = 0.5
# Below this R² no single column is worth the closer look that survives a few incomplete days.
WORTH_A_LOOK = 0.5
# Least rows a column, or least squares fits the noise.
ROWS_PER_COLUMN = 10


@dataclass(frozen=True, slots=True)
class Fit:
    """How well some columns give the target.

    Args:
        r2: of the target, pooled or within meters, whichever is higher.
        explained: share of the surprise's variance that is explained; negative when it is made worse.
        exact_share: share of surprising rows, those unlike the known days, that come out to within 2 % of it.
    """

    r2: float
    explained: float
    exact_share: float = 0.0

    @property
    def is_suspicious(self) -> bool:
        """Whether the columns know more than history can."""
        return (
            self.explained >= EXPLAINED
            or (self.r2 > PERFECT_R2 and self.explained >= EXPLAINED_WHEN_PERFECT)
            or self.exact_share > EXACT_SHARE
        )


@dataclass(frozen=True, slots=True)
class Surprise:
    """A target with what history does not tell of it.

    Args:
        target: one value a row.
        surprise: residual of the target on what was known.
        novelty: distance of the target from the nearest of the days that were known.
        meter: number of the row's meter, from 0.
    """

    target: Floats
    surprise: Floats
    novelty: Floats
    meter: Codes

    @property
    def is_empty(self) -> bool:
        """Whether history tells everything (a constant load) or there are too few rows: nothing can be tested."""
        spread = float(self.target.std()) if self.target.size else 0.0
        return self.target.size < 10 * ROWS_PER_COLUMN or float(self.surprise.std()) <= 1e-6 * spread

    def rows(self, mask: np.ndarray[Any, np.dtype[np.bool_]]) -> Surprise:
        """Some of the rows."""
        return Surprise(self.target[mask], self.surprise[mask], self.novelty[mask], self.meter[mask])


def surprise(target: Floats, days: Floats, scale: Floats, meter: Codes) -> Surprise:
    """The target against known ``days`` of the same meter, shape (rows, days), and the meter's scale."""
    if not target.size:
        return Surprise(target, target, target, meter)
    left = target - _fitted(np.column_stack([days, scale]), target)
    return Surprise(target, left, np.abs(days - target[:, None]).min(axis=1), meter)


def single_fits(columns: Floats, of: Surprise) -> list[Fit]:
    """The fit of every column by itself, as an affine function of it over all rows."""
    total, unexplained = _squares(of.target - of.target.mean()), _squares(of.surprise)
    left = _affine_left(columns - columns.mean(axis=0), of.target - of.target.mean())
    return [Fit(1 - one / max(total, 1e-300), 1 - one / unexplained) for one in left.tolist()]


def single_fits_within(columns: Floats, of: Surprise) -> list[Fit]:
    """The fit of every column by itself within meters: each meter's means are taken off first."""
    rows, meters = len(of.target), int(of.meter.max()) + 1
    if rows < ROWS_PER_COLUMN * (meters + 1):
        return [Fit(0.0, 0.0)] * columns.shape[1]
    target = _within(of.target[:, None], of.meter)[:, 0]
    # A mean a meter is a free parameter, and is paid for.
    left = _affine_left(_within(columns, of.meter), target) * rows / (rows - meters - 1)
    total, unexplained = _squares(target), _squares(of.surprise)
    return [Fit(1 - one / max(total, 1e-300), 1 - one / unexplained) for one in left.tolist()]


def looked_at_closely(fit: Fit, column: Floats, of: Surprise) -> Fit:
    """The fit with its ``exact_share``, for a column that tells enough to be worth it."""
    if fit.r2 <= WORTH_A_LOOK:
        return fit
    return Fit(fit.r2, fit.explained, exact_share(column[:, None], of))


def joint_fit(columns: Floats, of: Surprise) -> Fit:
    """The fit of all columns together, degrees of freedom paid for."""
    rows, count = columns.shape
    if rows < ROWS_PER_COLUMN * (count + 1):
        return Fit(0.0, 0.0)
    left = _squares(of.target - _fitted(columns, of.target)) * rows / (rows - count - 1)
    total = max(_squares(of.target - of.target.mean()), 1e-300)
    return Fit(1 - left / total, 1 - left / _squares(of.surprise), exact_share(columns, of))


def smallest_subset(columns: Floats, of: Surprise, *, most: int = 12) -> list[int]:
    """Positions of few columns that together are as suspicious as all: best first, then the needless ones dropped."""
    chosen: list[int] = []
    residual = of.target - of.target.mean()
    while len(chosen) < min(most, columns.shape[1]):
        centred = columns - columns.mean(axis=0)
        if chosen:
            centred = centred - _fitted(columns[:, chosen], centred)
        norms = np.sqrt((centred**2).sum(axis=0))
        score = np.abs(centred.T @ residual) / np.where(norms > 1e-9 * max(norms.max(), 1e-300), norms, np.inf)
        score[chosen] = 0.0
        chosen.append(int(score.argmax()))
        residual = of.target - _fitted(columns[:, chosen], of.target)
        if joint_fit(columns[:, chosen], of).is_suspicious:
            break
    for position in list(chosen):
        rest = [other for other in chosen if other != position]
        if rest and joint_fit(columns[:, rest], of).is_suspicious:
            chosen = rest
    return chosen


def products(columns: Floats) -> tuple[Floats, list[tuple[int, int, str]]]:
    """Products and quotients of every pair of columns, with the pair and the sign of each."""
    count = columns.shape[1]
    made, names = [], []
    safe = np.where(columns == 0.0, np.nan, columns)
    for one in range(count):
        for other in range(count):
            if other > one:
                made.append(columns[:, one] * columns[:, other])
                names.append((one, other, "·"))
            if other != one:
                quotient = columns[:, one] / safe[:, other]
                # No quotient says nothing; the mean says nothing either.
                made.append(
                    np.where(
                        np.isfinite(quotient), quotient, np.nanmean(quotient) if np.isfinite(quotient).any() else 0.0
                    )
                )
                names.append((one, other, "/"))
    return np.stack(made, axis=1), names


def exact_share(columns: Floats, of: Surprise) -> float:
    """Share of rows unlike the known days that the columns reproduce to within ``EXACT`` of the difference.

    A target that is reproduced on complete days only has outliers on the others: the fit is made once more
    on the better half of the rows.
    """
    left = np.abs(of.target - _fitted(columns, of.target))
    better = left <= np.median(left)
    left = np.abs(of.target - _predict(columns, _coefficients(columns[better], of.target[better])))
    novel = of.novelty > 1e-3 * float(of.target.std())
    if not novel.any():
        return 0.0
    surprising = of.novelty > 0.5 * float(np.median(of.novelty[novel]))
    if surprising.sum() < ROWS_PER_COLUMN:
        return 0.0
    return float((left[surprising] < EXACT * of.novelty[surprising]).mean())


def _affine_left(columns: Floats, target: Floats) -> Floats:
    """Squares that are left of a centred target after each centred column by itself."""
    norms = (columns**2).sum(axis=0)
    slopes = columns.T @ target
    return _squares(target) - np.where(norms > 0, slopes**2 / np.where(norms > 0, norms, 1.0), 0.0)


def _within(values: Floats, meter: Codes) -> Floats:
    """Values less their meter's mean."""
    counts = np.maximum(np.bincount(meter), 1)
    means = np.stack([np.bincount(meter, weights=column) / counts for column in values.T], axis=1)
    centred: Floats = values - means[meter]
    return centred


def _coefficients(columns: Floats, target: Floats) -> Floats:
    """Least squares with a constant first. Columns may be multiples of each other: the smallest solution is taken."""
    design = np.column_stack([np.ones(len(columns)), columns])
    size = np.sqrt((design**2).mean(axis=0))
    size[size == 0.0] = 1.0
    scaled = design / size
    gram = scaled.T @ scaled
    solution: Floats = np.linalg.pinv(gram, rcond=1e-12, hermitian=True) @ (scaled.T @ target)
    solution /= size if target.ndim == 1 else size[:, None]
    return solution


def _predict(columns: Floats, coefficients: Floats) -> Floats:
    fitted: Floats = columns @ coefficients[1:] + coefficients[0]
    return fitted


def _fitted(columns: Floats, target: Floats) -> Floats:
    return _predict(columns, _coefficients(columns, target))


def _squares(values: Floats) -> float:
    return float(values @ values)
