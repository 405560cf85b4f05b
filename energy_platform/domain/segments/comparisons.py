"""You against similar homes: a home's month beside those of its segment.

Belongs here: who is compared with whom, and the figures. Does not belong here: who is in which segment.
"""

from __future__ import annotations

import polars as pl

# Months with fewer readings are no months; with fewer peers, a quartile would be one home's bill.
COMPLETE_MONTH = 0.9
LEAST_PEERS = 5

COMPARISONS = pl.Schema(
    {
        "site_id": pl.String,
        "source": pl.String,
        "commodity": pl.String,
        "local_month": pl.Date,
        "segment": pl.String,
        "energy_kwh": pl.Float64,
        "peers": pl.Int32,
        "lower_quartile_kwh": pl.Float64,
        "median_kwh": pl.Float64,
        "upper_quartile_kwh": pl.Float64,
        "share_below": pl.Float64,
    }
)


def comparisons(months: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """Every complete month of every home beside the same month of the homes of its segment.

    A home with too few peers in its segment is not compared: naming the two others would tell on them.

    Args:
        months: ``site_id``, ``source``, ``commodity``, ``local_month``, ``energy_kwh``, ``completeness``.
        members: ``site_id``, ``source``, ``commodity``, ``segment``, one row a home.

    Returns:
        ``COMPARISONS``. Quartiles are over the segment's homes, itself among them; ``share_below`` is the
        share of the others that used less.
    """
    same = ["source", "commodity", "segment", "local_month"]
    found = (
        months.filter(pl.col("completeness") >= COMPLETE_MONTH)
        .join(members.select("site_id", "source", "commodity", "segment"), on=["site_id", "source", "commodity"])
        .with_columns(
            peers=pl.len().over(same) - 1,
            lower_quartile_kwh=pl.col("energy_kwh").quantile(0.25, "linear").over(same),
            median_kwh=pl.col("energy_kwh").median().over(same),
            upper_quartile_kwh=pl.col("energy_kwh").quantile(0.75, "linear").over(same),
            below=pl.col("energy_kwh").rank("min").over(same) - 1,
        )
        .filter(pl.col("peers") >= LEAST_PEERS)
        .with_columns(share_below=pl.col("below") / pl.col("peers"))
    )
    return found.select(COMPARISONS.names()).cast(COMPARISONS).sort("site_id", "commodity", "local_month")
