"""A dry run: loads one file into a store of its own and tells what came of it.

Belongs here: the questions put to that store. Does not belong here: printing (commands/sources.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb
import polars as pl

from energy_platform.adapters.lake_loader.load import Store, load_pending
from energy_platform.domain.plausibility import doubtful_unit, swapped_days
from energy_platform.domain.readings import FileOutcome, LandedFile
from energy_platform.domain.sources import ReadingsSource, SourceDeclaration

_REASONS_SQL = """
    SELECT reason, count(*) AS rows, arg_min(line_number, line_number) AS line, arg_min(column_name, line_number) AS "column",
           arg_min(detail, line_number) AS detail, arg_min(raw_text, line_number) AS text
    FROM lake.rejected GROUP BY reason ORDER BY rows DESC, reason"""
_METERS_SQL = """
    SELECT meter_id, channel, count(*) AS readings, min(interval_start_utc) AS first_utc, max(interval_start_utc) AS last_utc,
           any_value(interval_minutes) AS interval_minutes, sum(energy_kwh) AS energy_kwh,
           datediff('minute', min(interval_start_utc), max(interval_start_utc)) // any_value(interval_minutes) + 1 - count(*)
               AS missing,
           sum(energy_kwh) / sum(interval_minutes / 60) AS mean_kw,
           count(*) FILTER (WHERE energy_kwh < 0) AS negative
    FROM lake.readings GROUP BY ALL ORDER BY ALL"""
_DAYS_SQL = """
    WITH days AS (
        SELECT meter_id, channel, CAST(interval_start_utc + to_minutes(utc_offset_minutes) AS DATE) AS day,
               sum(interval_minutes) - 1440 - (max(utc_offset_minutes) - min(utc_offset_minutes))
                   * CASE WHEN arg_min(utc_offset_minutes, interval_start_utc) > arg_max(utc_offset_minutes, interval_start_utc)
                          THEN 1 ELSE -1 END AS too_few
        FROM lake.readings GROUP BY ALL)
    SELECT count(*), count(*) FILTER (WHERE too_few >= 0) FROM days"""
_DATES_SQL = """
    SELECT DISTINCT CAST(at_utc AS DATE) FROM (
        SELECT interval_start_utc AS at_utc FROM lake.readings UNION ALL SELECT observed_at_utc FROM lake.weather
        UNION ALL SELECT measured_at_utc FROM lake.telemetry)"""


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """What a dry run found.

    Args:
        outcome: the ledger's row; ``outcome.error`` says why nothing could be read.
        reasons: ``reason, rows, line, column, detail, text`` of the first rejected row of each reason.
        meters: ``meter_id, channel, readings, first_utc, last_utc, interval_minutes, energy_kwh, missing, mean_kw, negative``.
        days: meter-days with readings.
        complete_days: those that lack none.
        warnings: what looks wrong though it can be read.
    """

    outcome: FileOutcome
    reasons: pl.DataFrame
    meters: pl.DataFrame
    days: int
    complete_days: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _OneFile:
    """A landing zone of one file that stays where it is."""

    file: LandedFile

    def pending(self, ledger: pl.DataFrame) -> list[LandedFile]:
        """The file, as long as it is not in the ledger."""
        return [] if ledger.height else [self.file]


def check_file(path: Path, declaration: SourceDeclaration, store: Store, *, now: datetime) -> SourceCheck:
    """Load a file into an empty store and look at what it became; nothing else is touched.

    Args:
        path: the file, wherever it is.
        declaration: how it is read.
        store: an empty warehouse that is thrown away.
        now: when the dry run happens.
    """
    size = path.stat().st_size if path.is_file() else 0
    file = LandedFile(f"{declaration.name}/{path.name}", path, declaration.name, "dry run", size, now)
    summary = load_pending(store, _OneFile(file), {declaration.name: declaration}, now=now)
    with store.connect() as connection:
        meters: pl.DataFrame = connection.execute(_METERS_SQL).pl()
        days, complete = connection.execute(_DAYS_SQL).fetchall()[0]
        reasons: pl.DataFrame = connection.execute(_REASONS_SQL).pl()
        warnings = _warnings(declaration, meters, _dates(connection))
    return SourceCheck(summary.files[0], reasons, meters, days, complete, warnings)


def _dates(connection: duckdb.DuckDBPyConnection) -> list[date]:
    return [day for (day,) in connection.execute(_DATES_SQL).fetchall()]


def _warnings(declaration: SourceDeclaration, meters: pl.DataFrame, days: list[date]) -> tuple[str, ...]:
    found = [swapped_days(days)]
    if isinstance(declaration, ReadingsSource):
        unit = declaration.value.unit
        rows = meters.select("meter_id", "channel", "mean_kw").iter_rows()
        doubts = [doubtful_unit(f"{meter} {channel}", mean_kw, unit) for meter, channel, mean_kw in rows]
        told = [doubt for doubt in doubts if doubt is not None]
        found += told[:3]
        if len(told) > 3:
            found.append(f"{len(told) - 3} more meters draw as little or as much.")
    negative = int(meters["negative"].sum())
    if negative:
        found.append(f"{negative:,} readings are negative: export, or a meter wired the wrong way round?")
    if not meters.is_empty() and meters["energy_kwh"].sum() == 0:
        found.append("all energy is zero: is it the right column?")
    return tuple(sentence for sentence in found if sentence is not None)
