"""What is known at a cutoff of a test warehouse, as training and issuing read it.

Belongs here: the reading that defs/models and defs/forecasts do, for tests without Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from energy_platform.adapters.known_features import known_features
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.domain.forecasting.history import DaySeries, known_series_sql
from energy_platform.domain.forecasting.rows import backtest_rows_sql, design, issue_rows_sql, training_rows_sql
from energy_platform_tests.day_builders import make_warehouse

TABLE = "features.meter_days"
FAR = date(2100, 1, 1)


@dataclass(frozen=True)
class Known:
    """Training, held-out and issue rows at one cutoff, with the known days."""

    training: pl.DataFrame
    held_out: pl.DataFrame
    rows: pl.DataFrame
    series: DaySeries


def series_of(warehouse: Warehouse, cutoff: date = FAR, *, features: str = TABLE) -> DaySeries:
    """The known days before a cutoff; of all days when none is given, if they are not older than three years."""
    if cutoff == FAR:
        newest = warehouse.read(f"SELECT max(local_date) FROM {features}").item()
        cutoff = newest or FAR
    return DaySeries.of(warehouse.read(known_series_sql(features, cutoff=cutoff)))


def design_of(warehouse: Warehouse, sql: str) -> pl.DataFrame:
    """The rows of a query, designed with all days of the warehouse: later ones must not matter."""
    return design(warehouse.read(sql), series_of(warehouse))


def known_at(path: Path, days: pl.DataFrame, cutoff: date, *, meters: int = 4) -> Known:
    """Everything that a training and an issue at a cutoff read, from days written to a warehouse."""
    warehouse = make_warehouse(path, days)
    with warehouse.connect() as connection:
        features = known_features(connection, cutoff)
        series = DaySeries.of(connection.execute(known_series_sql(features, cutoff=cutoff)).pl())
        held_out = backtest_rows_sql(features, cutoff=cutoff, meters=meters)
        return Known(
            design(connection.execute(training_rows_sql(features, cutoff=cutoff, stride=1)).pl(), series),
            design(connection.execute(held_out).pl(), series),
            design(connection.execute(issue_rows_sql(features, issue_days=[cutoff])).pl(), series),
            series,
        )
