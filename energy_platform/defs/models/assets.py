"""models: at each weekly cutoff every forecaster is backtested, the models are trained, compared, registered.

Belongs here: reading, calling, writing. How a cutoff is trained and decided: domain/forecasting/training.py.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import polars as pl

from energy_platform.adapters.known_features import known_features
from energy_platform.adapters.registry import (
    CUTOFF_TAG,
    FEATURE_HASH_TAG,
    MODEL_TAG,
    Formula,
    Registry,
    RunRecord,
    git_commit,
)
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.metadata import markdown_table, row_count, table_spec
from energy_platform.defs.models.deciding import decide_champion, find_leaks, suspicious_outcome
from energy_platform.defs.partitions import weekly_cutoffs
from energy_platform.domain.columns import (
    BACKTESTS,
    DECISIONS,
    FEATURES_METER_DAYS,
    METER_DAYS,
    PROMOTIONS,
    RESIDUALS,
    Table,
)
from energy_platform.domain.forecasting.backtests import backtest_rows, leaderboard_of, residual_rows
from energy_platform.domain.forecasting.bundle import REGISTERED_MODEL
from energy_platform.domain.forecasting.forecasters import lightgbm
from energy_platform.domain.forecasting.history import DaySeries, known_series_sql
from energy_platform.domain.forecasting.promotion import Decision, promotion_rows
from energy_platform.domain.forecasting.rows import (
    MODEL_FEATURES,
    backtest_rows_sql,
    count_issues_sql,
    design_together,
    feature_hash,
    leads_for,
    stride_for,
    training_rows_sql,
)
from energy_platform.domain.forecasting.training import HEAVY_FITS, Training, train
from energy_platform.serving.model_charts import leaderboard_files
from energy_platform.settings import PROJECT_ROOT, Settings

KEY = dg.AssetKey([DECISIONS.schema, DECISIONS.name])
_FEATURES = [FEATURES_METER_DAYS.schema, FEATURES_METER_DAYS.name]


class TrainingConfig(dg.Config):
    """What a run of the training may be asked for besides its cutoffs."""

    # Prophet and AutoETS are fitted series by series: 0.1 to 0.3 s each. They are compared at the newest
    # cutoff of a run, on this many series and issues.
    heavy_fits: int = HEAVY_FITS


@dg.multi_asset(
    name="models_decisions",
    specs=[
        table_spec(
            DECISIONS,
            description="The trained model against the naive forecasts, and which of them is issued from then on.",
            kinds={"lightgbm", "mlflow"},
            deps=[_FEATURES],
        ),
        table_spec(
            PROMOTIONS,
            description="The audit: every decision about the champion, by a training or a person, and why.",
            kinds={"mlflow"},
            deps=[_FEATURES],
        ),
        table_spec(
            BACKTESTS,
            description="How every forecaster did on the four weeks before the cutoff, which it had not seen.",
            kinds={"lightgbm", "sklearn"},
            deps=[_FEATURES],
        ),
        table_spec(
            RESIDUALS,
            description="How the trained model erred on each meter in those weeks.",
            kinds={"polars"},
            deps=[_FEATURES],
        ),
    ],
    partitions_def=weekly_cutoffs,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="warehouse",
)
def models_decisions(
    context: dg.AssetExecutionContext,
    config: TrainingConfig,
    warehouse: dg.ResourceParam[Warehouse],
    registry: dg.ResourceParam[Registry],
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.MaterializeResult[None]]:
    """Train at every cutoff of the run, oldest first; each knows only the days before it."""
    commit = git_commit(PROJECT_ROOT)
    cutoffs = [date.fromisoformat(key) for key in context.partition_keys]
    decisions, backtests, residuals, audit = [], [], [], []
    newest_rows = read_rows(warehouse, cutoffs[-1])
    leaks = find_leaks(warehouse, newest_rows[0], cutoff=cutoffs[-1])
    for cutoff in cutoffs:
        training, held_out, series, newest = newest_rows if cutoff == cutoffs[-1] else read_rows(warehouse, cutoff)
        heavy_fits = config.heavy_fits if cutoff == cutoffs[-1] else 0
        trained = train(training, held_out, series, cutoff=cutoff, seed=settings.seed, heavy_fits=heavy_fits)
        tags = {
            CUTOFF_TAG: cutoff.isoformat(),
            FEATURE_HASH_TAG: feature_hash(),
            "newest_available_at_utc": newest,
            "git_commit": commit,
            "seed": str(settings.seed),
        }
        backtests.append(backtest_rows(trained.folds, cutoff=cutoff))
        residuals.append(residual_rows(trained.folds, model=trained.model, cutoff=cutoff))
        run_id, version = register(registry, trained, leaderboard_of(backtests[-1]), tags)
        findings = [*leaks, *suspicious_outcome(trained)]
        decision = decide_champion(warehouse, registry, trained, version=version, leaks=findings)
        context.log.info(decision.reason)
        decisions.append(decision_row(trained, decision, run_id=run_id, version=version))
        audit.append(decision)
    days = ", ".join(f"DATE '{cutoff}'" for cutoff in cutoffs)
    for table, rows in ((DECISIONS, decisions), (BACKTESTS, backtests), (RESIDUALS, residuals)):
        warehouse.replace(table, pl.concat(rows), where=f"cutoff_date IN ({days})")
    yield _told(DECISIONS, pl.concat(decisions), champions=int(pl.concat(decisions)["is_champion"].sum()))
    yield _told(PROMOTIONS, promotion_rows(audit))
    yield _told(BACKTESTS, pl.concat(backtests), leaderboard=markdown_table(leaderboard_of(backtests[-1])))
    yield _told(RESIDUALS, pl.concat(residuals).sort("mae_kwh", descending=True))


def read_rows(warehouse: Warehouse, cutoff: date) -> tuple[pl.DataFrame, pl.DataFrame, DaySeries, str]:
    """Training rows, backtest rows and known days at a cutoff, and when the newest of the data was known."""
    with warehouse.connect() as connection:
        features = known_features(connection, cutoff)
        issues, meters = connection.execute(count_issues_sql(features, cutoff=cutoff)).fetchall()[0]
        stride = stride_for(issues, meters=meters)
        series = DaySeries.of(connection.execute(known_series_sql(features, cutoff=cutoff)).pl())
        sql = training_rows_sql(features, cutoff=cutoff, stride=stride, every_lead=leads_for(meters))
        training = connection.execute(sql).pl()
        held_out = connection.execute(backtest_rows_sql(features, cutoff=cutoff, meters=meters)).pl()
        newest = connection.execute(
            f"SELECT max(available_at_utc) FROM {METER_DAYS.full_name} WHERE local_date < ?", [cutoff]
        ).fetchall()[0][0]
    designed, tested = design_together([training, held_out], series)
    return designed, tested, series, str(newest)


def register(
    registry: Registry, trained: Training, board: pl.DataFrame, tags: dict[str, str]
) -> tuple[str | None, str | None]:
    """Log the training and each forecaster in it as runs; what was trained becomes a version, maybe the champion."""
    if trained.bundle is None:
        return None, None
    cutoff = trained.cutoff
    parent = registry.log_run(
        RunRecord(name=f"training {cutoff}", tags=tags),
        tables={"leaderboard": board.to_dict(as_series=False)},
        files=leaderboard_files(board, title=f"backtest before {cutoff}"),
    )
    for name, metrics in trained.metrics.items():
        if name != trained.model:
            child = RunRecord(f"{name} {cutoff}", metrics, tags={**tags, MODEL_TAG: name}, parent_run_id=parent)
            registry.log_run(child)
    weights = trained.bundle.weights if trained.model not in trained.bundle.weights else {trained.model: 1.0}
    run_id, version = registry.log_formula(
        REGISTERED_MODEL,
        Formula([f"{name}_kwh" for name in weights], list(weights.values())),
        RunRecord(
            name=f"{trained.model} {cutoff}",
            metrics=trained.metrics[trained.model],
            params={
                **{f"weight_{name}": weight for name, weight in trained.bundle.weights.items()},
                **lightgbm.parameters(seed=int(tags["seed"]), rows=trained.training_rows),
                "training_rows": trained.training_rows,
                "backtest_rows": trained.backtest_rows,
                "features": len(MODEL_FEATURES),
            },
            tags={**tags, MODEL_TAG: trained.model},
            parent_run_id=parent,
        ),
        files=trained.bundle.texts(),
        description=trained.reason,
    )
    return run_id, version


def decision_row(trained: Training, decision: Decision, *, run_id: str | None, version: str | None) -> pl.DataFrame:
    """The row of ``models.decisions``."""
    champion = decision.champion
    row = {
        "model": champion.forecaster if champion else trained.model,
        "cutoff_date": trained.cutoff,
        "model_version": champion.version if champion else version,
        "is_champion": champion is not None,
        "backtest_mae_kwh": trained.mae_kwh,
        "naive_mae_kwh": trained.naive_mae_kwh,
        "backtest_rows": trained.backtest_rows,
        "training_rows": trained.training_rows,
        "feature_hash": feature_hash(),
        "mlflow_run_id": run_id,
        "reason": decision.reason,
        "issued_at_utc": datetime.now(UTC).replace(tzinfo=None),
    }
    return pl.DataFrame([row], schema=DECISIONS.polars_schema)


def _told(table: Table, rows: pl.DataFrame, **more: int | dg.MetadataValue[Any]) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(
        asset_key=[table.schema, table.name],
        metadata={**row_count(rows.height), "rows": markdown_table(rows, rows=30), **more},
    )
