"""A row a key: the check that the tables of a training and of an issue share.

Each is written anew for its cutoffs; a row that stays behind, or comes twice, shows here.
"""

import dagster as dg

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.metadata import markdown_table
from energy_platform.domain.columns import BACKTESTS, DRIVERS, NOT_ISSUED, PROMOTIONS, RESIDUALS, Table


def _one_row_per_key(table: Table) -> dg.AssetChecksDefinition:
    key = ", ".join(table.key)

    @dg.asset_check(
        asset=[table.schema, table.name], name=f"{table.name}_hold_each_key_once", pool="warehouse", description=key
    )
    def check(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
        """One row per key."""
        broken = warehouse.read(
            f"SELECT {key}, count(*) AS rows FROM {table.full_name} GROUP BY {key} HAVING count(*) > 1 LIMIT 20"
        )
        return dg.AssetCheckResult(passed=broken.is_empty(), metadata={"broken": markdown_table(broken)})

    return check


defs = dg.Definitions(
    asset_checks=[_one_row_per_key(table) for table in (PROMOTIONS, BACKTESTS, RESIDUALS, NOT_ISSUED, DRIVERS)]
)
