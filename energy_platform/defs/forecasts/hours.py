"""forecasts/fleet_hours: the next two days of every fleet by the half hour or hour; forecasts/fleet_scores: how good.

Belongs here: reading, calling, writing. How fleets are forecast and what is issued: domain/forecasting/hours.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from itertools import groupby

import dagster as dg
import duckdb
import polars as pl

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.metadata import markdown_table, row_count, table_spec
from energy_platform.defs.partitions import daily_cutoffs
from energy_platform.domain.columns import (
    FLEET_HALF_HOURS,
    FLEET_HOURS,
    FLEET_SCORES,
    METER_DAY_VERSIONS,
    METERS,
    READINGS_TABLE,
    WEATHER,
)
from energy_platform.domain.forecasting.hours import scores
from energy_platform.domain.forecasting.hours.fleets import (
    FLEETS_SQL,
    SPAN_SQL,
    Fleet,
    arrivals_sql,
    half_hours_sql,
    weather_sql,
)
from energy_platform.domain.forecasting.hours.issuing import Issue, issue, stored
from energy_platform.domain.forecasting.hours.local_days import LocalDays, local_days
from energy_platform.serving.report.hours import newest_pictures, read_hours
from energy_platform.settings import Settings

KEY = dg.AssetKey([FLEET_HOURS.schema, FLEET_HOURS.name])
SCORES_KEY = dg.AssetKey([FLEET_SCORES.schema, FLEET_SCORES.name])


@dg.multi_asset(
    name="forecasts_fleet_hours",
    specs=[
        table_spec(
            FLEET_HOURS,
            description="Every fleet's energy for the two local days from the cutoff on, with P10 and P90.",
            kinds={"lightgbm", "duckdb"},
            deps=[
                [table.schema, table.name]
                for table in (FLEET_HALF_HOURS, METER_DAY_VERSIONS, METERS, READINGS_TABLE, WEATHER)
            ],
        )
    ],
    partitions_def=daily_cutoffs,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="warehouse",
)
def forecasts_fleet_hours(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult[None]:
    """Issue at every cutoff of the run, fleet by fleet; each cutoff knows only what was known at it."""
    cutoffs = [date.fromisoformat(key) for key in context.partition_keys]
    with warehouse.connect() as connection:
        fleets = [Fleet(**row) for row in connection.execute(FLEETS_SQL).pl().to_dicts()]
        made = [(fleet, issue_fleet(connection, fleet, cutoffs, seed=settings.seed)) for fleet in fleets]
    rows = stored(made, issued_at_utc=datetime.now(UTC).replace(tzinfo=None))
    days = ", ".join(f"DATE '{cutoff}'" for cutoff in cutoffs)
    warehouse.replace(FLEET_HOURS, rows, where=f"cutoff_date IN ({days})")
    told = pl.DataFrame(
        [(fleet.source, fleet.commodity, one.cutoff, one.reason) for fleet, issued in made for one in issued],
        schema=["source", "commodity", "cutoff_date", "reason"],
        orient="row",
    )
    return dg.MaterializeResult(
        asset_key=KEY,
        metadata={
            **row_count(rows.height),
            "cutoffs": len(cutoffs),
            "fleets": len(fleets),
            "fallbacks": rows.filter("is_fallback").select("source", "commodity", "cutoff_date").n_unique(),
            "not_issued": told.filter(pl.col("reason").str.starts_with("no forecast")).height,
            "reasons": markdown_table(told.sort("cutoff_date", "source", "commodity", descending=[True, False, False])),
        },
    )


def issue_fleet(
    connection: duckdb.DuckDBPyConnection, fleet: Fleet, cutoffs: Iterable[date], *, seed: int
) -> list[Issue]:
    """One fleet's forecasts. Cutoffs between two arrivals know the same, so they are computed together."""
    names = [fleet.source, fleet.commodity]
    first_day, last_cutoff = connection.execute(SPAN_SQL, names).fetchall()[0]
    # Cutoffs are those of all sources of the run, and others' years are not this source's.
    due = sorted(cutoff for cutoff in cutoffs if first_day < cutoff <= last_cutoff)
    arrivals = [moment for (moment,) in connection.execute(arrivals_sql(), names).fetchall()]
    issued: list[Issue] = []
    for behind, same in groupby(due, key=lambda cutoff: bisect_right(arrivals, datetime.combine(cutoff, time()))):
        together = list(same)
        known = known_days(connection, fleet, together, first_day=first_day, is_restated=behind < len(arrivals))
        issued += issue(known, together, seed=seed)
    return issued


def known_days(
    connection: duckdb.DuckDBPyConnection, fleet: Fleet, cutoffs: Sequence[date], *, first_day: date, is_restated: bool
) -> LocalDays:
    """What was known of a fleet at the last of ``cutoffs``."""
    names = [fleet.source, fleet.commodity]
    sql = half_hours_sql(cutoffs[-1], first_day=first_day, is_restated=is_restated)
    half_hours = connection.execute(sql, names * (2 if is_restated else 1)).pl()
    weather = connection.execute(weather_sql(cutoffs[-1], first_day=first_day), [fleet.station_id]).pl()
    return local_days(
        half_hours,
        time_zone=fleet.time_zone,
        country=fleet.country,
        interval_minutes=fleet.interval_minutes,
        cutoff=cutoffs[-1],
        weather=weather,
    )


@dg.multi_asset(
    name="forecasts_fleet_scores",
    specs=[
        table_spec(
            FLEET_SCORES,
            description="Accuracy of the fleets' forecasts in blocks of six hours of lead, when the outcome is known.",
            kinds={"polars", "duckdb"},
            deps=[[table.schema, table.name] for table in (FLEET_HOURS, FLEET_HALF_HOURS, METERS)],
        )
    ],
    pool="warehouse",
)
def forecasts_fleet_scores(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult[None]:
    """Score every stored forecast by the half hours that came to pass."""
    with warehouse.connect() as connection:
        found = scores.score(connection.execute(scores.scorable_sql()).pl())
        newest = read_hours(connection)
    warehouse.replace(FLEET_SCORES, found, where="true")
    by_lead = scores.leaderboard(found, by=("source", "commodity", "lead_hours_from", "model"))
    return dg.MaterializeResult(
        asset_key=SCORES_KEY,
        metadata={
            **row_count(found.height),
            "leaderboard": markdown_table(scores.leaderboard(found)),
            "by_lead": markdown_table(by_lead, rows=200),
            "next_48_hours": dg.MetadataValue.md(newest_pictures(newest)),
        },
    )
