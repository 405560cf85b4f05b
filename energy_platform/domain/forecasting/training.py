"""Train at a cutoff: backtest every forecaster, weigh them, decide, fit again on everything known.

Belongs here: the protocol of one cutoff over frames in memory. Does not belong here: what one forecaster
does (forecasters/), reading the frames or keeping the models (defs/models, adapters/registry.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta

import polars as pl

from energy_platform.domain.forecasting.bundle import Bundle
from energy_platform.domain.forecasting.forecasters import FORECASTERS, MEMBERS, combination, lightgbm, seasonal_naive
from energy_platform.domain.forecasting.history import DaySeries
from energy_platform.domain.forecasting.intervals import ResidualBands, residual_bands, with_band
from energy_platform.domain.forecasting.metrics import mean_pinball
from energy_platform.domain.forecasting.promotion import MIN_SKILL
from energy_platform.domain.forecasting.protocol import Fitted
from energy_platform.domain.forecasting.rows import BACKTEST_DAYS

# About six weeks of one meter, every lead: with less, a tree learns those weeks and nothing else.
MIN_TRAINING_ROWS = 300
# Four issues of one meter, every lead.
MIN_BACKTEST_ROWS = 28
# Of a young fleet, so that it has something to learn from.
SHORT_BACKTEST_DAYS = 28
# Series and issues that a heavy forecaster is fitted for, unless more are asked for.
HEAVY_FITS = 3
# Who is issued, if good enough, in this order.
PREFERRED = (combination.NAME, lightgbm.NAME)


@dataclass(frozen=True, slots=True)
class Training:
    """What training at one cutoff came to.

    Args:
        cutoff: nothing of this day or later was used.
        bundle: what was fitted on every training row, with bands; None when there was too little history.
        training_rows: rows of the final fit.
        backtest_rows: rows that all but the heavy forecasters are compared on.
        folds: the backtest's forecasts, naive ones included: model, meter_id, channel, source, commodity,
            cutoff_date (of the issue), lead_days, local_date, p10_kwh, p50_kwh, p90_kwh, actual_kwh and
            is_sample (a heavy forecaster, on a few series).
        metrics: backtest metrics by forecaster and name; empty without a backtest.
    """

    cutoff: date
    bundle: Bundle | None
    training_rows: int
    backtest_rows: int
    folds: pl.DataFrame = field(default_factory=pl.DataFrame)
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """The trained forecaster that did best on the backtest, of those that are issued."""
        known = [name for name in PREFERRED if name in self.metrics]
        return min(known, key=lambda name: self.metrics[name]["mae_kwh"], default=PREFERRED[0])

    @property
    def mae_kwh(self) -> float | None:
        """Backtest MAE of ``model``."""
        return self.metrics.get(self.model, {}).get("mae_kwh")

    @property
    def naive_mae_kwh(self) -> float | None:
        """Backtest MAE of the seasonal naive forecast on the same rows."""
        return self.metrics.get(seasonal_naive.NAME, {}).get("mae_kwh")

    @property
    def best_naive(self) -> str:
        """The naive forecaster with the least error: what has to be beaten."""
        known = [name for name, one in FORECASTERS.items() if one.is_naive and name in self.metrics]
        return min(known, key=lambda name: self.metrics[name]["mae_kwh"], default=seasonal_naive.NAME)

    @property
    def skill(self) -> float | None:
        """1 - backtest MAE / MAE of the best naive forecast; None without a backtest."""
        if self.mae_kwh is None:
            return None
        return 1 - self.mae_kwh / self.metrics[self.best_naive]["mae_kwh"]

    @property
    def reason(self) -> str:
        """What the training came to in words, with its figures; what follows from it is promotion.py's to say."""
        if self.bundle is None or self.naive_mae_kwh is None or self.skill is None:
            return (
                f"seasonal_naive is issued: too little history before {self.cutoff} to train and compare "
                f"({self.training_rows} training and {self.backtest_rows} backtest rows; "
                f"at least {MIN_TRAINING_ROWS} and {MIN_BACKTEST_ROWS} are needed)."
            )
        best = self.metrics[self.best_naive]["mae_kwh"]
        other = f" and {best:.4g} kWh of {self.best_naive}" if self.best_naive != seasonal_naive.NAME else ""
        figures = (
            f"backtest MAE {self.mae_kwh:.4g} kWh against {self.naive_mae_kwh:.4g} kWh of seasonal_naive{other} "
            f"on {self.backtest_rows} meter-days before {self.cutoff}"
        )
        if self.skill > MIN_SKILL:
            return f"{self.model} did best: {figures}, {self.skill:.1%} better than the best of naive."
        return f"no skill over naive; {self.model} did not beat it ({figures})."


