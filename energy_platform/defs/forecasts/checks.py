"""Checks of forecasts/meter_days and forecasts/scores."""

import dagster as dg

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.metadata import markdown_table
from energy_platform.defs.no_rows import NoRows, no_rows_checks
from energy_platform.domain.columns import FORECAST_SCORES, FORECASTS
from energy_platform.domain.features import HORIZON_DAYS

SCORES_KEY = dg.AssetKey([FORECAST_SCORES.schema, FORECAST_SCORES.name])
# Errors of one home and week go together: with a few hundred meter-days a coverage of 60 % is still chance.
ENOUGH_DAYS = 1_000


forecasts_are_whole = no_rows_checks(
    "forecasts_are_whole",
    NoRows(
        "quantiles_are_ordered_and_finite",
        FORECASTS,
        f"SELECT * EXCLUDE (reason) FROM {FORECASTS.full_name} "
        "WHERE NOT (isfinite(p10_kwh) AND isfinite(p50_kwh) AND isfinite(p90_kwh) "
        "AND p10_kwh BETWEEN 0 AND p50_kwh AND p50_kwh <= p90_kwh)",
        "0 ≤ P10 ≤ P50 ≤ P90, all finite.",
        blocking=True,
    ),
    NoRows(
        "every_lead_day_is_there_once",
        FORECASTS,
        "SELECT model, cutoff_date, meter_id, channel, count(*) AS rows, count(DISTINCT lead_days) AS leads "
        f"FROM {FORECASTS.full_name} GROUP BY ALL "
        f"HAVING rows <> {HORIZON_DAYS} OR leads <> {HORIZON_DAYS} OR min(lead_days) <> 1",
        "Each model, cutoff and meter has the leads 1 to 7, each once.",
        blocking=True,
    ),
    NoRows(
        "days_follow_the_cutoff",
        FORECASTS,
        f"SELECT * EXCLUDE (reason) FROM {FORECASTS.full_name} WHERE local_date <> cutoff_date + (lead_days - 1)",
        "A forecast's day is its cutoff plus its lead less one, never a day that was known.",
        blocking=True,
    ),
    NoRows(
        "one_model_is_issued",
        FORECASTS,
        "SELECT cutoff_date, meter_id, channel, lead_days, count(*) FILTER (is_issued) AS issued, "
        f"count(*) FILTER (is_issued AND reason IS NULL) AS unexplained FROM {FORECASTS.full_name} "
        "GROUP BY ALL HAVING issued <> 1 OR unexplained > 0",
        "Users are given exactly one forecast for a cutoff, meter and day, with a reason.",
        blocking=True,
    ),
)


@dg.asset_check(asset=SCORES_KEY, pool="warehouse")
def forecasts_have_been_scored(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Some forecast has met its actual day; a warning on a first run that issues only for days to come."""
    days = warehouse.read(f"SELECT coalesce(sum(meter_days), 0) AS meter_days FROM {FORECAST_SCORES.full_name}").item()
    return dg.AssetCheckResult(passed=days > 0, severity=dg.AssetCheckSeverity.WARN, metadata={"meter_days": int(days)})


@dg.asset_check(asset=SCORES_KEY, pool="warehouse")
def bands_hold_what_they_promise(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """P10 to P90 should hold 80 % of actuals; a warning outside of 70 to 90 % where there is enough to tell."""
    coverage = warehouse.read(
        "SELECT model, sum(coverage * meter_days) / sum(meter_days) AS coverage, sum(meter_days) AS meter_days "
        f"FROM {FORECAST_SCORES.full_name} GROUP BY model ORDER BY model"
    )
    outside = coverage.filter(~coverage["coverage"].is_between(0.7, 0.9) & (coverage["meter_days"] >= ENOUGH_DAYS))
    return dg.AssetCheckResult(
        passed=outside.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"coverage": markdown_table(coverage)},
    )
