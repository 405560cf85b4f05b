"""How many groups there are, and whether there are any.

Belongs here: the evidence for every k and the rule that decides by it. Does not belong here: the
grouping itself (clustering.py).

For k from 2 to 8:

- silhouette (Rousseeuw 1987): how much nearer homes are to their own group than to the next;
- gap (Tibshirani, Walther, Hastie 2001): how much tighter the groups are than those of points spread evenly;
- stability: adjusted Rand index (Hubert, Arabie 1985) between the grouping and those of resampled homes,
  embedding included. Resampled twice: by bootstrap (with replacement, the stricter figure: a draw holds 63 % of
  the homes, and a kind that two homes have is missing from every seventh draw), and as subsamples of 80 % of the
  homes (Ben-Hur, Elisseeff, Guyon 2002), by which it is judged;
- held-out error: homes kept out of the grouping are assigned by every other four weeks, and the mean shape of
  their group is held against the four weeks between; total variation distance, 0 is best, 1 worst.

A k is admissible with a silhouette of at least 0.25 ("weak structure", Kaufman, Rousseeuw 1990), a mean ARI of
subsamples of at least 0.65 ("moderate", Steinley 2004) and a held-out error below that of no groups by more than
a standard error. The smallest admissible k that does no worse than the best one is taken: by no more than a standard
error of their difference home by home (Breiman et al. 1984), or than a fiftieth of the error without groups. With
none, there is one group.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from energy_platform.domain.segments import clustering
from energy_platform.domain.segments.shapes import Floats, HomeProfiles, Labels
from energy_platform.domain.threads import one_thread

LEAST_HOMES = 12
MOST_GROUPS = 8
# A group of fewer than four is a few homes, not a kind of home.
HOMES_A_GROUP = 4
SILHOUETTE_FLOOR = 0.25
STABILITY_FLOOR = 0.65
RESAMPLES, REFERENCES, FOLDS = 40, 10, 5
SUBSAMPLE_SHARE = 0.8
NEXT_TO_NOTHING = 0.02
# The evidence needs no more homes than this, and its cost grows with them.
EVIDENCE_HOMES = 300
_RESAMPLE_STARTS = 4

EVIDENCE = pl.Schema(
    {
        "k": pl.Int16,
        "homes": pl.Int32,
        "silhouette": pl.Float64,
        "gap": pl.Float64,
        "gap_se": pl.Float64,
        "subsample_ari": pl.Float64,
        "bootstrap_ari": pl.Float64,
        "bootstrap_ari_p10": pl.Float64,
        "bootstrap_ari_p90": pl.Float64,
        "heldout_error": pl.Float64,
        "heldout_gain": pl.Float64,
        "heldout_gain_se": pl.Float64,
        "is_chosen": pl.Boolean,
        "reason": pl.String,
    }
)


@dataclass(frozen=True, slots=True)
class Choice:
    """The k that was taken, and the evidence for each.

    Args:
        groups: 1 where there are no groups.
        reason: the decision in words.
        evidence: ``EVIDENCE``, one row a k that was looked at.
    """

    groups: int
    reason: str
    evidence: pl.DataFrame


def choose(profiles: HomeProfiles, *, seed: int) -> Choice:
    """Weigh every k on the homes whose cells are all known; a sample of them where there are many."""
    shares = profiles.shares()
    cells = clustering.known_cells(shares)
    homes = np.flatnonzero(clustering.complete_homes(shares, cells))
    if len(homes) < LEAST_HOMES:
        reason = f"too few homes to group: {len(homes)} with every season known, and {LEAST_HOMES} are needed"
        return _one_group(len(homes), reason)
    if len(homes) > EVIDENCE_HOMES:
        homes = np.sort(np.random.default_rng(seed).choice(homes, EVIDENCE_HOMES, replace=False))
    with one_thread():
        return _weigh(profiles.only(homes), cells, seed=seed)


def _weigh(known: HomeProfiles, cells: Labels, *, seed: int) -> Choice:
    """The evidence on homes that know every cell."""
    rng, shares, homes = np.random.default_rng(seed), known.shares(), len(known)
    ks = list(range(2, min(MOST_GROUPS, homes // HOMES_A_GROUP) + 1))
    errors = heldout_errors(known, [1, *ks], cells, seed=seed)
    rows = []
    for k in ks:
        fitted = clustering.fit(shares, groups=k, seed=seed, cells=cells)
        points = fitted.points(shares)
        labels, _ = fitted.assign(shares)
        bootstrap, subsamples = stability(shares, k, cells, rng=rng, seed=seed)
        gain = errors[0] - errors[k - 1]
        gap, gap_se = gap_statistic(points, k, rng=rng, seed=seed)
        rows.append(
            {
                "k": k,
                "homes": homes,
                "silhouette": silhouette(points, labels),
                "gap": gap,
                "gap_se": gap_se,
                "subsample_ari": float(subsamples.mean()),
                "bootstrap_ari": float(bootstrap.mean()),
                "bootstrap_ari_p10": float(np.quantile(bootstrap, 0.1)),
                "bootstrap_ari_p90": float(np.quantile(bootstrap, 0.9)),
                "heldout_error": float(errors[k - 1].mean()),
                "heldout_gain": float(gain.mean() / errors[0].mean()),
                "heldout_gain_se": float(gain.std(ddof=1) / np.sqrt(len(gain)) / errors[0].mean()),
            }
        )
    return decide(pl.DataFrame(rows), errors)


def decide(evidence: pl.DataFrame, errors: Floats) -> Choice:
    """The rule of this module on the evidence of each k.

    Args:
        evidence: ``EVIDENCE`` without its last two columns, k from 2 on.
        errors: held-out error by k (from 1 on) and home.
    """
    clear = pl.col("silhouette") >= SILHOUETTE_FLOOR
    stable = pl.col("subsample_ari") >= STABILITY_FLOOR
    useful = pl.col("heldout_gain") > pl.col("heldout_gain_se")
    admissible = evidence.filter(clear & stable & useful)
    homes = int(evidence["homes"][0])
    if not admissible.is_empty():
        ks = admissible["k"].to_list()
        best = min(ks, key=lambda k: float(errors[k - 1].mean()))
        chosen = min(k for k in ks if _no_worse(errors[k - 1], errors[best - 1], of=errors[0]))
        row = evidence.filter(pl.col("k") == chosen).row(0, named=True)
        reason = (
            f"{chosen} groups of {homes} homes: silhouette {row['silhouette']:.2f}, ARI of subsamples "
            f"{row['subsample_ari']:.2f} (bootstrap {row['bootstrap_ari']:.2f}), shapes of homes kept out "
            f"{row['heldout_gain']:.1%} nearer than without groups"
        )
    else:
        chosen = 1
        reason = f"no grouping of {homes} homes into 2 to {evidence.height + 1} is clear, stable and of use at once"
    told = evidence.with_columns(
        is_chosen=pl.col("k") == chosen,
        reason=pl.when(pl.col("k") == chosen)
        .then(pl.lit(reason))
        .when(~clear)
        .then(pl.lit(f"silhouette below {SILHOUETTE_FLOOR}"))
        .when(~stable)
        .then(pl.lit(f"ARI of subsamples below {STABILITY_FLOOR}"))
        .when(~useful)
        .then(pl.lit("no gain on homes kept out beyond a standard error"))
        .otherwise(pl.lit("admissible; another k is smaller, or gains more on homes kept out")),
    )
    none = _one_group(homes, reason if chosen == 1 else "the baseline: everybody together").evidence
    none = none.with_columns(heldout_error=pl.lit(float(errors[0].mean())), is_chosen=pl.lit(chosen == 1))
    return Choice(chosen, reason, pl.concat([none, told.select(EVIDENCE.names()).cast(EVIDENCE)]))


def _no_worse(errors: Floats, best: Floats, *, of: Floats) -> bool:
    """Whether errors exceed the best by at most a standard error of the difference, or next to nothing of another."""
    worse = errors - best
    return bool(worse.mean() <= max(worse.std(ddof=1) / np.sqrt(len(worse)), NEXT_TO_NOTHING * of.mean()))


def _one_group(homes: int, reason: str) -> Choice:
    blank = dict.fromkeys(EVIDENCE.names()) | {"k": 1, "homes": homes, "is_chosen": True, "reason": reason}
    return Choice(1, reason, pl.DataFrame([blank], schema=EVIDENCE))


def silhouette(points: Floats, labels: Labels) -> float:
    """Mean silhouette, -1 to 1; 0 with one group."""
    from sklearn.metrics import silhouette_score

    return float(silhouette_score(points, labels)) if len(np.unique(labels)) > 1 else 0.0


def stability(
    shares: Floats, groups: int, cells: Labels, *, rng: np.random.Generator, seed: int
) -> tuple[Floats, Floats]:
    """ARI of the grouping with that of each of ``RESAMPLES`` bootstrap draws, and of as many subsamples."""
    from sklearn.metrics import adjusted_rand_score

    labels, _ = clustering.fit(shares, groups=groups, seed=seed, cells=cells).assign(shares)
    homes = len(shares)
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(RESAMPLES):
        draws = (rng.integers(0, homes, homes), rng.permutation(homes)[: round(SUBSAMPLE_SHARE * homes)])
        for kept, drawn in zip(found, draws, strict=True):
            again = clustering.fit(shares[drawn], groups=groups, seed=seed, cells=cells, starts=_RESAMPLE_STARTS)
            kept.append(adjusted_rand_score(labels, again.assign(shares)[0]))
    return np.array(found[0]), np.array(found[1])


def gap_statistic(points: Floats, groups: int, *, rng: np.random.Generator, seed: int) -> tuple[float, float]:
    """Gap and its standard error: log spread of even points less that of these; above 0 is tighter than even."""
    spread = _log_spread(points, groups, seed=seed)
    low, high = points.min(axis=0), points.max(axis=0)
    even = [_log_spread(rng.uniform(low, high, points.shape), groups, seed=seed) for _ in range(REFERENCES)]
    return float(np.mean(even) - spread), float(np.std(even) * np.sqrt(1 + 1 / REFERENCES))


def _log_spread(points: Floats, groups: int, *, seed: int) -> float:
    centres = clustering.k_means(points, groups=groups, seed=seed, starts=_RESAMPLE_STARTS)
    nearest = ((points[:, None] - centres[None]) ** 2).sum(axis=2).min(axis=1)
    return float(np.log(max(nearest.sum(), 1e-12)))


def heldout_errors(profiles: HomeProfiles, ks: list[int], cells: Labels, *, seed: int) -> Floats:
    """Total variation distance of homes to the shape of a group they were no part of, shape (ks, homes)."""
    everything, halves = profiles.shares(), [profiles.shares(half, least_hours=2)[:, cells] for half in (0, 1)]
    folds = np.random.default_rng(seed).permutation(len(profiles)) % FOLDS
    errors = np.full((len(ks), len(profiles)), np.nan)
    for fold in range(FOLDS):
        inside, outside = everything[folds != fold], np.flatnonzero(folds == fold)
        for row, k in enumerate(ks):
            fitted = clustering.fit(inside, groups=k, seed=seed, cells=cells)
            shapes = clustering.group_shapes(inside, fitted.assign(inside)[0], groups=k)[:, cells]
            both = []
            for half in (0, 1):
                padded = np.full((len(outside), *everything.shape[1:]), np.nan)
                padded[:, cells] = halves[half][outside]
                labels, _ = fitted.assign(padded)
                other = halves[1 - half][outside]
                distance = 0.5 * np.abs(other - shapes[np.maximum(labels, 0)]).sum(axis=2)
                distance[labels == clustering.NONE] = np.nan
                both.append(distance)
            together = np.concatenate(both, axis=1)
            known = ~np.isnan(together)
            errors[row, outside] = np.nansum(together, axis=1) / np.maximum(known.sum(axis=1), 1)
            errors[row, outside[~known.any(axis=1)]] = np.nan
    return errors[:, ~np.isnan(errors).any(axis=0)]