def train(
    training: pl.DataFrame,
    held_out: pl.DataFrame,
    series: DaySeries,
    *,
    cutoff: date,
    seed: int,
    heavy_fits: int = 0,
) -> Training:
    """Backtest, weigh, compare and fit.

    The rehearsed models know only targets before the first backtest issue (``rehearsal``). The final ones are fitted on all of ``training`` and carry the bands of the backtest.

    Args:
        training: rows of ``rows.design`` with targets before ``cutoff``.
        held_out: rows of ``rows.design`` issued at ``rows.backtest_days``, targets before ``cutoff``.
        series: the known days before ``cutoff``.
        cutoff: the day at whose start the trainer stands.
        seed: of everything random.
        heavy_fits: how many series and issues a forecaster that fits each by itself is run for; 0 leaves
            those forecasters out.
    """
    series = series.before(cutoff)
    earlier, held_out = rehearsal(training, held_out, cutoff=cutoff)
    if earlier.height < MIN_TRAINING_ROWS or held_out.height < MIN_BACKTEST_ROWS:
        return Training(cutoff, None, training.height, held_out.height)
    ordinary = [name for name, one in FORECASTERS.items() if not one.is_heavy]
    sample = heavy_sample(held_out, heavy_fits)
    heavy = [name for name, one in FORECASTERS.items() if one.is_heavy and sample.height]
    rehearsed, final, sampled = _fit_all(earlier, training, sample, series, (ordinary, heavy), seed=seed)
    medians = pl.DataFrame([rehearsed[name].predict(held_out, series).alias(name) for name in ordinary])
    weights = combination.choose_weights(medians, held_out["target_kwh"], MEMBERS)
    medians = medians.with_columns(cross_weighted(medians, held_out).alias(combination.NAME))
    tested = {name: with_median(held_out, medians[name]) for name in medians.columns}
    bands = {name: residual_bands(rows) for name, rows in tested.items()}
    for name, median in sampled.items():
        tested[name] = with_median(sample, median)
        bands[name] = residual_bands(tested[name])
    return Training(
        cutoff,
        Bundle(final, weights, bands),
        training.height,
        held_out.height,
        pl.concat([_fold(rows, bands[name], name, is_sample=name in heavy) for name, rows in tested.items()]),
        {name: backtest_metrics(rows, bands[name]) for name, rows in tested.items()},
    )


