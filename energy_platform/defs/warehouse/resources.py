"""The dbt resource of this stage, for ``dbt_models`` alone."""

import dagster as dg

from energy_platform.defs.warehouse.project import dbt_resource

defs = dg.Definitions(resources={"dbt": dbt_resource()})
