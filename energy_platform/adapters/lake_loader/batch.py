"""One batch of files on its way into the lake: insert, settle, account.

Two transactions. The first inserts what DuckDB's reader accepts; the second deletes what turned out to
be known already and enters days, meters, rejected lines and the ledger. Rows whose file has no ledger row
do not count: ``forget_unentered`` takes them away when a load begins and when a batch fails. In one
transaction a single deleted row made DuckDB write all new rows a second time (9 s for 16.8M rows, now 0.2 s).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import groupby

import duckdb
import polars as pl

from energy_platform.adapters.lake_loader import cells, days, fast, instants, judge, ledger, meters, numbers, weather
from energy_platform.adapters.lake_loader.days import Batch
from energy_platform.adapters.lake_loader.lines import Numbered
from energy_platform.adapters.lake_loader.plan import FilePlan
from energy_platform.domain.columns import UTC_TIME
from energy_platform.domain.intervals import offset_sql
from energy_platform.domain.readings import FileOutcome, RowCounts
from energy_platform.domain.sources import ReadingsSource, SourceDeclaration, TelemetrySource, WeatherSource

# Small files are judged together (25 ms a file, otherwise), not more than that: all their rows are in memory at once.
JUDGED_TOGETHER_BYTES = 8_000_000


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit on leaving; roll back on any error."""
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def forget_unentered(connection: duckdb.DuckDBPyConnection) -> None:
    """Delete readings of files that never reached the ledger: a load was interrupted."""
    connection.execute(f"DELETE FROM lake.reading_rows WHERE file_id >= {ledger.next_file_id(connection)}")


def load_files(
    plans: Sequence[FilePlan], connection: duckdb.DuckDBPyConnection, now: datetime, *, by_line: bool = False
) -> list[FileOutcome]:
    """Load files of one source: all of them or, on an error, none.

    Args:
        plans: how each is read.
        connection: of the warehouse, outside a transaction.
        now: from when the platform knows the rows.
        by_line: never use DuckDB's reader.
    """
    fast_plans = [] if by_line else [plan for plan in plans if plan.is_fast]
    load = _Load(plans, connection, now)
    try:
        try:
            with transaction(connection):
                load.insert_fast(fast_plans)
        except fast.GuessMissed:
            load = _Load(plans, connection, now)
            with transaction(connection):
                load.insert_fast(fast_plans, sampled=False)
        with transaction(connection):
            outcomes = load.settle()
            ledger.write_outcomes(outcomes, connection, loaded_at_utc=now)
    except BaseException:
        forget_unentered(connection)
        raise
    return outcomes