def rehearsal(training: pl.DataFrame, held_out: pl.DataFrame, *, cutoff: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows to rehearse on and rows to test on: ``BACKTEST_DAYS`` where twice as many lie before them, else fewer."""
    first = cutoff - timedelta(days=BACKTEST_DAYS)
    oldest = training["local_date"].min()
    if not isinstance(oldest, date) or first - oldest < timedelta(days=2 * BACKTEST_DAYS):
        first = cutoff - timedelta(days=SHORT_BACKTEST_DAYS)
    return training.filter(pl.col("local_date") < first), held_out.filter(pl.col("cutoff_date") >= first)


def _fit_all(
    earlier: pl.DataFrame,
    training: pl.DataFrame,
    sample: pl.DataFrame,
    series: DaySeries,
    names: tuple[Sequence[str], Sequence[str]],
    *,
    seed: int,
) -> tuple[dict[str, Fitted], dict[str, Fitted], dict[str, pl.Series]]:
    """Fit the rehearsed models, the final ones, and the heavy ones on a sample, side by side.

    Two fits on one thread each use two cores better than one fit on two threads, which would wait for each other
    after every leaf; LightGBM lets go of the interpreter while it works. The heavy ones come one after the other:
    their libraries take seconds to import, and threads that import the same packages get in each other's way.

    Args:
        earlier: rows of the rehearsed models.
        training: rows of the final ones.
        sample: rows of the heavy ones.
        series: the known days.
        names: of the ordinary forecasters and of the heavy ones.
        seed: of everything random.

    Returns:
        Rehearsed and final fits, and the medians of the heavy ones on the sample, by name.
    """
    ordinary, heavy = names

    def of_the_sample() -> dict[str, pl.Series]:
        return {name: FORECASTERS[name].fit(sample, series, seed=seed).predict(sample, series) for name in heavy}

    with ThreadPoolExecutor(2) as pool:
        rehearsed = {name: pool.submit(FORECASTERS[name].fit, earlier, series, seed=seed) for name in ordinary}
        final = {name: pool.submit(FORECASTERS[name].fit, training, series, seed=seed) for name in MEMBERS}
        sampled = pool.submit(of_the_sample)
        return (
            {name: fitted.result() for name, fitted in rehearsed.items()},
            {name: fitted.result() for name, fitted in final.items()},
            sampled.result(),
        )


def with_median(rows: pl.DataFrame, median: pl.Series) -> pl.DataFrame:
    """``rows`` with a forecaster's ``p50_kwh``."""
    return rows.with_columns(median.alias("p50_kwh"))


def cross_weighted(medians: pl.DataFrame, held_out: pl.DataFrame) -> pl.Series:
    """The combination on held-out rows, each half of the issues weighed by how members did on the other half.

    Weights chosen on the rows that they are judged on would flatter the combination.
    """
    middle = held_out["cutoff_date"].unique().sort()
    is_late = held_out["cutoff_date"] >= middle[len(middle) // 2]

    def weighted_without(half: pl.Series) -> pl.Series:
        weights = combination.choose_weights(medians.filter(~half), held_out.filter(~half)["target_kwh"], MEMBERS)
        return combination.combined({name: medians[name] for name in MEMBERS}, weights)

    early, late = weighted_without(~is_late), weighted_without(is_late)
    return pl.select(pl.when(is_late).then(late).otherwise(early)).to_series()


def heavy_sample(held_out: pl.DataFrame, fits: int) -> pl.DataFrame:
    """All leads of at most ``fits`` meters and issue days: the newest issues first, meters in their order."""
    issues = held_out.select("meter_id", "channel", "cutoff_date").unique()
    chosen = issues.sort("cutoff_date", "meter_id", "channel", descending=[True, False, False]).head(fits)
    return held_out.join(chosen, on=chosen.columns, how="semi", maintain_order="left")


def _fold(rows: pl.DataFrame, bands: ResidualBands, name: str, *, is_sample: bool) -> pl.DataFrame:
    banded = with_band(rows.filter(pl.col("p50_kwh").is_not_null()), bands)
    return banded.select(
        pl.lit(name).alias("model"),
        "meter_id",
        "channel",
        "source",
        "commodity",
        "cutoff_date",
        pl.col("lead").alias("lead_days"),
        "local_date",
        "p10_kwh",
        "p50_kwh",
        "p90_kwh",
        pl.col("target_kwh").alias("actual_kwh"),
        pl.lit(is_sample).alias("is_sample"),
    )


def backtest_metrics(tested: pl.DataFrame, bands: ResidualBands) -> dict[str, float]:
    """MAE, RMSE and pinball loss of a backtest, and MAE by lead.

    The bands come from the same rows, so the pinball loss is slightly flattering; coverage, which would
    be 80 % by construction, is left to the scores of issued forecasts.
    """
    known = tested.filter(pl.col("p50_kwh").is_not_null())
    error = pl.col("p50_kwh") - pl.col("target_kwh")
    whole = with_band(known, bands).select(
        mae_kwh=error.abs().mean(), rmse_kwh=error.pow(2).mean().sqrt(), pinball_kwh=mean_pinball("target_kwh").mean()
    )
    by_lead = known.group_by("lead", maintain_order=True).agg(mae=error.abs().mean()).sort("lead")
    return whole.row(0, named=True) | {f"mae_kwh_lead_{lead}": mae for lead, mae in by_lead.iter_rows()}
