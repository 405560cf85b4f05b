"""forecasts/scores: every stored forecast against the day that came to pass.

Belongs here: reading, calling, writing. The arithmetic: domain/forecasting/metrics.py.
"""

import dagster as dg

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.metadata import markdown_table, row_count, table_spec
from energy_platform.domain.columns import FEATURES_METER_DAYS, FORECAST_SCORES, FORECASTS, METER_DAYS
from energy_platform.domain.forecasting.metrics import leaderboard, score
from energy_platform.domain.forecasting.scores import scorable_sql

KEY = dg.AssetKey([FORECAST_SCORES.schema, FORECAST_SCORES.name])


@dg.multi_asset(
    name="forecasts_scores",
    specs=[
        table_spec(
            FORECAST_SCORES,
            description="Accuracy by lead time, of both models on the same days, from the forecasts that were stored.",
            kinds={"polars", "duckdb"},
            deps=[[table.schema, table.name] for table in (FORECASTS, METER_DAYS, FEATURES_METER_DAYS)],
        )
    ],
    pool="warehouse",
)
def forecasts_scores(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult[None]:
    """Score by model, source, commodity, cutoff and lead; the leaderboard weighs them by meter-days."""
    scores = score(warehouse.read(scorable_sql()))
    warehouse.replace(FORECAST_SCORES, scores, where="true")
    return dg.MaterializeResult(
        asset_key=KEY,
        metadata={
            **row_count(scores.height),
            "meter_days": int(scores["meter_days"].sum()),
            "by_model": markdown_table(leaderboard(scores, by=("model",))),
            "leaderboard": markdown_table(leaderboard(scores)),
        },
    )
