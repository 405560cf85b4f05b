"""One more day of every meter in a home, as a file of the London layout: what a utility's nightly delivery is.

Belongs here: making such a file from what the home holds. Does not belong here: landing it (lcl_scale.py).
"""

from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl

from energy_platform.adapters.warehouse import Warehouse

HEADER = "LCLid,stdorToU,DateTime,KWH/hh (per half hour) ,Acorn,Acorn_grouped"
SLOTS = 48
_WEEK_EARLIER_SQL = """
    WITH slots AS (
        SELECT $first::TIMESTAMP + INTERVAL 30 MINUTE * slot AS start_utc FROM unnest(range($slots)) AS t(slot)),
    week_earlier AS (
        SELECT meter_id, interval_start_utc + INTERVAL 7 DAY AS start_utc, max(energy_kwh) AS energy_kwh
        FROM lake.readings
        WHERE interval_start_utc BETWEEN $first::TIMESTAMP - INTERVAL 7 DAY AND $first::TIMESTAMP - INTERVAL 6 DAY
        GROUP BY ALL)
    SELECT meter_id, start_utc, coalesce(energy_kwh, 0.1) AS energy_kwh
    FROM (SELECT DISTINCT meter_id FROM lake.meters) CROSS JOIN slots
    LEFT JOIN week_earlier USING (meter_id, start_utc) ORDER BY meter_id, start_utc"""


def write_next_days(warehouse: Warehouse, folder: Path, *, days: int) -> list[Path]:
    """Files of the days that follow a home's newest reading, 48 half-hours of every meter in each.

    A meter uses what it used a week before in the same half-hour, 0.1 kWh where that is not known; the days after
    the first repeat the first. Stamps go on where the home's end.

    Args:
        warehouse: of a home that holds London files.
        folder: where the files go; made when missing.
        days: how many.
    """
    folder.mkdir(parents=True, exist_ok=True)
    newest: datetime = warehouse.read("SELECT max(interval_start_utc) FROM lake.readings").item()
    first = newest + timedelta(minutes=30)
    with warehouse.connect() as connection:
        rows = connection.execute(_WEEK_EARLIER_SQL, {"first": first, "slots": SLOTS}).pl()
    return [_write(rows.with_columns(pl.col("start_utc").dt.offset_by(f"{day}d")), folder) for day in range(days)]


def _write(rows: pl.DataFrame, folder: Path) -> Path:
    day: date = rows["start_utc"].max().date()  # type: ignore[union-attr]  # a column of stamps has stamps
    path = folder / f"LCL-day-{day}.csv"
    line = pl.format(
        "{},Std,{}.0000000, {} ,ACORN-A,Affluent",
        "meter_id",
        pl.col("start_utc").dt.strftime("%Y-%m-%d %H:%M:%S"),
        pl.col("energy_kwh").round(3),
    )
    path.write_text("\n".join([HEADER, *rows.select(line).to_series()]) + "\n", encoding="utf-8")
    return path
