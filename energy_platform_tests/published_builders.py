"""Issued forecasts for tests of what reads them.

Belongs here: rows that fit the contract whatever columns it has. Does not belong here: how a forecast is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import polars as pl

from energy_platform.domain.columns import FORECASTS, Table


def issued_rows(meters: Sequence[str], *, cutoff: date, model: str = "lightgbm", source: str = "homes") -> pl.DataFrame:
    """Issued forecasts of seven days: as many kWh as the day is ahead, one less and one more as the band."""
    rows = [
        {
            "model": model,
            "model_version": "3",
            "cutoff_date": cutoff,
            "meter_id": meter,
            "channel": "main",
            "source": source,
            "commodity": "electricity",
            "local_date": cutoff + timedelta(days=lead - 1),
            "lead_days": lead,
            "p10_kwh": lead - 1.0,
            "p50_kwh": float(lead),
            "p90_kwh": lead + 1.0,
            "is_issued": True,
            "reason": "lightgbm is champion: it saves 20 %",
            "issued_at_utc": datetime(2026, 1, 1),
        }
        for meter in meters
        for lead in range(1, 8)
    ]
    return as_contract(pl.DataFrame(rows), FORECASTS)


def as_contract(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    """``rows`` with every column of a contract: what they lack is null, or nothing in particular where null is not allowed."""
    nothing = {pl.String: "", pl.Boolean: False, pl.Date: date(2026, 1, 1)}
    missing = {
        column.name: pl.lit(nothing.get(column.dtype, 0) if column.required else None).cast(column.dtype)
        for column in table.columns
        if column.name not in rows.columns
    }
    return rows.with_columns(**missing).select(table.column_names).cast(table.polars_schema)
