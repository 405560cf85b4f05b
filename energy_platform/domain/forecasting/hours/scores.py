"""How good the issued forecasts of fleets were: which can be scored, and the arithmetic.

Belongs here: the join with what came to pass (SQL text) and scores by block of lead. Does not belong here:
running either (defs/forecasts/hours.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from energy_platform.domain.columns.hours import FLEET_HOURS, FLEET_SCORES
from energy_platform.domain.forecasting.hours.registry import BASELINE
from energy_platform.domain.forecasting.metrics import mean_pinball

BLOCK_HOURS = 6
_KEY = ("source", "commodity", "segment", "cutoff_date", "interval_start_utc")


def scorable_sql(*, forecasts: str = FLEET_HOURS.full_name, half_hours: str = "marts.fleet_half_hours") -> str:
    """Forecasts whose interval is over, with ``actual_kwh``.

    The actual is the energy of as many meters as were forecast: the mean meter's energy times ``meters``, so
    that a meter that joins between issue and interval is no error of the forecast. An hour is made of both
    its half hours.
    """
    return f"""
SELECT f.*, h.energy_kwh / h.reporting * f.meters * f.interval_minutes / 30 AS actual_kwh
FROM {forecasts} AS f
JOIN (
    SELECT source, commodity, bucket_minutes,
        time_bucket(to_minutes(bucket_minutes), interval_start_utc) AS interval_start_utc,
        sum(energy_kwh) AS energy_kwh, sum(meters) AS reporting, count(*) AS halves
    FROM {half_hours}
    CROSS JOIN (SELECT DISTINCT CAST(interval_minutes AS BIGINT) AS bucket_minutes FROM {forecasts}) AS buckets
    WHERE interval_start_utc >= (SELECT min(interval_start_utc) FROM {forecasts})
    GROUP BY ALL
) AS h
    ON h.source = f.source AND h.commodity = f.commodity AND h.bucket_minutes = f.interval_minutes
    AND h.interval_start_utc = f.interval_start_utc
WHERE f.segment = 'all' AND h.halves * 30 = f.interval_minutes
""".strip()


def score(rows: pl.DataFrame) -> pl.DataFrame:
    """``forecasts.fleet_scores`` of rows of ``scorable_sql``, ordered by key.

    ``skill`` compares on the intervals that the baseline has too; null where it has none.
    """
    error = pl.col("p50_kwh") - pl.col("actual_kwh")
    naive = rows.filter(pl.col("model") == BASELINE.name).select(*_KEY, naive_error=error.abs())
    shared = pl.col("naive_error").is_not_null()
    return (
        rows.join(naive, on=list(_KEY), how="left")
        .with_columns(lead_hours_from=(pl.col("lead_hours") // BLOCK_HOURS * BLOCK_HOURS).cast(pl.Int16))
        .group_by(FLEET_SCORES.key)
        .agg(
            intervals=pl.len().cast(pl.Int64),
            actual_kwh=pl.col("actual_kwh").mean(),
            mae_kwh=error.abs().mean(),
            bias_kwh=error.mean(),
            pinball_kwh=mean_pinball().mean(),
            coverage=pl.col("actual_kwh").is_between("p10_kwh", "p90_kwh").mean(),
            skill=pl.when((naive_sum := pl.col("naive_error").sum()) > 0).then(
                1 - error.abs().filter(shared).sum() / naive_sum
            ),
        )
        .sort(FLEET_SCORES.key)
        .select(FLEET_SCORES.column_names)
        .cast(FLEET_SCORES.polars_schema)
    )


def leaderboard(scores: pl.DataFrame, *, by: Sequence[str] = ("source", "commodity", "model")) -> pl.DataFrame:
    """Scores added up, every interval with the same weight; best first within each fleet.

    Args:
        scores: rows of ``forecasts.fleet_scores``.
        by: columns to add up over, ``model`` among them.
    """
    weight = pl.col("intervals")
    naive_mae = pl.col("mae_kwh") / (1 - pl.col("skill"))
    comparable = pl.col("skill").is_not_null() & (pl.col("skill") < 1)
    weighted = {
        name: (pl.col(name) * weight).sum() / weight.sum()
        for name in ("mae_kwh", "bias_kwh", "pinball_kwh", "coverage")
    }
    return (
        scores.group_by(by)
        .agg(
            cutoffs=pl.col("cutoff_date").n_unique(),
            intervals=weight.sum(),
            **weighted,
            skill=1
            - (pl.col("mae_kwh") * weight).filter(comparable).sum() / (naive_mae * weight).filter(comparable).sum(),
        )
        .sort(*(name for name in by if name != "model"), "mae_kwh")
    )
