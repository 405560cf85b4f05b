"""forecasts/meter_days: the next seven days of every active meter, from every model, one of them issued.

Belongs here: reading, calling, writing. Which model is issued and how: domain/forecasting/issuing.py.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import dagster as dg
import duckdb
import polars as pl

from energy_platform.adapters.known_features import known_features
from energy_platform.adapters.registry import Registry
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.metadata import markdown_table, row_count, table_spec
from energy_platform.defs.partitions import daily_cutoffs
from energy_platform.domain.columns import (
    DECISIONS,
    DRIVERS,
    FEATURES_METER_DAYS,
    FORECASTS,
    NOT_ISSUED,
    PROMOTIONS,
    Table,
)
from energy_platform.domain.errors import FeaturesChanged
from energy_platform.domain.forecasting.bundle import REGISTERED_MODEL, Bundle
from energy_platform.domain.forecasting.history import DaySeries, known_series_sql
from energy_platform.domain.forecasting.issuing import Choice, TrainedModel, issue
from energy_platform.domain.forecasting.rows import backtest_days, design, issue_rows_sql

KEY = dg.AssetKey([FORECASTS.schema, FORECASTS.name])
# A day's forecast uses the newest weekly decision; older weeks need not be there.
WEEK_OF_DAY = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)
_DEPS = [
    [FEATURES_METER_DAYS.schema, FEATURES_METER_DAYS.name],
    dg.AssetDep([DECISIONS.schema, DECISIONS.name], partition_mapping=WEEK_OF_DAY),
]


@dg.multi_asset(
    name="forecasts_meter_days",
    specs=[
        table_spec(
            FORECASTS,
            description="Every active meter's energy for the seven days from the cutoff on, with P10 and P90.",
            kinds={"lightgbm", "duckdb"},
            deps=_DEPS,
        ),
        table_spec(
            NOT_ISSUED,
            description="Meters that have been silent for two weeks on the clock of their source, and why.",
            kinds={"duckdb"},
            deps=_DEPS,
        ),
        table_spec(
            DRIVERS,
            description="What moved each forecast most, of the meters that leave their weekly pattern most.",
            kinds={"lightgbm"},
            deps=_DEPS,
        ),
    ],
    partitions_def=daily_cutoffs,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="warehouse",
)
def forecasts_meter_days(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], registry: dg.ResourceParam[Registry]
) -> Iterator[dg.MaterializeResult[None]]:
    """Issue at every cutoff of the run; each knows only the days before it."""
    cutoffs = [date.fromisoformat(key) for key in context.partition_keys]
    warehouse.ensure_tables([PROMOTIONS])
    decisions, audit = (warehouse.read(f"SELECT * FROM {table.full_name}") for table in (DECISIONS, PROMOTIONS))
    choices = Choices(registry, decisions, audit)
    issued = []
    with warehouse.connect() as connection:
        for cutoff in cutoffs:
            choice = choices.at(cutoff)
            rows, held_out, series = read_rows(
                connection, cutoff, is_trained=choice is not None and choice.model is not None
            )
            now = datetime.now(UTC).replace(tzinfo=None)
            issued.append(issue(rows, held_out, series, cutoff=cutoff, choice=choice, issued_at_utc=now))
    forecasts = pl.concat([one.forecasts for one in issued])
    not_issued = pl.concat([one.not_issued for one in issued])
    drivers = pl.concat([one.drivers for one in issued])
    days = ", ".join(f"DATE '{cutoff}'" for cutoff in cutoffs)
    for table, found in ((FORECASTS, forecasts), (NOT_ISSUED, not_issued), (DRIVERS, drivers)):
        warehouse.replace(table, found, where=f"cutoff_date IN ({days})")
    yield dg.MaterializeResult(
        asset_key=KEY,
        metadata={
            **row_count(forecasts.height),
            "cutoffs": len(cutoffs),
            "meters": forecasts.select("meter_id", "channel").n_unique(),
            "fallbacks": forecasts.filter("is_fallback").select("meter_id", "channel").n_unique(),
            "issued": markdown_table(issued_summary(forecasts), rows=60),
        },
    )
    yield _told(NOT_ISSUED, not_issued)
    yield _told(DRIVERS, drivers)


class Choices:
    """Which model is issued at a cutoff; loads each version once.

    Args:
        registry: where the versions are.
        decisions: rows of ``models.decisions``.
        audit: rows of ``models.promotions``; of one cutoff the newest decision holds, a person's among them.
    """

    def __init__(self, registry: Registry, decisions: pl.DataFrame, audit: pl.DataFrame) -> None:
        self._registry = registry
        self._decisions = decisions.sort("cutoff_date")
        self._audit = audit.filter(pl.col("grain") == REGISTERED_MODEL).sort("cutoff_date", "decided_at_utc")
        self._loaded: dict[str, TrainedModel] = {}

    def at(self, cutoff: date) -> Choice | None:
        """The newest decision up to the cutoff, with its model; None when there is none.

        A model that was trained on other inputs than today's code makes is refused: naive stands in for it.
        """
        known = self._decisions.filter(pl.col("cutoff_date") <= cutoff)
        if known.is_empty():
            return None
        newest = known.row(-1, named=True)
        champion = newest["model"] if newest["is_champion"] else None
        version, reason = newest["model_version"], newest["reason"]
        decided = self._audit.filter(pl.col("cutoff_date") <= cutoff)
        if not decided.is_empty():
            last = decided.row(-1, named=True)
            champion, reason = last["champion_after"], last["reason"]
            version = last["version_after"] or version
        if version is None:
            return Choice(None, None, reason)
        try:
            return Choice(self.model(version), champion, reason)
        except FeaturesChanged as refused:
            return Choice(None, champion, f"seasonal_naive is issued: {refused}", is_refused=True)

    def model(self, version: str) -> TrainedModel:
        """One version of the registry.

        Raises:
            FeaturesChanged: the model was trained on other inputs than today's code makes.
        """
        if version not in self._loaded:
            files = self._registry.load_files(REGISTERED_MODEL, version)
            self._loaded[version] = TrainedModel(version, Bundle.from_texts(files))
        return self._loaded[version]


def read_rows(
    connection: duckdb.DuckDBPyConnection, cutoff: date, *, is_trained: bool
) -> tuple[pl.DataFrame, pl.DataFrame, DaySeries]:
    """Rows to issue at a cutoff, earlier issues whose outcome was known then, and the days known then.

    With a trained model there are no earlier issues: it has the bands that they are for.
    """
    features = known_features(connection, cutoff)
    series = DaySeries.of(connection.execute(known_series_sql(features, cutoff=cutoff)).pl())
    rows = connection.execute(issue_rows_sql(features, issue_days=[cutoff])).pl()
    meters = rows.select("meter_id", "channel").n_unique()
    earlier = [] if is_trained else backtest_days(cutoff, meters=meters)
    sql = issue_rows_sql(features, issue_days=earlier, known_before=cutoff)
    held_out = connection.execute(sql).pl() if earlier else rows.clear()  # nothing to look for takes 0.5 s, too
    return design(rows, series), design(held_out, series), series


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


def _told(table: Table, rows: pl.DataFrame) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(
        asset_key=[table.schema, table.name], metadata={**row_count(rows.height), "rows": markdown_table(rows)}
    )