class _Load:
    """One batch on its way through the steps."""

    def __init__(self, plans: Sequence[FilePlan], connection: duckdb.DuckDBPyConnection, now: datetime) -> None:
        self.connection, self.now = connection, now
        first = ledger.next_file_id(connection)
        self.plans = dict(enumerate(plans, start=first))
        self.ids = {plan.file.uri: file_id for file_id, plan in self.plans.items()}
        self.available_at: dict[int, datetime] = {}
        self.batch = Batch(first, first + len(plans) - 1)
        self.read = dict.fromkeys(self.plans, 0)
        self.by_line: set[int] = set()
        self.refused: dict[int, list[Numbered]] = {}
        self._name_files()

    @property
    def declaration(self) -> SourceDeclaration:
        """What the files of the batch have in common."""
        return next(iter(self.plans.values())).declaration

    def _name_files(self) -> None:
        """Make ``batch_files``, ``site_facts`` and ``meter_numbers``. Each file is known a microsecond after the one before it."""
        first = ledger.next_available_at(self.connection, self.now)
        self.available_at = {
            file_id: first + timedelta(microseconds=file_id - self.batch.first) for file_id in self.plans
        }
        self.connection.execute(
            """CREATE OR REPLACE TEMP TABLE batch_files (file_id INTEGER, path VARCHAR, meter VARCHAR, channel VARCHAR,
                                                         site VARCHAR, available_at_utc TIMESTAMP);
               CREATE OR REPLACE TEMP TABLE site_facts (file_id INTEGER, meter_id VARCHAR, site VARCHAR,
                                                        attributes VARCHAR[]);
               CREATE OR REPLACE TEMP TABLE commodities (file_id INTEGER, meter_id VARCHAR, channel VARCHAR,
                                                         commodity VARCHAR)"""
        )
        numbers.begin(self.connection)
        rows = {
            "file_id": list(self.plans),
            "path": [str(plan.file.path) for plan in self.plans.values()],
            "meter": [plan.meter.text for plan in self.plans.values()],
            "channel": [plan.channel.text for plan in self.plans.values()],
            "site": [None if plan.site is None else plan.site.text for plan in self.plans.values()],
            "available_at_utc": [self.available_at[file_id] for file_id in self.plans],
        }
        self.connection.register("files_of_batch", pl.DataFrame(rows).to_arrow())
        self.connection.execute("INSERT INTO batch_files BY NAME SELECT * FROM files_of_batch")
        self.connection.unregister("files_of_batch")

    def insert_fast(self, plans: Iterable[FilePlan], *, sampled: bool = True) -> None:
        """Insert what DuckDB's reader accepts, files of one shape by one statement; keep the lines it refuses."""
        ordered = sorted(plans, key=lambda plan: (plan.shape, self.ids[plan.file.uri]))
        for _, group in groupby(ordered, key=lambda plan: plan.shape):
            files = {self.ids[plan.file.uri]: plan for plan in group}
            self.refused |= fast.insert_files(files, self.connection, sampled=sampled)
        counts = self.connection.execute(
            f"SELECT file_id, count(*) FROM lake.reading_rows WHERE {self.batch.where} GROUP BY file_id"
        ).fetchall()
        self.read |= dict(counts)
        self.by_line = set(self.plans) - {self.ids[plan.file.uri] for plan in ordered}

    def settle(self) -> list[FileOutcome]:
        """Read what is left row by row, settle repeated intervals, register meters, count."""
        self._judge(self.by_line | self.refused.keys())
        declaration = self.declaration
        if isinstance(declaration, WeatherSource):
            return self._account(weather.settle(self.batch, self.connection))
        if isinstance(declaration, TelemetrySource):
            return self._account(instants.settle(self.batch, self.connection))
        if not declaration.is_instants:
            return self._account(self._settle_readings())
        settled = instants.settle(self.batch, self.connection)
        for file_id, plan in self.plans.items():
            instants.insert_energy(file_id, plan, self.connection)
        self._settle_readings()  # what it settles are intervals computed here, no rows of the files
        return self._account(settled)

    def _judge(self, file_ids: Iterable[int]) -> None:
        """Judge files row by row, or the lines of them that were refused; insert what can be used and what cannot."""
        for is_whole, plans in self._alike(sorted(file_ids)):
            if is_whole:
                found = cells.file_cells(plans, self.connection)
            else:
                found = cells.text_cells(plans, {file_id: self.refused[file_id] for file_id in plans}, self.connection)
            plan = next(iter(plans.values()))
            for accepted, rejected in judge.classify(plan, found, self.connection):
                for file_id, rows in pl.concat([accepted["file_id"], rejected["file_id"]]).value_counts().iter_rows():
                    self.read[file_id] += rows
                if rejected.height:
                    self._insert_rejected(rejected)
                if accepted.height:
                    self._insert_accepted(plan, accepted)

    def _alike(self, file_ids: Iterable[int]) -> Iterator[tuple[bool, dict[int, FilePlan]]]:
        """Neighbours that are judged together, and whether they are read whole."""

        def kind(file_id: int) -> tuple[bool, Hashable]:
            return file_id in self.by_line, self.plans[file_id].layout

        for (is_whole, _), neighbours in groupby(file_ids, kind):
            alike, size = dict[int, FilePlan](), 0
            for file_id in neighbours:
                alike[file_id] = plan = self.plans[file_id]
                size += plan.file.bytes if is_whole else sum(len(text) for _, text, _ in self.refused[file_id])
                if size >= JUDGED_TOGETHER_BYTES:
                    yield is_whole, alike
                    alike, size = {}, 0
            if alike:
                yield is_whole, alike

    def _insert_rejected(self, rejected: pl.DataFrame) -> None:
        self.connection.register("refused", rejected.to_arrow())
        self.connection.execute(
            """INSERT INTO lake.rejected BY NAME
               SELECT *, ?::TIMESTAMP AS rejected_at_utc FROM refused ORDER BY file_id, line_number""",
            [self.now],
        )
        self.connection.unregister("refused")

    def _insert_accepted(self, plan: FilePlan, accepted: pl.DataFrame) -> None:
        declaration, connection = plan.declaration, self.connection
        known = pl.col("file_id").replace_strict(self.available_at, return_dtype=UTC_TIME)
        connection.register("accepted", accepted.drop("raw_text").with_columns(available_at_utc=known).to_arrow())
        if isinstance(declaration, WeatherSource):
            connection.execute(
                """INSERT INTO lake.weather BY NAME
                   SELECT meter_id AS station_id, start_utc AS observed_at_utc, number AS temperature_c, file_id, available_at_utc
                   FROM accepted"""
            )
        elif isinstance(declaration, TelemetrySource) or declaration.is_instants:
            instants.insert(declaration, connection)
        else:
            numbers.give_numbers("SELECT meter_id, channel, file_id FROM accepted", connection)
            connection.execute(
                f"""INSERT INTO lake.reading_rows BY NAME
                    SELECT meter_no, start_utc AS interval_start_utc, interval_minutes,
                           {offset_sql(declaration.site_zone, "start_utc")} AS utc_offset_minutes, energy_kwh,
                           quality = 'estimated' AS is_estimated, file_id
                    FROM accepted JOIN meter_numbers USING (meter_id, channel)"""
            )
        if isinstance(declaration, ReadingsSource):
            self._note_facts(plan)
        connection.unregister("accepted")

    def _note_facts(self, plan: FilePlan) -> None:
        """What the accepted rows of files tell of their sites and commodities."""
        attributes = ", ".join(f"any_value(attribute_{index})" for index in range(len(plan.attributes)))
        self.connection.execute(
            f"""INSERT INTO site_facts SELECT file_id, meter_id, any_value(site), [{attributes}]::VARCHAR[]
                FROM accepted GROUP BY file_id, meter_id"""
        )
        if plan.commodity is not None:
            self.connection.execute(
                """INSERT INTO commodities SELECT file_id, meter_id, channel, any_value(commodity)
                   FROM accepted GROUP BY file_id, meter_id, channel"""
            )

    def _settle_readings(self) -> dict[int, tuple[int, int]]:
        """Days, repeated intervals and meters; files that DuckDB's reader cannot settle are read again by line."""
        connection = self.connection
        days.gather_days(self.batch, connection)
        while again := (days.unsound_files(connection) or self._gather_unclean()) - self.by_line:
            ids = ", ".join(map(str, sorted(again)))
            for table in ("lake.reading_rows", "lake.rejected", "site_facts", "commodities"):
                connection.execute(f"DELETE FROM {table} WHERE file_id IN ({ids})")
            self.read |= dict.fromkeys(again, 0)
            self.by_line |= again
            self._judge(again)
            days.gather_days(self.batch, connection)
        meters.register_meters(self.plans, by_line=self.by_line, connection=connection)
        return days.settle(self.batch, connection)

    def _gather_unclean(self) -> set[int]:
        """The unclean days and their readings; returns files that contradict themselves."""
        days.gather_unclean(self.connection)
        days.gather_candidates(self.connection)
        return days.contradicted_files(self.batch, self.connection)

    def _account(self, settled: Mapping[int, tuple[int, int]]) -> list[FileOutcome]:
        """Count what the lake really holds of each file, and see that nothing is unaccounted for."""
        declaration = self.declaration
        is_energy = isinstance(declaration, ReadingsSource)
        energies = self._counts("count(*), sum(energy_kwh)", "lake.reading_rows") if is_energy else {}
        table = _table_of(declaration)
        held = energies if table == "lake.reading_rows" else self._counts("count(*), NULL", table)
        rejected = self._counts("count(*), NULL", "lake.rejected")
        outcomes = []
        for file_id, plan in self.plans.items():
            accepted = held.get(file_id, (0, None))[0]
            energy_kwh = energies.get(file_id, (0, 0.0))[1] if is_energy else None
            duplicate, superseding = settled.get(file_id, (0, 0))
            rows = RowCounts(self.read[file_id], accepted, rejected.get(file_id, (0, None))[0], duplicate, superseding)
            if rows.balance:
                raise RuntimeError(f"{plan.file.uri}: {rows.balance} rows unaccounted for in {rows}")
            outcomes.append(
                FileOutcome(plan.file, file_id, rows, energy_kwh, available_at_utc=self.available_at[file_id])
            )
        return outcomes

    def _counts(self, what: str, table: str) -> dict[int, tuple[int, float | None]]:
        rows = self.connection.execute(
            f"SELECT file_id, {what} FROM {table} WHERE {self.batch.where} GROUP BY file_id"
        ).fetchall()
        return {file_id: (count, energy) for file_id, count, energy in rows}


def _table_of(declaration: SourceDeclaration) -> str:
    """Where the rows of a source are held one by one."""
    if isinstance(declaration, WeatherSource):
        return "lake.weather"
    is_instants = isinstance(declaration, TelemetrySource) or declaration.is_instants
    return "lake.telemetry" if is_instants else "lake.reading_rows"
