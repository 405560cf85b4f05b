"""Drift opens a retrain: a check looks for it after each scoring, a sensor asks for the training.

Belongs here: reading scores and features, asking for the run. What counts as drift and why:
domain/forecasting/drift.py. The sensor reads only what the check said, so it never opens the warehouse; it
asks once for a drift and a cutoff, and not at all when that cutoff has been trained on the newest data.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import dagster as dg
import polars as pl

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.metadata import markdown_table
from energy_platform.defs.plan import DECISIONS_KEY, range_tags
from energy_platform.domain.columns import (
    DECISIONS,
    FEATURES_METER_DAYS,
    FORECAST_SCORES,
    FORECASTS,
    SOURCE_CLOCKS,
)
from energy_platform.domain.features import HISTORY_FEATURES
from energy_platform.domain.flow_plan import monday_of
from energy_platform.domain.forecasting.drift import Drift, error_drift, feature_drift, retrain_reason
from energy_platform.domain.forecasting.forecasters.seasonal_naive import NAME as BASELINE

SCORES_KEY = dg.AssetKey([FORECAST_SCORES.schema, FORECAST_SCORES.name])
FEATURES_KEY = dg.AssetKey([FEATURES_METER_DAYS.schema, FEATURES_METER_DAYS.name])
CHECK = dg.AssetCheckKey(SCORES_KEY, "models_have_not_drifted")
# The newest weeks are held against the half year before them.
RECENT_WEEKS, RECORD_WEEKS = 8, 26
NEWEST_DAYS, TRAINING_DAYS = 14, 364
MAX_ROWS = 20_000
# Temperature and the length of the history move by themselves.
FEATURES = tuple(name for name in HISTORY_FEATURES if not name.startswith(("temperature", "days_of")))


@dg.asset_check(asset=SCORES_KEY, name=CHECK.name, pool="warehouse")
def models_have_not_drifted(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Errors against naive and the inputs are where the training left them; else a retrain is asked for."""
    clocks = warehouse.read(f"SELECT source, newest_complete_day FROM {SOURCE_CLOCKS.full_name} ORDER BY source")
    found: list[tuple[str, date, list[Drift], str]] = []
    for source, newest in clocks.iter_rows():
        drifts = [*errors_of(warehouse, source), *inputs_of(warehouse, source, newest)]
        reason = retrain_reason(drifts, features=len(FEATURES))
        if reason is not None:
            found.append((source, newest, drifts, f"{source}: {reason}"))
    moved = pl.DataFrame(
        [(source, drift.kind, drift.words) for source, _, drifts, _ in found for drift in drifts],
        schema={"source": pl.String, "kind": pl.String, "what": pl.String},
        orient="row",
    )
    due = [
        {"source": source, "cutoff": monday_of(newest + timedelta(days=1)).isoformat(), "since": _since(drifts)}
        for source, newest, drifts, _ in found
    ]
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(words for *_, words in found) or "nothing has moved",
        metadata={"due": dg.MetadataValue.json(due), "moved": markdown_table(moved, rows=60)},
    )


