"""Loads every landed file that waits: in batches, and one by one where a batch fails.

Belongs here: which files go together, and what becomes of one that cannot be read. Does not belong
here: the steps of a batch (batch.py), reading a file (fast.py, lines.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

import duckdb
import polars as pl

from energy_platform.adapters.lake_loader import ledger
from energy_platform.adapters.lake_loader.batch import forget_unentered, load_files, transaction
from energy_platform.adapters.lake_loader.inspect import inspect_file
from energy_platform.adapters.lake_loader.plan import FilePlan
from energy_platform.domain.errors import FileUnreadable, SourceError, UnknownSource
from energy_platform.domain.readings import FileOutcome, LandedFile, LoadSummary
from energy_platform.domain.sources import SourceDeclaration

# Files read by one statement. 8 files of 1M rows: 4.6 s for 16.8M rows against 6.9 s one by one.
FILES_PER_BATCH = 24
# Small files by the thousand: more to a transaction, up to as many bytes as 8 files of 1M rows.
BYTES_PER_BATCH = 24 * 68_000_000
MANY_FILES_PER_BATCH = 256

REFUSED_FOLDER = "rejected"

# What DuckDB raises over the content of a file. Its other errors are bugs of ours and keep their trace.
_FILE_ERRORS = (
    duckdb.InvalidInputException,
    duckdb.ConversionException,
    duckdb.IOException,
)

Progress = Callable[[int, int, str], None]
"""Told (files done, files in all, name of the file that follows)."""


class Store(Protocol):
    """The warehouse, as far as loading needs it."""

    def connect(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A connection that autocommits."""

    def ensure_tables(self, *, schemas: Sequence[str] | None = None) -> None:
        """Create the tables that are missing."""


class Zone(Protocol):
    """The landing zone, as far as loading needs it."""

    def pending(self, ledger: pl.DataFrame) -> list[LandedFile]:
        """Landed files that wait to be loaded."""


def load_pending(
    warehouse: Store,
    landing: Zone,
    declarations: Mapping[str, SourceDeclaration],
    *,
    now: datetime,
    progress: Progress | None = None,
) -> LoadSummary:
    """Load every landed file that has not been loaded yet; a file that cannot be read does not stop the others.

    Args:
        warehouse: where the lake is; its tables are made when missing.
        landing: where the files are.
        declarations: how each source is read.
        now: the moment from which the platform knows the new rows, in UTC.
        progress: told as files are done.
    """
    warehouse.ensure_tables(schemas=["lake"])
    outcomes: list[FileOutcome] = []
    with warehouse.connect() as connection:
        forget_unentered(connection)
        known = connection.execute("SELECT uri, content_sha256, status FROM lake.files").pl()
        waiting = [file for file in landing.pending(known) if not _is_refused(file)]
        for batch in _batches(waiting):
            if progress is not None:
                progress(len(outcomes), len(waiting), batch[0].uri)
            outcomes += _load_batch(batch, declarations, connection, now)
    if progress is not None and waiting:
        progress(len(waiting), len(waiting), "")
    return LoadSummary(tuple(outcomes))


def _is_refused(file: LandedFile) -> bool:
    """Streams keep the messages they refused beside what they land, in ``<source>/rejected/``."""
    return file.uri.split("/")[1:2] == [REFUSED_FOLDER]


def _batches(files: Sequence[LandedFile]) -> Iterator[list[LandedFile]]:
    """Neighbours of one source, a few large files or many small ones at a time; the order of arrival is kept."""
    batch: list[LandedFile] = []
    for file in files:
        size = sum(member.bytes for member in batch)
        few = len(batch) >= FILES_PER_BATCH and size + file.bytes > BYTES_PER_BATCH
        if batch and (few or len(batch) >= MANY_FILES_PER_BATCH or batch[0].source != file.source):
            yield batch
            batch = []
        batch.append(file)
    if batch:
        yield batch


def _load_batch(
    files: Sequence[LandedFile],
    declarations: Mapping[str, SourceDeclaration],
    connection: duckdb.DuckDBPyConnection,
    now: datetime,
) -> list[FileOutcome]:
    """Load files together; when that fails, one by one, so that only the file at fault is left out."""
    plans: list[FilePlan] = []
    outcomes: list[FileOutcome] = []
    for file in files:
        try:
            plans.append(inspect_file(file, _declaration(declarations, file), connection))
        except SourceError as error:
            outcomes.append(_fail(file, str(error), connection, now))
    if not plans:
        return outcomes
    try:
        return outcomes + load_files(plans, connection, now)
    except (SourceError, *_FILE_ERRORS):
        return outcomes + [_load_alone(plan, connection, now) for plan in plans]


def _load_alone(plan: FilePlan, connection: duckdb.DuckDBPyConnection, now: datetime) -> FileOutcome:
    """One file: DuckDB's reader first, then line by line, which bears more (mixed line ends, stray quotes)."""
    for by_line in (False, True):
        try:
            return load_files([plan], connection, now, by_line=by_line)[0]
        except SourceError as error:
            return _fail(plan.file, str(error), connection, now)
        except _FILE_ERRORS as error:
            problem = " ".join(str(error).split())[:500]
    failure = FileUnreadable(
        str(plan.file.path), problem=problem, remedy=f"Compare the file with the declaration '{plan.declaration.name}'."
    )
    return _fail(plan.file, str(failure), connection, now)


def _declaration(declarations: Mapping[str, SourceDeclaration], file: LandedFile) -> SourceDeclaration:
    if file.source not in declarations:
        raise UnknownSource(file.source, known=sorted(declarations))
    return declarations[file.source]


def _fail(file: LandedFile, error: str, connection: duckdb.DuckDBPyConnection, now: datetime) -> FileOutcome:
    """Enter a failed file. A file that fails again keeps its id: nothing new has happened."""
    outcome = FileOutcome(file, 0, error=error)
    file_id = ledger.known_file_id(outcome, connection) or ledger.next_file_id(connection)
    outcome = FileOutcome(file, file_id, error=error)
    with transaction(connection):
        ledger.write_outcomes([outcome], connection, loaded_at_utc=now)
    return outcome
