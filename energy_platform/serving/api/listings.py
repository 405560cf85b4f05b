"""What can be listed of the published tables, a page at a time.

Every listing has an order that names each row, and a page begins after the last row of the one before: a newer
generation between two pages neither repeats nor skips what both of them have. Belongs here: SQL over published tables
and cursors. Does not belong here: HTTP (tables.py), generations (generations.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import orjson
import polars as pl

from energy_platform.domain.columns import (
    ANOMALIES,
    FLEET_HOURS,
    FORECASTS,
    METER_DAYS,
    METER_HOUR_PROFILES,
    METERS,
    SITES,
    Column,
    Table,
    column,
)
from energy_platform.domain.columns.anomalies import EPISODES, SEVERITIES
from energy_platform.domain.columns.shared import CHANNEL, COMMODITY, ESTIMATED_SHARE, METER_ID, SITE_ID
from energy_platform.serving.api.answers import BAD_CURSOR, as_page, read_cursor, write_cursor
from energy_platform.serving.api.generations import OpenGeneration
from energy_platform.serving.api.problems import Problem

MOST_ROWS = 1_000
# A list of names is carried down to the rows up to about so many; a longer one costs more than it saves.
MOST_NAMED_METERS = 50
_SQL_TYPES = {pl.String: "VARCHAR", pl.Date: "DATE", pl.Boolean: "BOOLEAN"}


@dataclass(frozen=True, slots=True)
class Listing:
    """A listing.

    Args:
        name: a word for a row of it.
        one_row_per: in words.
        columns: what a row has, in order.
        key: names of the columns that it is ordered by; together they name a row.
        sql: SELECT that gives these columns.
        filters: condition by the name of what may be asked for.
        otherwise: condition by the name of what was not asked for.
        newest_first: whether the order is turned around.
        is_found_by_meter: whether its rows are found by the name of a meter quickly and by its site slowly: a view whose
            site comes from a join (at 8 million rows 10 ms and 200 ms).
    """

    name: str
    one_row_per: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    sql: str
    filters: Mapping[str, str]
    otherwise: Mapping[str, str] = field(default_factory=dict)
    newest_first: bool = False
    is_found_by_meter: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks a listing for.

    Args:
        filters: values by name; what is None was not asked for.
        sites: those of the key; None is every one.
        cursor: as the page before gave it.
        limit: rows of the page.
    """

    filters: Mapping[str, Any]
    sites: Sequence[str] | None
    cursor: str | None
    limit: int


def page(generation: OpenGeneration, listing: Listing, asked: Asked) -> bytes:
    """A page as JSON: ``generation``, ``items``, ``next_cursor`` (null on the last one).

    Raises:
        Problem: 422, the cursor is not one of this listing.
    """
    conditions, values = ["true"], dict[str, Any](limit=asked.limit + 1)
    for name, value in asked.filters.items():
        if value is not None:
            conditions.append(listing.filters[name])
            values[name] = value
        elif name in listing.otherwise:
            conditions.append(listing.otherwise[name])
    if asked.sites is not None:
        conditions.append("list_contains($sites, site_id)")
        values["sites"] = list(asked.sites)
    if asked.cursor is not None:
        conditions.append(_after(listing))
        values |= dict(zip(_cursor_names(listing), read_cursor(asked.cursor, len(listing.key)), strict=True))
    if listing.is_found_by_meter and (meters := _few_meters(generation, asked)):
        conditions.append("list_contains($meters, meter_id)")
        values["meters"] = meters
    order = ", ".join(f"{name}{' DESC' if listing.newest_first else ''}" for name in listing.key)
    names = ", ".join(one.name for one in listing.columns)
    sql = f"SELECT {names} FROM ({listing.sql}) WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT $limit"

    def make() -> bytes:
        rows = _checked_rows(generation, sql, values)
        more, kept = len(rows) > asked.limit, rows[: asked.limit]
        cursor = write_cursor(*(kept[-1][name] for name in listing.key)) if more else None
        return as_page(kept, cursor, generation.generation_id)

    return generation.answer((sql, orjson.dumps(values, default=str)), make)


