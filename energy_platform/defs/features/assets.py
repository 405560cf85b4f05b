"""features/meter_days: what was known of each meter when each day began.

Belongs here: reading, calling, writing. What a feature is: domain/features.py.
"""

import dagster as dg

from energy_platform.adapters.feature_table import build_features
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.metadata import markdown_table, row_count, table_spec
from energy_platform.domain.columns import FEATURES_METER_DAYS as FEATURES
from energy_platform.domain.columns import METER_DAYS, METERS, WEATHER
from energy_platform.domain.features import HISTORY_FEATURES, HORIZON_DAYS

KEY = dg.AssetKey([FEATURES.schema, FEATURES.name])


@dg.multi_asset(
    name="features_meter_days",
    specs=[
        table_spec(
            FEATURES,
            description="History features for models, made of earlier days only; the day itself is target_kwh.",
            kinds={"duckdb"},
            deps=[[table.schema, table.name] for table in (METER_DAYS, METERS, WEATHER)],
        )
    ],
    pool="warehouse",
)
def features_meter_days(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult[None]:
    """Lags, rolling statistics and temperatures on a complete calendar per meter."""
    with warehouse.transaction() as connection:
        build = build_features(connection)
        rows, meters, first, last = connection.execute(
            f"SELECT count(*), count(DISTINCT (meter_id, channel)), min(local_date), max(local_date) FROM {FEATURES.full_name}"
        ).fetchall()[0]
    return dg.MaterializeResult(
        asset_key=KEY,
        metadata={
            **row_count(rows),
            "rows_computed": build.rows,
            "meters": meters,
            "features": len(HISTORY_FEATURES),
            "first_day": str(first),
            "last_day": str(last),
        },
    )


@dg.asset_check(asset=KEY, pool="warehouse")
def calendar_has_no_gap(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Every meter has one row for each day of its span, or lags would skip days."""
    broken = warehouse.read(
        f"""SELECT * FROM (
            SELECT meter_id, channel, local_date, lead(local_date) OVER by_day AS next_date FROM {FEATURES.full_name}
            WINDOW by_day AS (PARTITION BY meter_id, channel ORDER BY local_date))
        WHERE next_date <> local_date + 1 LIMIT 20"""
    )
    return dg.AssetCheckResult(passed=broken.is_empty(), metadata={"broken": markdown_table(broken)})


@dg.asset_check(asset=KEY, pool="warehouse")
def no_target_beyond_the_newest_day(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """The last days of every meter's calendar lie ahead: they have features and no target."""
    broken = warehouse.read(
        f"""SELECT meter_id, channel, count(target_kwh) AS targets
        FROM (SELECT *, max(local_date) OVER (PARTITION BY meter_id, channel) - local_date AS from_end FROM {FEATURES.full_name})
        WHERE from_end < {HORIZON_DAYS} GROUP BY ALL HAVING targets > 0 LIMIT 20"""
    )
    return dg.AssetCheckResult(passed=broken.is_empty(), metadata={"broken": markdown_table(broken)})
