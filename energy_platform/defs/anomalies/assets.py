"""anomalies/scores: what the detectors call anomalous, with their evidence.

Belongs here: running the detectors' SQL in one transaction, and the checks of the table. A
detector's rule: domain/anomalies/.
"""

import dagster as dg

from energy_platform.adapters.warehouse import Warehouse, create_table_sql
from energy_platform.defs.metadata import markdown_table, row_count, table_spec
from energy_platform.domain.anomalies import forecast_residual, mean_plus_2_sigma
from energy_platform.domain.columns import (
    ANOMALIES,
    CHANNEL_SUMMARIES,
    FORECASTS,
    METER_DAYS,
    METERS,
    READINGS_TABLE,
)

KEY = dg.AssetKey([ANOMALIES.schema, ANOMALIES.name])
_READ = (READINGS_TABLE, METERS, METER_DAYS, CHANNEL_SUMMARIES, FORECASTS)


@dg.multi_asset(
    name="anomalies_scores",
    specs=[
        table_spec(
            ANOMALIES,
            description="Readings above the channel's mean by 2 sd, and days that the issued forecast did not expect.",
            kinds={"duckdb"},
            deps=[
                *([table.schema, table.name] for table in _READ),
                ["forecasts", "scores"],
            ],
        )
    ],
    pool="warehouse",
)
def anomalies_scores(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult[None]:
    """Replace the whole table: a correction or a new forecast can clear what was anomalous before."""
    with warehouse.transaction() as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {ANOMALIES.schema}")
        connection.execute(create_table_sql(ANOMALIES))
        connection.execute(f"DELETE FROM {ANOMALIES.full_name}")
        for detector in (mean_plus_2_sigma, forecast_residual):
            connection.execute(f"INSERT INTO {ANOMALIES.full_name} BY NAME {detector.scores_sql()}")
        counts = connection.execute(
            f"""SELECT detector, source, commodity, count(*) AS anomalies, count(DISTINCT (meter_id, channel)) AS meters
            FROM {ANOMALIES.full_name} GROUP BY ALL ORDER BY ALL"""
        ).pl()
    return dg.MaterializeResult(
        asset_key=KEY,
        metadata={**row_count(int(counts["anomalies"].sum())), "by_detector": markdown_table(counts)},
    )


@dg.asset_check(asset=KEY, pool="warehouse")
def anomalies_lie_beyond_their_threshold(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Each value is farther from the expected one than the threshold that the row names."""
    broken = warehouse.read(
        f"SELECT * FROM {ANOMALIES.full_name} "
        "WHERE NOT abs(energy_kwh - expected_kwh) >= abs(threshold_kwh - expected_kwh) LIMIT 20"
    )
    return dg.AssetCheckResult(passed=broken.is_empty(), metadata={"broken": markdown_table(broken)})


@dg.asset_check(asset=KEY, pool="warehouse")
def anomalies_are_listed_once(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """One row per detector, meter, channel and interval: a superseded reading is not judged beside its correction."""
    key = ", ".join(ANOMALIES.key)
    broken = warehouse.read(
        f"SELECT {key}, count(*) AS rows FROM {ANOMALIES.full_name} GROUP BY ALL HAVING rows > 1 LIMIT 20"
    )
    return dg.AssetCheckResult(passed=broken.is_empty(), metadata={"broken": markdown_table(broken)})
