"""anomalies/scores and the tables that it is a view of: what the rules call anomalous, with their evidence.

Belongs here: running the rules' SQL in one transaction, and the checks of the tables. A rule itself: domain/anomalies/.
"""

from collections.abc import Iterator

import dagster as dg

from energy_platform.adapters.warehouse import Warehouse, make_table
from energy_platform.defs.metadata import markdown_table, row_count, table_spec
from energy_platform.domain.anomalies import forecast_residual, mean_plus_2_sigma
from energy_platform.domain.columns import (
    ANOMALIES,
    CHANNEL_LIMITS,
    CHANNEL_SUMMARIES,
    DAYS_OFF_FORECAST,
    FORECASTS,
    METER_DAYS,
    METERS,
    READING_ROWS,
    READINGS_ABOVE_LIMIT,
    Table,
)

KEY = dg.AssetKey([ANOMALIES.schema, ANOMALIES.name])
# In the order in which they are made: readings are held against the limits.
STORED = {
    CHANNEL_LIMITS: mean_plus_2_sigma.limits_sql(),
    READINGS_ABOVE_LIMIT: mean_plus_2_sigma.readings_above_limit_sql(),
    DAYS_OFF_FORECAST: forecast_residual.days_off_forecast_sql(),
}


def _spec(table: Table, description: str, *made_from: Table, after: tuple[list[str], ...] = ()) -> dg.AssetSpec:
    deps = [*([one.schema, one.name] for one in made_from), *after]
    return table_spec(table, description=description, kinds={"duckdb"}, deps=deps)


@dg.multi_asset(
    name="anomalies_scores",
    specs=[
        _spec(CHANNEL_LIMITS, "The mean plus 2 sd.", CHANNEL_SUMMARIES, METERS),
        _spec(
            READINGS_ABOVE_LIMIT,
            "Numbers alone; anomalies.scores has their names.",
            *(CHANNEL_LIMITS, READING_ROWS, METER_DAYS, METERS),
        ),
        _spec(
            DAYS_OFF_FORECAST,
            "Beyond 3 sd of the forecast of the day before.",
            *(FORECASTS, METER_DAYS, METERS),
            after=(["forecasts", "scores"],),
        ),
        _spec(
            ANOMALIES,
            "Readings above the channel's mean by 2 sd, and days that the issued forecast did not expect: what to ask.",
            *STORED,
        ),
    ],
    pool="warehouse",
)
def anomalies_scores(warehouse: dg.ResourceParam[Warehouse]) -> Iterator[dg.MaterializeResult[None]]:
    """Replace all rows: a correction or a new forecast can clear what was anomalous before."""
    rows = {}
    with warehouse.transaction() as connection:
        for table, sql in STORED.items():
            make_table(connection, table)
            connection.execute(f"DELETE FROM {table.full_name}")
            ((rows[table],),) = connection.execute(f"INSERT INTO {table.full_name} BY NAME {sql}").fetchall()
        make_table(connection, ANOMALIES)
        counts = connection.execute(
            f"""SELECT detector, source, commodity, sum(intervals)::BIGINT AS anomalies, count(*) AS meters FROM (
                SELECT detector, source, commodity, meter_id, channel, count(*) AS intervals
                FROM {ANOMALIES.full_name} GROUP BY ALL)
            GROUP BY ALL ORDER BY ALL"""
        ).pl()
    for table, stored in rows.items():
        yield dg.MaterializeResult(asset_key=[table.schema, table.name], metadata=row_count(stored))
    yield dg.MaterializeResult(
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


@dg.multi_asset_check(
    name="anomalies_are_listed_once",
    specs=[
        dg.AssetCheckSpec(
            "is_listed_once",
            asset=[table.schema, table.name],
            description=f"One row per {table.one_row_per}: a superseded reading is not judged beside its correction.",
        )
        for table in STORED
    ],
    pool="warehouse",
)
def anomalies_are_listed_once(warehouse: dg.ResourceParam[Warehouse]) -> Iterator[dg.AssetCheckResult]:
    """No key twice in what is stored, so none in the view either. Rows of a meter are sorted: half of what groups of keys took."""
    for table in STORED:
        first, rest = table.key[0], ", ".join(table.key[1:] or table.key)
        broken = warehouse.read(
            f"""SELECT {", ".join(table.key)} FROM {table.full_name}
            WINDOW of_first AS (PARTITION BY {first} ORDER BY {rest})
            QUALIFY row_number() OVER of_first > rank() OVER of_first LIMIT 20"""
        )
        yield dg.AssetCheckResult(
            asset_key=[table.schema, table.name],
            check_name="is_listed_once",
            passed=broken.is_empty(),
            metadata={"broken": markdown_table(broken)},
        )
