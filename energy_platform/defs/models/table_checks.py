"""A row a key: of the tables of a training and of an issue, each of which is written anew for its cutoffs."""

import dagster as dg

from energy_platform.defs.no_rows import no_rows_checks, one_row_per_key
from energy_platform.domain.columns import BACKTESTS, DRIVERS, NOT_ISSUED, PROMOTIONS, RESIDUALS

defs = dg.Definitions(
    asset_checks=[
        no_rows_checks("training_keys", *map(one_row_per_key, (PROMOTIONS, BACKTESTS, RESIDUALS))),
        no_rows_checks("issue_keys", *map(one_row_per_key, (NOT_ISSUED, DRIVERS))),
    ]
)
