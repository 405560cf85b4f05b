"""What a training is allowed to become: the leakage sentinel, the promotion decision, its place in the audit.

Belongs here: gathering what the rules ask for. The rules: domain/forecasting/sentinel.py and promotion.py.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import duckdb
import polars as pl

from energy_platform.adapters.perturbed_features import perturbed_features, sample_history
from energy_platform.adapters.registry import Registry
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.domain.columns import PROMOTIONS
from energy_platform.domain.forecasting.bundle import REGISTERED_MODEL
from energy_platform.domain.forecasting.forecasters import recent_mean, seasonal_naive
from energy_platform.domain.forecasting.history import DaySeries, known_series_sql
from energy_platform.domain.forecasting.promotion import Candidates, Decision, champion_at, decide, promotion_rows
from energy_platform.domain.forecasting.rows import MODEL_FEATURES, design, feature_hash, issue_rows_sql
from energy_platform.domain.forecasting.sentinel import Finding, changed_by_the_future, find_leakage, too_good
from energy_platform.domain.forecasting.training import MIN_TRAINING_ROWS, PREFERRED, Training

_ROW = ["meter_id", "channel", "source", "commodity", "cutoff_date", "lead_days", "local_date"]


def find_leaks(warehouse: Warehouse, training: pl.DataFrame, *, cutoff: date) -> list[Finding]:
    """What the sentinel finds in the inputs of a run: some that know the future, the target in disguise.

    All cutoffs of a run have their inputs from the same code and its newest cutoff has the rows of all others:
    one look at that one, which takes a second, speaks for every training of the run.

    Args:
        warehouse: where days are read that are changed and computed again.
        training: rows of the newest cutoff of the run.
        cutoff: that cutoff.
    """
    day = cutoff - timedelta(days=7)
    with warehouse.connect() as connection:
        history = sample_history(connection, day=day)

        def rows_at_day(days: pl.DataFrame) -> pl.DataFrame:
            return _rows_of(connection, days, day)

        future = changed_by_the_future(rows_at_day, history, day=day) if history.height else []
    return [*future, *(find_leakage(training, features=MODEL_FEATURES) if training.height >= MIN_TRAINING_ROWS else [])]


def suspicious_outcome(trained: Training) -> list[Finding]:
    """What the sentinel finds in the errors of one training: a forecast that no honest one could be."""
    if trained.bundle is None:
        return []
    folds = trained.folds.filter(~pl.col("is_sample"))
    naive = folds.filter(pl.col("model") == seasonal_naive.NAME).select(*_ROW, naive_kwh="p50_kwh")
    tested = folds.filter(pl.col("model") == trained.model).join(naive, on=_ROW)
    return too_good(tested, actual="actual_kwh")


def _rows_of(connection: duckdb.DuckDBPyConnection, days: pl.DataFrame, day: date) -> pl.DataFrame:
    features = perturbed_features(connection, days)
    series = DaySeries.of(connection.execute(known_series_sql(features, cutoff=day)).pl())
    return design(connection.execute(issue_rows_sql(features, issue_days=[day])).pl(), series)


def decide_champion(
    warehouse: Warehouse, registry: Registry, trained: Training, *, version: str | None, leaks: list[Finding]
) -> Decision:
    """Decide at a cutoff who is champion, write it into the audit and move the alias of the registry."""
    warehouse.ensure_tables([PROMOTIONS])
    audit = warehouse.read(f"SELECT * FROM {PROMOTIONS.full_name}")
    seat = champion_at(audit, grain=REGISTERED_MODEL, before=trained.cutoff)
    seat_hash = registry.version(REGISTERED_MODEL, seat.version).feature_hash if seat and seat.version else None
    folds = trained.folds.filter(~pl.col("is_sample")) if trained.bundle is not None else _no_folds()
    decision = decide(
        folds,
        Candidates(
            dict.fromkeys(PREFERRED, version) if version is not None else {},
            feature_hash(),
            [leak.words for leak in leaks],
            (seasonal_naive.NAME, recent_mean.NAME),
        ),
        grain=REGISTERED_MODEL,
        cutoff=trained.cutoff,
        decided_at_utc=datetime.now(UTC).replace(tzinfo=None),
        seat=seat,
        seat_feature_hash=seat_hash,
    )
    if trained.bundle is None:
        decision = replace(decision, reason=trained.reason)
    warehouse.replace(PROMOTIONS, promotion_rows([decision]), where="false")
    champion = decision.champion
    if champion is None:
        registry.demote(REGISTERED_MODEL, cutoff=trained.cutoff, reason=decision.reason)
    elif champion != seat and champion.version is not None:
        registry.promote(
            REGISTERED_MODEL,
            champion.version,
            cutoff=trained.cutoff,
            reason=decision.reason,
            feature_hash=feature_hash(),
            forecaster=champion.forecaster,
        )
    return decision


def _no_folds() -> pl.DataFrame:
    """What a training with too little history has to compare."""
    texts = dict.fromkeys(("model", "source", "commodity", "meter_id", "channel"), pl.String)
    numbers = dict.fromkeys(("actual_kwh", "p10_kwh", "p50_kwh", "p90_kwh"), pl.Float64)
    return pl.DataFrame(
        schema={**texts, "cutoff_date": pl.Date, "lead_days": pl.Int8, "local_date": pl.Date, **numbers}
    )
