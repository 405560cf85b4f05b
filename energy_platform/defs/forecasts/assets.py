"""forecasts/meter_days: the next seven days of every active meter, from both models, one of them issued.

Belongs here: reading, calling, writing. Which model is issued and how: domain/forecasting/issuing.py.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import dagster as dg
import duckdb
import polars as pl

from energy_platform.adapters.known_features import known_features
from energy_platform.adapters.registry import FEATURE_HASH_TAG, Registry
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.metadata import markdown_table, row_count, table_spec
from energy_platform.defs.partitions import daily_cutoffs
from energy_platform.domain.columns import DECISIONS, FEATURES_METER_DAYS, FORECASTS
from energy_platform.domain.forecasting import lightgbm
from energy_platform.domain.forecasting.intervals import ResidualBands
from energy_platform.domain.forecasting.issuing import Choice, TrainedModel, issue
from energy_platform.domain.forecasting.rows import backtest_days, design, issue_rows_sql

KEY = dg.AssetKey([FORECASTS.schema, FORECASTS.name])
# A day's forecast uses the newest weekly decision; older weeks need not be there.
WEEK_OF_DAY = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)


@dg.multi_asset(
    name="forecasts_meter_days",
    specs=[
        table_spec(
            FORECASTS,
            description="Every active meter's energy for the seven days from the cutoff on, with P10 and P90.",
            kinds={"lightgbm", "duckdb"},
            deps=[
                [FEATURES_METER_DAYS.schema, FEATURES_METER_DAYS.name],
                dg.AssetDep([DECISIONS.schema, DECISIONS.name], partition_mapping=WEEK_OF_DAY),
            ],
        )
    ],
    partitions_def=daily_cutoffs,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="warehouse",
)
def forecasts_meter_days(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], registry: dg.ResourceParam[Registry]
) -> dg.MaterializeResult[None]:
    """Issue at every cutoff of the run; each knows only the days before it."""
    cutoffs = [date.fromisoformat(key) for key in context.partition_keys]
    choices = Choices(registry, warehouse.read(f"SELECT * FROM {DECISIONS.full_name} WHERE model = ?", [lightgbm.NAME]))
    issued = []
    with warehouse.connect() as connection:
        for cutoff in cutoffs:
            rows, held_out = read_rows(connection, cutoff)
            now = datetime.now(UTC).replace(tzinfo=None)
            issued.append(issue(rows, held_out, cutoff=cutoff, choice=choices.at(cutoff), issued_at_utc=now))
    forecasts = pl.concat(issued)
    days = ", ".join(f"DATE '{cutoff}'" for cutoff in cutoffs)
    warehouse.replace(FORECASTS, forecasts, where=f"cutoff_date IN ({days})")
    return dg.MaterializeResult(
        asset_key=KEY,
        metadata={
            **row_count(forecasts.height),
            "cutoffs": len(cutoffs),
            "meters": forecasts.select("meter_id", "channel").n_unique(),
            "issued": markdown_table(issued_summary(forecasts), rows=60),
        },
    )


class Choices:
    """Which model is issued at a cutoff; loads each version once.

    Args:
        registry: where the versions are.
        decisions: rows of ``models.decisions``.
    """

    def __init__(self, registry: Registry, decisions: pl.DataFrame) -> None:
        self._registry = registry
        self._decisions = decisions.sort("cutoff_date")
        self._loaded: dict[str, TrainedModel] = {}

    def at(self, cutoff: date) -> Choice | None:
        """The newest decision up to the cutoff, with its model; None when there is none.

        Raises:
            FeaturesChanged: the model was trained on other inputs than today's code makes.
        """
        known = self._decisions.filter(pl.col("cutoff_date") <= cutoff)
        if known.is_empty():
            return None
        newest = known.row(-1, named=True)
        version = newest["model_version"]
        model = self._model(version) if version is not None else None
        return Choice(model, newest["is_champion"], newest["reason"])

    def _model(self, version: str) -> TrainedModel:
        if version not in self._loaded:
            found = self._registry.load(lightgbm.REGISTERED_MODEL, version)
            self._loaded[version] = TrainedModel(
                version,
                lightgbm.from_booster(found.booster, trained_on=found.metadata[FEATURE_HASH_TAG]),
                ResidualBands.from_json(found.metadata["bands"]),
            )
        return self._loaded[version]


def read_rows(connection: duckdb.DuckDBPyConnection, cutoff: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows to issue at a cutoff, and earlier issues whose outcome was known then, both as known at it."""
    features = known_features(connection, cutoff)
    rows = connection.execute(issue_rows_sql(features, issue_days=[cutoff])).pl()
    meters = rows.select("meter_id", "channel").n_unique()
    earlier: Sequence[date] = backtest_days(cutoff, meters=meters)
    held_out = connection.execute(issue_rows_sql(features, issue_days=earlier, known_before=cutoff)).pl()
    return design(rows), design(held_out)


def issued_summary(forecasts: pl.DataFrame) -> pl.DataFrame:
    """What was issued at each cutoff: model, meters, forecast energy and the reason."""
    return (
        forecasts.filter("is_issued")
        .group_by("cutoff_date", "model", "source", "commodity")
        .agg(
            meters=pl.struct("meter_id", "channel").n_unique(),
            p50_kwh=pl.col("p50_kwh").sum(),
            reason=pl.col("reason").first(),
        )
        .sort("cutoff_date", "model", "source", "commodity")
    )
