"""anomalies/detectors, anomalies/records: at a weekly cutoff every detector is fitted, measured on planted faults, registered.

Belongs here: reading, calling, writing. How detectors are trained and measured: domain/anomalies/training.py.

A run over a range of cutoffs trains its first one, unless asked for every one: a range is what a new source brings,
and days may be judged only by detectors that had not seen them. The other cutoffs stay unmaterialized.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import polars as pl

from energy_platform.adapters.champion_alias import CUTOFF_TAG
from energy_platform.adapters.detector_registry import DetectorRegistry
from energy_platform.adapters.operations import Operations, feedback
from energy_platform.adapters.registry import Registry
from energy_platform.adapters.registry_records import RunRecord
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.anomalies.days import read_days
from energy_platform.defs.metadata import markdown_table, row_count, table_spec
from energy_platform.defs.partitions import weekly_cutoffs
from energy_platform.domain.anomalies.detectors import DAY_DETECTORS
from energy_platform.domain.anomalies.episodes import known_anomalous
from energy_platform.domain.anomalies.records import ALL
from energy_platform.domain.anomalies.severity import NAME
from energy_platform.domain.anomalies.training import HISTORY_DAYS, MOST_METERS, Trained, train_detectors
from energy_platform.domain.columns import FEATURES_METER_DAYS, FORECASTS, METER_DAYS, SOURCE_CLOCKS
from energy_platform.domain.columns.anomalies import ANOMALY_TABLES, DETECTORS, EPISODES, RECORDS
from energy_platform.domain.errors import DetectorInput
from energy_platform.settings import Settings

REGISTERED_MODEL = "household-day-detectors"
KEY = dg.AssetKey([DETECTORS.schema, DETECTORS.name])
RECORDS_KEY = dg.AssetKey([RECORDS.schema, RECORDS.name])
_READ = (METER_DAYS, FEATURES_METER_DAYS, SOURCE_CLOCKS)


class DetectorConfig(dg.Config):
    """What a training of detectors may be asked for besides its cutoffs."""

    every_cutoff: bool = False
    most_meters: int = MOST_METERS


@dg.multi_asset(
    name="anomalies_detectors",
    specs=[
        table_spec(
            DETECTORS,
            description="Which detectors stand at a cutoff, how they were fitted, and the MLflow version that holds them.",
            kinds={"sklearn", "mlflow"},
            deps=[[table.schema, table.name] for table in _READ],
            skippable=True,
        ),
        table_spec(
            RECORDS,
            description="How well each finds faults planted in real days, at equal false alarms; who may page.",
            kinds={"polars"},
            deps=[[table.schema, table.name] for table in _READ],
            skippable=True,
        ),
    ],
    partitions_def=weekly_cutoffs,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="warehouse",
)
def anomalies_detectors(
    context: dg.AssetExecutionContext,
    config: DetectorConfig,
    warehouse: dg.ResourceParam[Warehouse],
    registry: dg.ResourceParam[Registry],
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.MaterializeResult[None]]:
    """Train at the first cutoff of the run, or at each."""
    cutoffs = [date.fromisoformat(key) for key in context.partition_keys]
    # Forecasts are read where there are some; the first training comes before them.
    warehouse.ensure_tables([*ANOMALY_TABLES, FORECASTS])
    done = [
        train_at(warehouse, registry, settings, cutoff, config)
        for cutoff in (cutoffs if config.every_cutoff else cutoffs[:1])
    ]
    if len(done) < len(cutoffs):
        for cutoff, (rows, records, told) in zip(cutoffs, done, strict=False):
            for key, metadata in ((KEY, _told(rows, told)), (RECORDS_KEY, _told_records(records))):
                context.log_event(dg.AssetMaterialization(key, partition=cutoff.isoformat(), metadata=metadata))
        return
    rows, records = pl.concat([one[0] for one in done]), pl.concat([one[1] for one in done])
    yield dg.MaterializeResult(asset_key=KEY, metadata=_told(rows, done[-1][2]))
    yield dg.MaterializeResult(asset_key=RECORDS_KEY, metadata=_told_records(records))


def train_at(
    warehouse: Warehouse, registry: Registry, settings: Settings, cutoff: date, config: DetectorConfig
) -> tuple[pl.DataFrame, pl.DataFrame, str]:
    """Train, register and write what stands at a cutoff.

    Returns:
        The rows of both tables and what was done, in words; no records where nothing could be measured.
    """
    now = datetime.now(UTC).replace(tzinfo=None)
    first = cutoff - timedelta(days=HISTORY_DAYS)
    days = read_days(warehouse, first=first, end=cutoff, known=known_days(warehouse, settings))
    where, params = "cutoff_date = ?", [cutoff]
    try:
        trained = train_detectors(
            DAY_DETECTORS, days, cutoff=cutoff, seed=settings.seed, most_meters=config.most_meters
        )
    except DetectorInput as error:
        rows = detector_rows(None, cutoff=cutoff, why=str(error), now=now)
        warehouse.replace(DETECTORS, rows, where=where, params=params)
        warehouse.replace(RECORDS, RECORDS_EMPTY, where=where, params=params)
        return rows, RECORDS_EMPTY, str(error)
    records = trained.records.with_columns(cutoff_date=pl.lit(cutoff)) if trained.records.height else RECORDS_EMPTY
    run_id, version = register(registry, trained, cutoff, seed=settings.seed)
    rows = detector_rows(trained, cutoff=cutoff, why="", now=now, run_id=run_id, version=version)
    warehouse.replace(DETECTORS, rows, where=where, params=params)
    warehouse.replace(RECORDS, records, where=where, params=params)
    return rows, records.select(RECORDS.column_names), trained.severity.note


RECORDS_EMPTY = pl.DataFrame(schema=RECORDS.polars_schema)


def known_days(warehouse: Warehouse, settings: Settings) -> pl.DataFrame:
    """Days that no detector may learn from: meter_id, channel, local_date."""
    episodes = warehouse.read(f"SELECT * FROM {EPISODES.full_name}")
    return known_anomalous(episodes, read_verdicts(settings))


def read_verdicts(settings: Settings) -> pl.DataFrame:
    """The last word of people on each episode: episode_id, is_real."""
    with Operations.open(settings.operations_address) as operations:
        said = [(one.episode_id, one.is_real) for one in feedback.verdicts(operations)]
    return pl.DataFrame(said, schema={"episode_id": pl.String, "is_real": pl.Boolean}, orient="row")


def register(registry: Registry, trained: Trained, cutoff: date, *, seed: int) -> tuple[str, str]:
    """One run and one version with all detectors of the cutoff; the newest cutoff is champion."""
    overall = trained.records.filter(fault=ALL) if trained.records.height else RECORDS_EMPTY
    metrics = {
        f"{row['detector']}_{name}": row[name]
        for row in overall.to_dicts()
        for name in ("recall", "precision", "f1", "false_alarms_per_meter_week")
        if row[name] is not None
    }
    shown = overall.select("detector", "recall", "precision", "f1", "median_days_to_detect") if overall.height else None
    doors = DetectorRegistry(registry.tracking_uri, registry.artifacts_uri)
    return doors.log(
        REGISTERED_MODEL,
        trained.to_bytes(),
        RunRecord(
            name=f"detectors {cutoff}",
            metrics=metrics,
            params={"meters": trained.meters, **{name: one.note for name, one in trained.severity.detectors.items()}},
            tags={CUTOFF_TAG: cutoff.isoformat(), "seed": str(seed)},
        ),
        tables={"records": shown.to_dict(as_series=False)} if shown is not None else None,
        description=trained.severity.note,
    )


def detector_rows(
    trained: Trained | None,
    *,
    cutoff: date,
    why: str,
    now: datetime,
    run_id: str | None = None,
    version: str | None = None,
) -> pl.DataFrame:
    """The rows of ``anomalies.detectors``."""
    gains = trained.severity.combination.gains() if trained else {}
    notes = {name: one.note for name, one in trained.severity.detectors.items()} if trained else {}
    notes |= {NAME: trained.severity.note} if trained else {}
    refused = trained.refused if trained else dict.fromkeys([*DAY_DETECTORS, NAME], why)
    made = [
        {
            "cutoff_date": cutoff,
            "detector": name,
            "is_fitted": name in notes,
            "note": notes.get(name) or refused.get(name, ""),
            "gain": gains.get(name),
            "meters": trained.meters if trained else 0,
            "good_days": len(trained.severity.combined.good) if trained else 0,
            "model_version": version,
            "mlflow_run_id": run_id,
            "issued_at_utc": now,
        }
        for name in [*DAY_DETECTORS, NAME]
    ]
    return pl.DataFrame(made, schema=DETECTORS.polars_schema)


def _told(rows: pl.DataFrame, note: str) -> dict[str, Any]:
    return {
        **row_count(rows.height),
        "note": note,
        "rows": markdown_table(rows, columns=["detector", "is_fitted", "gain", "note"]),
    }


def _told_records(records: pl.DataFrame) -> dict[str, Any]:
    shown = records.filter(pl.col("fault") == ALL).sort("f1", descending=True, nulls_last=True)
    columns = [
        "detector",
        "events",
        "recall",
        "precision",
        "f1",
        "false_alarms_per_meter_week",
        "median_days_to_detect",
        "may_page",
    ]
    return {**row_count(records.height), "overall": markdown_table(shown, columns=columns)}


@dg.asset_check(asset=KEY, pool="warehouse")
def every_cutoff_names_all_detectors(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """A detector that could not be fitted is listed with the reason, not left out."""
    count = len(DAY_DETECTORS) + 1
    broken = warehouse.read(
        f"SELECT cutoff_date, count(*) AS detectors FROM {DETECTORS.full_name} GROUP BY ALL HAVING detectors <> {count}"
    )
    return dg.AssetCheckResult(passed=broken.is_empty(), metadata={"broken": markdown_table(broken)})


@dg.asset_check(asset=RECORDS_KEY, pool="warehouse")
def records_add_up(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """No fault is found more often than it was planted, and the parts of a detector are its whole."""
    broken = warehouse.read(f"""
        SELECT cutoff_date, detector, sum(events) FILTER (fault = '{ALL}') AS events,
            sum(events) FILTER (fault <> '{ALL}' AND magnitude = 0) AS of_faults
        FROM {RECORDS.full_name} GROUP BY ALL
        HAVING events <> of_faults OR bool_or(detected > events)""")
    return dg.AssetCheckResult(passed=broken.is_empty(), metadata={"broken": markdown_table(broken)})
