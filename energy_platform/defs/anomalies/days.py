"""Household days out of the warehouse: what detectors are trained on, and what they judge.

Belongs here: reading, some meters at a time. Does not belong here: how readings become hours (domain/anomalies/rows.py).
"""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import numpy as np
import polars as pl

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.domain.anomalies.protocol import HOURS
from energy_platform.domain.anomalies.rows import hour_readings_sql, hours_of, household_days, household_days_sql

# Half a year of these is 70 MB of readings and 12 MB of sums. DuckDB hands over a result on one core.
METERS_AT_ONCE = 350
_AT_ONCE = 2


def read_days(
    warehouse: Warehouse,
    *,
    first: date,
    end: date,
    known: pl.DataFrame | None = None,
    sources: Collection[str] | None = None,
) -> pl.DataFrame:
    """``HOUSEHOLD_DAYS`` and ``META`` from ``first`` up to ``end``, by meter, channel and day.

    Args:
        warehouse: to read from.
        first: first day.
        end: the day after the last.
        known: meter_id, channel, local_date of days that are known to be anomalous.
        sources: whose meters; None takes all.
    """
    with warehouse.connect() as connection:
        rows: pl.DataFrame = connection.execute(household_days_sql(first=first, end=end)).pl()
        if sources is not None:
            rows = rows.filter(pl.col("source").is_in(list(sources)))
        numbers, day = rows["meter_no"].to_numpy(), (rows["local_date"] - first).dt.total_days().to_numpy()
        hours = np.full((rows.height, HOURS), np.nan, dtype=np.float32)

        def fill(begin: int) -> None:
            """The hours of some meters, by a cursor of its own."""
            some = [begin, begin + METERS_AT_ONCE - 1]
            with connection.cursor() as cursor:
                readings = cursor.execute(hour_readings_sql(first=first, end=end), some).pl()
            found = hours_of(readings, first_meter=begin, meters=METERS_AT_ONCE, days=(end - first).days)
            places = np.flatnonzero((numbers >= some[0]) & (numbers <= some[1]))
            hours[places] = found[numbers[places] - begin, day[places]]

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(fill, (np.unique(numbers // METERS_AT_ONCE) * METERS_AT_ONCE).tolist()))
    nothing = rows.select("meter_id", "channel", "local_date").clear()
    return household_days(rows, hours, nothing if known is None else known)