def _few_meters(generation: OpenGeneration, asked: Asked) -> list[str]:
    """The meters of the sites asked for; none when all sites are, or they have more than is worth naming."""
    site = asked.filters.get("site")
    sites = asked.sites if site is None else [site]
    if sites is None:
        return []
    sql = (
        f"SELECT DISTINCT meter_id FROM lake.meters WHERE list_contains($sites, site_id) LIMIT {MOST_NAMED_METERS + 1}"
    )
    found = sorted(row["meter_id"] for row in generation.rows(sql, {"sites": list(sites)}))
    return found if len(found) <= MOST_NAMED_METERS else []


def _checked_rows(generation: OpenGeneration, sql: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    try:
        return generation.rows(sql, values)
    except duckdb.ConversionException:
        # Only a cursor's values are cast: everything else was checked at the door.
        raise Problem(422, BAD_CURSOR) from None


def _cursor_names(listing: Listing) -> list[str]:
    return [f"after_{number}" for number in range(len(listing.key))]


def _after(listing: Listing) -> str:
    types = {one.name: one.dtype for one in listing.columns}
    casts = [
        f"CAST(${name} AS {_sql_type(types[key])})"
        for name, key in zip(_cursor_names(listing), listing.key, strict=True)
    ]
    sign = "<" if listing.newest_first else ">"
    return f"({', '.join(listing.key)}) {sign} ({', '.join(casts)})"


def _sql_type(dtype: pl.DataType | type[pl.DataType]) -> str:
    if dtype == pl.Datetime:
        return "TIMESTAMP"
    named = next((sql for kind, sql in _SQL_TYPES.items() if dtype == kind), None)
    return named or ("BIGINT" if dtype.is_integer() else "DOUBLE")


def _of(table: Table, *names: str) -> tuple[Column, ...]:
    """Some columns of a contract, in the order asked for; all of them for none."""
    by_name = {one.name: one for one in table.columns}
    return tuple(by_name[name] for name in names) if names else table.columns


_SITE = {"site": "site_id = $site", "meter": "meter_id = $meter"}
_MEASURED = {"channel": "channel = $channel", "commodity": "commodity = $commodity"}


def _span(name: str) -> dict[str, str]:
    return {"since": f"{name} >= $since", "to": f"{name} <= $to"}


SITES_LISTING = Listing(
    "site",
    "site",
    _of(SITES, "site_id", "time_zone", "country"),
    ("site_id",),
    "SELECT * FROM lake.sites",
    {"site": "site_id = $site"},
)
METERS_LISTING = Listing(
    "meter",
    "meter and channel",
    _of(METERS, "meter_id", "channel", "site_id", "source", "commodity", "interval_minutes", "time_zone", "country"),
    ("meter_id", "channel"),
    "SELECT * FROM lake.meters",
    _SITE | _MEASURED,
)
DAILY = Listing(
    "day",
    METER_DAYS.one_row_per,
    _of(
        METER_DAYS,
        *("meter_id", "channel", "site_id", "commodity", "local_date", "energy_kwh", "readings", "expected_readings"),
        *("completeness", "estimated_share", "peak_kwh", "peak_interval_start_utc"),
    ),
    ("meter_id", "channel", "local_date"),
    "SELECT * FROM marts.meter_days",
    _SITE | _MEASURED | _span("local_date"),
)


def _periods(unit: str) -> Listing:
    """Usage by calendar month or year of the site, added up from its days."""
    sql = f"""
        SELECT meter_id, channel, site_id, commodity, date_trunc('{unit}', local_date)::DATE AS period_start,
            sum(energy_kwh) AS energy_kwh, count(*) AS days,
            datediff('day', period_start, (period_start + INTERVAL 1 {unit})::DATE) AS calendar_days,
            sum(readings)::BIGINT AS readings, sum(expected_readings)::BIGINT AS expected_readings,
            sum(estimated_share * readings) / nullif(sum(readings), 0) AS estimated_share
        FROM marts.meter_days GROUP BY ALL"""
    columns = (
        METER_ID,
        CHANNEL,
        SITE_ID,
        COMMODITY,
        column("period_start", pl.Date, "", f"First day of the calendar {unit} at the site."),
        column("energy_kwh", pl.Float64, "kWh", f"Energy of the days of the {unit} that have any reading."),
        column("days", pl.Int64, "d", "Days with any reading."),
        column("calendar_days", pl.Int64, "d", f"Days that the {unit} has."),
        column("readings", pl.Int64, "", "Distinct intervals that have a reading."),
        column("expected_readings", pl.Int64, "", "Intervals that the days with any reading have."),
        ESTIMATED_SHARE,
    )
    filters = _SITE | _MEASURED | _span("period_start")
    return Listing(
        unit, f"meter, channel and local {unit}", columns, ("meter_id", "channel", "period_start"), sql, filters
    )


MONTHLY, YEARLY = _periods("month"), _periods("year")
PROFILES = Listing(
    "hour",
    METER_HOUR_PROFILES.one_row_per,
    _of(
        METER_HOUR_PROFILES,
        *("meter_id", "channel", "site_id", "commodity", "is_weekend", "local_hour", "mean_kwh", "hours"),
    ),
    METER_HOUR_PROFILES.key,
    "SELECT * FROM marts.meter_hour_profiles",
    _SITE | _MEASURED,
)
# Of each source the newest cutoff that is not after the one asked for: what a user standing there was given.
FORECASTS_LISTING = Listing(
    "forecast",
    "meter, channel, cutoff and day ahead that was given to users",
    (
        *_of(FORECASTS, "meter_id", "channel", "source", "commodity"),
        SITE_ID,
        *_of(FORECASTS, "cutoff_date", "local_date", "lead_days", "p10_kwh", "p50_kwh", "p90_kwh"),
        *_of(FORECASTS, "model", "model_version", "is_fallback", "reason", "issued_at_utc"),
    ),
    ("meter_id", "channel", "cutoff_date", "lead_days"),
    """
        SELECT issued.*, meters.site_id,
            cutoff_date = max(cutoff_date) OVER (PARTITION BY issued.source) AS is_newest
        FROM forecasts.meter_days AS issued JOIN lake.meters AS meters USING (meter_id, channel) WHERE is_issued""",
    _SITE | _MEASURED | {"cutoff": "cutoff_date = $cutoff"},
    {"cutoff": "is_newest"},
)
# Sums over the meters of all sites: no key for some sites sees them.
FLEETS_LISTING = Listing(
    "fleet_hour",
    "source, commodity, segment, cutoff and half hour or hour ahead that was given to users",
    tuple(one for one in FLEET_HOURS.columns if one.name != "is_issued"),
    ("source", "commodity", "segment", "cutoff_date", "interval_start_utc"),
    """
        SELECT *, NULL::VARCHAR AS site_id, cutoff_date = max(cutoff_date) OVER (PARTITION BY source) AS is_newest
        FROM forecasts.fleet_hours WHERE is_issued""",
    {"source": "source = $source", "commodity": "commodity = $commodity", "segment": "segment = $segment"}
    | {"cutoff": "cutoff_date = $cutoff"},
    {"cutoff": "is_newest"},
)
ANOMALIES_LISTING = Listing(
    "anomaly",
    ANOMALIES.one_row_per,
    (
        *_of(ANOMALIES, "detector", "meter_id", "channel", "source", "commodity"),
        SITE_ID,
        *_of(ANOMALIES, "local_date", "interval_start_utc", "interval_minutes", "energy_kwh"),
        *_of(ANOMALIES, "expected_kwh", "threshold_kwh", "score", "reason"),
    ),
    ("interval_start_utc", "detector", "meter_id", "channel", "interval_minutes"),
    """
        SELECT found.*, meters.site_id
        FROM anomalies.scores AS found JOIN lake.meters AS meters USING (meter_id, channel)""",
    _SITE | _MEASURED | {"detector": "detector = $detector"} | _span("local_date"),
    newest_first=True,
    is_found_by_meter=True,
)
SEVERITIES_LISTING = Listing(
    "severity",
    SEVERITIES.one_row_per,
    (*SEVERITIES.columns, SITE_ID),
    ("local_date", "meter_id", "channel"),
    """
        SELECT judged.*, meters.site_id
        FROM anomalies.severities AS judged JOIN lake.meters AS meters USING (meter_id, channel)""",
    _SITE | _MEASURED | {"anomalous": "is_anomalous = $anomalous"} | _span("local_date"),
    newest_first=True,
)
EPISODES_LISTING = Listing(
    "episode",
    EPISODES.one_row_per,
    (*EPISODES.columns, SITE_ID),
    ("last_date", "episode_id"),
    """
        SELECT episodes.*, meters.site_id
        FROM anomalies.episodes AS episodes JOIN lake.meters AS meters USING (meter_id, channel)""",
    _SITE | _MEASURED | {"since": "last_date >= $since", "to": "first_date <= $to"},
    newest_first=True,
)
