"""Checks of forecasts/fleet_hours and forecasts/fleet_scores."""

import dagster as dg
import polars as pl

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.forecasts.hours import SCORES_KEY
from energy_platform.defs.metadata import markdown_table
from energy_platform.defs.no_rows import NoRows, no_rows_checks
from energy_platform.domain.columns import FLEET_HOURS, FLEET_SCORES
from energy_platform.domain.forecasting.hours import scores

# Errors of a week go together: eight weeks of issues before a coverage of 65 % is more than chance.
ENOUGH_CUTOFFS = 56


fleet_forecasts_are_whole = no_rows_checks(
    "fleet_forecasts_are_whole",
    NoRows(
        "fleet_quantiles_are_ordered_and_finite",
        FLEET_HOURS,
        f"SELECT * EXCLUDE (reason) FROM {FLEET_HOURS.full_name} WHERE NOT (isfinite(p10_kwh) AND isfinite(p50_kwh) "
        "AND isfinite(p90_kwh) AND p10_kwh <= p50_kwh AND p50_kwh <= p90_kwh)",
        "P10 ≤ P50 ≤ P90, all finite.",
        blocking=True,
    ),
    NoRows(
        "one_fleet_forecast_is_issued",
        FLEET_HOURS,
        "SELECT cutoff_date, source, commodity, segment, interval_start_utc, count(*) FILTER (is_issued) AS issued, "
        f"count(*) FILTER (is_issued AND reason IS NULL) AS unexplained FROM {FLEET_HOURS.full_name} "
        "GROUP BY ALL HAVING issued <> 1 OR unexplained > 0",
        "Users are given exactly one forecast for a fleet, cutoff and interval, with a reason.",
        blocking=True,
    ),
    NoRows(
        "two_whole_days_are_ahead",
        FLEET_HOURS,
        "SELECT model, cutoff_date, source, commodity, segment, min(lead_hours) AS first_lead, "
        "count(*) * any_value(interval_minutes) / 60.0 AS hours, count(DISTINCT interval_start_utc) AS intervals "
        f"FROM {FLEET_HOURS.full_name} GROUP BY ALL "
        "HAVING first_lead <> 0 OR hours NOT BETWEEN 47 AND 49 OR intervals <> count(*)",
        "Intervals follow each other from lead 0 on, for 47 to 49 hours.",
        blocking=True,
    ),
)


@dg.asset_check(asset=SCORES_KEY, pool="warehouse")
def fleet_bands_hold_what_they_promise(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """P10 to P90 should hold 80 % of outcomes; a warning outside of 65 to 92 % where there is enough to tell."""
    coverage = scores.leaderboard(warehouse.read(f"SELECT * FROM {FLEET_SCORES.full_name}"))
    is_outside = ~pl.col("coverage").is_between(0.65, 0.92) & (pl.col("cutoffs") >= ENOUGH_CUTOFFS)
    return dg.AssetCheckResult(
        passed=coverage.filter(is_outside).is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"coverage": markdown_table(coverage, rows=60)},
    )
