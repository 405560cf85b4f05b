"""models/decisions: at each weekly cutoff a model is trained, compared with the baseline, registered.

Belongs here: reading, calling, writing. How a cutoff is trained and decided: domain/forecasting/training.py.
"""

from datetime import UTC, date, datetime

import dagster as dg
import polars as pl

from energy_platform.adapters.known_features import known_features
from energy_platform.adapters.registry import CUTOFF_TAG, FEATURE_HASH_TAG, Registry, RunRecord, git_commit
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.metadata import markdown_table, row_count, table_spec
from energy_platform.defs.partitions import weekly_cutoffs
from energy_platform.domain.columns import DECISIONS, FEATURES_METER_DAYS, METER_DAYS
from energy_platform.domain.forecasting import lightgbm, seasonal_naive
from energy_platform.domain.forecasting.rows import (
    MODEL_FEATURES,
    backtest_days,
    count_issues_sql,
    design,
    feature_hash,
    issue_rows_sql,
    stride_for,
    training_rows_sql,
)
from energy_platform.domain.forecasting.training import Training, train
from energy_platform.settings import PROJECT_ROOT, Settings

KEY = dg.AssetKey([DECISIONS.schema, DECISIONS.name])


@dg.multi_asset(
    name="models_decisions",
    specs=[
        table_spec(
            DECISIONS,
            description="Backtest of LightGBM against seasonal naive, and which of the two is issued from then on.",
            kinds={"lightgbm", "mlflow"},
            deps=[[FEATURES_METER_DAYS.schema, FEATURES_METER_DAYS.name]],
        )
    ],
    partitions_def=weekly_cutoffs,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="warehouse",
)
def models_decisions(
    context: dg.AssetExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    registry: dg.ResourceParam[Registry],
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult[None]:
    """Train at every cutoff of the run, oldest first; each knows only the days before it."""
    commit = git_commit(PROJECT_ROOT)
    rows = []
    for cutoff in map(date.fromisoformat, context.partition_keys):
        training, held_out, newest = read_rows(warehouse, cutoff)
        trained = train(training, held_out, cutoff=cutoff, seed=settings.seed)
        context.log.info(trained.reason)
        tags = {
            CUTOFF_TAG: cutoff.isoformat(),
            FEATURE_HASH_TAG: feature_hash(),
            "newest_available_at_utc": newest,
            "git_commit": commit,
            "seed": str(settings.seed),
        }
        run_id, version = register(registry, trained, training, tags)
        decision = decision_row(trained, run_id=run_id, version=version)
        warehouse.replace(DECISIONS, decision, where="model = ? AND cutoff_date = ?", params=[lightgbm.NAME, cutoff])
        rows.append(decision)
    decisions = pl.concat(rows)
    shown = [
        "cutoff_date",
        "is_champion",
        "backtest_mae_kwh",
        "naive_mae_kwh",
        "backtest_rows",
        "training_rows",
        "reason",
    ]
    return dg.MaterializeResult(
        asset_key=KEY,
        metadata={
            **row_count(decisions.height),
            "champions": int(decisions["is_champion"].sum()),
            "decisions": markdown_table(decisions, columns=shown, rows=60),
        },
    )


def read_rows(warehouse: Warehouse, cutoff: date) -> tuple[pl.DataFrame, pl.DataFrame, str]:
    """Training and backtest rows as known at a cutoff, and when the newest of the data was known."""
    with warehouse.connect() as connection:
        features = known_features(connection, cutoff)
        issues, meters = connection.execute(count_issues_sql(features, cutoff=cutoff)).fetchall()[0]
        stride = stride_for(issues, meters=meters)
        training = connection.execute(training_rows_sql(features, cutoff=cutoff, stride=stride)).pl()
        days = backtest_days(cutoff, meters=meters)
        held_out = connection.execute(issue_rows_sql(features, issue_days=days, known_before=cutoff)).pl()
        newest = connection.execute(
            f"SELECT max(available_at_utc) FROM {METER_DAYS.full_name} WHERE local_date < ?", [cutoff]
        ).fetchall()[0][0]
    return design(training), design(held_out), str(newest)


def register(
    registry: Registry, trained: Training, training: pl.DataFrame, tags: dict[str, str]
) -> tuple[str | None, str | None]:
    """Log baseline and model as runs of one experiment; the model becomes a version, maybe the champion."""
    if trained.forecaster is None:
        return None, None
    cutoff = trained.cutoff
    naive = RunRecord(
        name=f"{seasonal_naive.NAME} {cutoff}",
        metrics=trained.metrics[seasonal_naive.NAME],
        tags={**tags, "model": seasonal_naive.NAME},
    )
    naive_run = registry.log_run(naive)
    run_id, version = registry.log_model(
        lightgbm.REGISTERED_MODEL,
        trained.forecaster.booster,
        RunRecord(
            name=f"{lightgbm.NAME} {cutoff}",
            metrics=trained.metrics[lightgbm.NAME],
            params={
                **lightgbm.parameters(seed=int(tags["seed"]), rows=trained.training_rows),
                "training_rows": trained.training_rows,
                "backtest_rows": trained.backtest_rows,
                "features": len(MODEL_FEATURES),
            },
            tags={**tags, "model": lightgbm.NAME, "baseline_run_id": naive_run},
        ),
        example=lightgbm.matrix(training.head(3)),
        metadata={FEATURE_HASH_TAG: feature_hash(), "bands": trained.bands.to_json()},
        description=trained.reason,
    )
    if trained.is_champion:
        registry.promote(lightgbm.REGISTERED_MODEL, version, cutoff=cutoff)
    return run_id, version


def decision_row(trained: Training, *, run_id: str | None, version: str | None) -> pl.DataFrame:
    """The row of ``models.decisions``."""
    row = {
        "model": lightgbm.NAME,
        "cutoff_date": trained.cutoff,
        "model_version": version,
        "is_champion": trained.is_champion,
        "backtest_mae_kwh": trained.mae_kwh,
        "naive_mae_kwh": trained.naive_mae_kwh,
        "backtest_rows": trained.backtest_rows,
        "training_rows": trained.training_rows,
        "feature_hash": feature_hash(),
        "mlflow_run_id": run_id,
        "reason": trained.reason,
        "issued_at_utc": datetime.now(UTC).replace(tzinfo=None),
    }
    return pl.DataFrame([row], schema=DECISIONS.polars_schema)
