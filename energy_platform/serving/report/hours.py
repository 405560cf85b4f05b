"""The next 48 hours of every fleet: the newest issued forecast with its band, after the hours before it.

Belongs here: the two queries, and the pictures for Dagster. Does not belong here: how a fleet is forecast
(domain/forecasting/hours), marks and axes (charts.py), where the section stands (page.py).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import date

import duckdb
import polars as pl

from energy_platform.serving.report import charts

# Fleets drawn; the ones with most energy ahead.
FLEETS_SHOWN = 8
DAYS_BEFORE = 3

FORECASTS_SQL = """
WITH issued AS (
    SELECT *
    FROM forecasts.fleet_hours
    WHERE is_issued
    QUALIFY cutoff_date = max(cutoff_date) OVER (PARTITION BY source, commodity, segment)
),
zones AS (SELECT source, commodity, mode(time_zone) AS time_zone FROM lake.meters GROUP BY source, commodity)
SELECT source, commodity, segment, cutoff_date, model, reason, time_zone, interval_minutes, meters,
    interval_start_utc, p10_kwh, p50_kwh, p90_kwh
FROM issued
JOIN zones USING (source, commodity)
ORDER BY source, commodity, segment, interval_start_utc
"""
# As much energy as the forecast's meters would have used: the mean reporting meter times their number.
MEASURED_SQL = f"""
WITH fleets AS (
    SELECT source, commodity, segment, any_value(interval_minutes) AS interval_minutes,
        any_value(meters) AS meters_ahead, min(interval_start_utc) AS first_utc, max(interval_start_utc) AS last_utc
    FROM forecast
    GROUP BY ALL
)
SELECT source, commodity, segment,
    time_bucket(to_minutes(CAST(interval_minutes AS BIGINT)), h.interval_start_utc) AS interval_start_utc,
    sum(energy_kwh) / sum(meters) * any_value(meters_ahead) * any_value(interval_minutes) / 30 AS energy_kwh
FROM marts.fleet_half_hours AS h
JOIN fleets USING (source, commodity)
WHERE h.interval_start_utc >= first_utc - INTERVAL {DAYS_BEFORE} DAY
    AND h.interval_start_utc < last_utc + to_minutes(CAST(interval_minutes AS BIGINT))
GROUP BY ALL
HAVING count(*) * 30 = any_value(interval_minutes)
ORDER BY ALL
"""


@dataclass(frozen=True, slots=True)
class FleetAhead:
    """One fleet's newest forecast.

    Args:
        source: name of the source.
        commodity: electricity or gas.
        cutoff: local day at whose start it was issued.
        model: who made it.
        reason: why that one, in words.
        interval_minutes: 30 or 60.
        meters: how many are expected to report.
        forecast: ``local_time`` (wall clock), ``p10_kwh``, ``p50_kwh``, ``p90_kwh``.
        measured: ``local_time``, ``energy_kwh``: three days before, and what has come to pass since.
    """

    source: str
    commodity: str
    cutoff: date
    model: str
    reason: str
    interval_minutes: int
    meters: float
    forecast: pl.DataFrame
    measured: pl.DataFrame

    @property
    def title(self) -> str:
        """Which fleet."""
        return f"{self.source}: {self.commodity}"

    @property
    def unit(self) -> str:
        """What its energies are of."""
        return "kWh a half hour" if self.interval_minutes < 60 else "kWh an hour"

    @property
    def energy_kwh(self) -> float:
        """Median of the two days together, taken as the sum of the medians."""
        return float(self.forecast["p50_kwh"].sum())


def read_hours(connection: duckdb.DuckDBPyConnection) -> list[FleetAhead]:
    """The newest issued forecast of each fleet, those with most energy first, ``FLEETS_SHOWN`` at most."""
    forecast = connection.execute(FORECASTS_SQL).pl()
    connection.register("forecast", forecast)
    measured = connection.execute(MEASURED_SQL).pl()
    connection.unregister("forecast")
    names = ["source", "commodity", "segment"]
    found = []
    for key, rows in forecast.group_by(names, maintain_order=True):
        head = rows.row(0, named=True)
        mine = measured.filter(pl.all_horizontal(pl.col(name) == value for name, value in zip(names, key, strict=True)))
        found.append(
            FleetAhead(
                source=head["source"],
                commodity=head["commodity"],
                cutoff=head["cutoff_date"],
                model=head["model"],
                reason=head["reason"],
                interval_minutes=head["interval_minutes"],
                meters=head["meters"],
                forecast=_on_the_wall(rows, head["time_zone"]).select("local_time", "p10_kwh", "p50_kwh", "p90_kwh"),
                measured=_on_the_wall(mine, head["time_zone"]).select("local_time", "energy_kwh"),
            )
        )
    return sorted(found, key=lambda fleet: -fleet.energy_kwh)[:FLEETS_SHOWN]


def _on_the_wall(rows: pl.DataFrame, time_zone: str) -> pl.DataFrame:
    wall = pl.col("interval_start_utc").dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone)
    return rows.with_columns(local_time=wall.dt.replace_time_zone(None))


def newest_pictures(fleets: list[FleetAhead]) -> str:
    """Markdown with one picture a fleet, for the page of a materialization in Dagster."""
    parts = []
    for fleet in fleets:
        drawn = charts.hours_chart(fleet.forecast, fleet.measured, commodity=fleet.commodity, unit=fleet.unit)
        encoded = base64.b64encode(charts.png(drawn)).decode()
        words = f"**{fleet.title}**, from {fleet.cutoff}: {fleet.reason}"
        parts.append(f"{words}\n\n![{fleet.title}](data:image/png;base64,{encoded})")
    return "\n\n".join(parts) or "No forecast has been issued yet."