def errors_of(warehouse: Warehouse, source: str) -> list[Drift]:
    """Drift of the errors of the model that was last issued for a source."""
    issued = warehouse.read(
        f"SELECT model, count(*) AS rows FROM {FORECASTS.full_name} WHERE is_issued AND source = ? AND cutoff_date = "
        f"(SELECT max(cutoff_date) FROM {FORECASTS.full_name} WHERE source = ?) GROUP BY model ORDER BY rows DESC, model",
        [source, source],
    )
    if issued.is_empty() or issued["model"][0] == BASELINE:
        return []
    model = str(issued["model"][0])
    weeks = warehouse.read(
        f"""
        SELECT CAST(date_trunc('week', m.cutoff_date) AS DATE) AS week,
            sum(m.mae_kwh * m.meter_days) / sum(m.meter_days) AS mae_kwh,
            sum(n.mae_kwh * n.meter_days) / sum(n.meter_days) AS naive_mae_kwh
        FROM {FORECAST_SCORES.full_name} AS m
        JOIN {FORECAST_SCORES.full_name} AS n USING (source, commodity, cutoff_date, lead_days)
        WHERE m.model = ? AND n.model = ? AND source = ?
        GROUP BY week ORDER BY week
        """,
        [model, BASELINE, source],
    ).tail(RECENT_WEEKS + RECORD_WEEKS)
    split = max(weeks.height - RECENT_WEEKS, weeks.height // 2)
    drift = error_drift(weeks.head(split), weeks.slice(split), model=model)
    return [] if drift is None else [drift]


def inputs_of(warehouse: Warehouse, source: str, newest: date) -> list[Drift]:
    """Drift of the history inputs of a source since the newest training, energies over the meter's own scale."""
    trained = warehouse.read(
        f"SELECT max(cutoff_date) FROM {DECISIONS.full_name} WHERE cutoff_date <= ?", [newest + timedelta(days=1)]
    ).item()
    if trained is None:
        return []
    training = _inputs(warehouse, source, trained - timedelta(days=TRAINING_DAYS), trained)
    recent = _inputs(warehouse, source, newest - timedelta(days=NEWEST_DAYS - 1), newest + timedelta(days=1))
    meters = min(frame.select("meter_id", "channel").n_unique() for frame in (training, recent))
    return feature_drift(training, recent, features=FEATURES, meters=meters)


def _inputs(warehouse: Warehouse, source: str, first: date, end: date) -> pl.DataFrame:
    """Inputs of the days from ``first`` up to ``end``, about ``MAX_ROWS`` of them, always the same ones.

    They are chosen where they lie: to read two million rows and draw from them took 2 s.
    """
    scaled = ", ".join(
        f"{name} / greatest(mean_28_kwh, 0.001) AS {name}" if name.endswith("_kwh") else name for name in FEATURES
    )
    days = f"{FEATURES_METER_DAYS.full_name} WHERE source = ? AND local_date >= ? AND local_date < ? AND mean_28_kwh IS NOT NULL"
    chosen = [source, first, end]
    every = max(1, warehouse.read(f"SELECT count(*) FROM {days}", chosen).item() // MAX_ROWS)
    return warehouse.read(
        f"SELECT meter_id, channel, {scaled} FROM {days} AND hash(meter_id, channel, local_date) % {every} = 0", chosen
    )


def _since(drifts: Sequence[Drift]) -> str:
    """A name for the drift: the week its errors began to rise, or that it is one of inputs."""
    weeks = [drift.since.isoformat() for drift in drifts if drift.since is not None]
    return min(weeks, default="inputs")


@dg.sensor(
    name="retrain_on_drift",
    job_name="train",
    minimum_interval_seconds=600,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for a training at the newest weekly cutoff when models_have_not_drifted fails, once a drift.",
)
def retrain_on_drift(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Ask for the trainings that the newest check says are due and that newer data would change."""
    record = context.instance.get_latest_asset_check_evaluation_record(CHECK)
    evaluation = record.event.dagster_event if record is not None and record.event is not None else None
    if evaluation is None or evaluation.asset_check_evaluation_data.passed:
        return dg.SkipReason("nothing has drifted")
    told = evaluation.asset_check_evaluation_data.metadata["due"].value
    requests = [
        dg.RunRequest(
            run_key=f"drift-{due['source']}-{due['cutoff']}-{due['since']}",
            tags={**range_tags(cutoff, cutoff), "energy/reason": f"drift of {due['source']} since {due['since']}"},
        )
        for due in (told if isinstance(told, list) else [])
        if not trained_on_newest(context.instance, cutoff := date.fromisoformat(str(due["cutoff"])))
    ]
    if not requests:
        return dg.SkipReason("the newest cutoff has been trained on the newest data: training again gives the same")
    return dg.SensorResult(run_requests=requests)


def trained_on_newest(instance: dg.DagsterInstance, cutoff: date) -> bool:
    """Whether a weekly cutoff was trained after the features were last computed."""
    features = instance.get_latest_materialization_event(FEATURES_KEY)
    trained = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=DECISIONS_KEY, asset_partitions=[cutoff.isoformat()]), limit=1
    ).records
    if features is None or not trained:
        return False
    return trained[0].timestamp >= features.timestamp
