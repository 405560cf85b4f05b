"""Checks of models/decisions."""

import dagster as dg

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.metadata import markdown_table
from energy_platform.domain.columns import DECISIONS
from energy_platform.domain.forecasting.rows import feature_hash

KEY = dg.AssetKey([DECISIONS.schema, DECISIONS.name])
# A forecast of a home a week ahead misses; one that does not has seen the answer.
SUSPICIOUS_SKILL = 0.9


@dg.asset_check(asset=KEY, pool="warehouse")
def skill_is_stated(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """The newest decision has a champion; a warning when seasonal naive is issued instead."""
    newest = warehouse.read(f"SELECT * FROM {DECISIONS.full_name} ORDER BY cutoff_date DESC LIMIT 1")
    champion = not newest.is_empty() and bool(newest["is_champion"][0])
    return dg.AssetCheckResult(
        passed=champion,
        severity=dg.AssetCheckSeverity.WARN,
        description=newest["reason"][0] if not newest.is_empty() else "no model has been trained",
        metadata={"newest": markdown_table(newest, columns=["cutoff_date", "backtest_mae_kwh", "naive_mae_kwh"])},
    )


@dg.asset_check(asset=KEY, pool="warehouse")
def no_model_is_too_good(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """A backtest error of almost nothing means that the target is among the inputs."""
    suspicious = warehouse.read(
        f"SELECT cutoff_date, backtest_mae_kwh, naive_mae_kwh, backtest_rows FROM {DECISIONS.full_name} "
        f"WHERE naive_mae_kwh > 0 AND backtest_mae_kwh < (1 - {SUSPICIOUS_SKILL}) * naive_mae_kwh ORDER BY cutoff_date"
    )
    return dg.AssetCheckResult(passed=suspicious.is_empty(), metadata={"suspicious": markdown_table(suspicious)})


@dg.asset_check(asset=KEY, pool="warehouse")
def newest_model_reads_todays_features(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """The newest decision expects the inputs that the code makes; else training is due before forecasting."""
    newest = warehouse.read(
        f"SELECT cutoff_date, feature_hash FROM {DECISIONS.full_name} ORDER BY cutoff_date DESC LIMIT 1"
    )
    return dg.AssetCheckResult(
        passed=newest.is_empty() or newest["feature_hash"][0] == feature_hash(),
        metadata={"newest": markdown_table(newest), "code": feature_hash()},
    )
