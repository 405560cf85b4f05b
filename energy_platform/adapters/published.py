"""Published generations: the Parquet tables that people and programs read instead of the warehouse file.

    <place>/current.json                              names the generation to read; swapped in one step
    <place>/generations/<stamp>-<id>/generation.json  what the generation holds
    <place>/generations/<stamp>-<id>/<schema>/<table>.parquet
    <place>/generations/<stamp>-<id>/lake/reading_rows/part-<from>-<to>.parquet

The place is a folder or a prefix on S3. A generation is written whole under a name nobody reads, then
the pointer is swapped. Readers take the pointer once and stay in that generation: they meet no lock and
never see half a run. Belongs here: writing, swapping, pruning, opening. Does not belong here: files and
objects (published_store.py, published_objects.py), which tables are published (defs/published), what may
be asked of them (serving/query.py).
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from energy_platform.adapters.published_parts import Part, ledger_mark, part_sql, plan_parts
from energy_platform.adapters.published_store import FileMark, FolderStore, GenerationStore
from energy_platform.domain.columns import FILES, READING_ROWS, Table
from energy_platform.domain.errors import ContractBroken, NothingPublished

# A reader that took the pointer just before a swap goes on reading the old generation; nothing that
# was current within this time is deleted, however fast generations follow each other.
GRACE = timedelta(minutes=10)
# Version 2 data pages and zstd: the smallest and fastest to read of the encodings measured. Level 3, the default, takes a sixth
# more CPU time for the readings and makes no file more than 3 % smaller.
PARQUET = "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, PARQUET_VERSION v2)"


@dataclass(frozen=True, slots=True)
class Generation:
    """One complete, immutable set of published tables.

    Args:
        store: where it is kept.
        generation_id: its name.
        created_at_utc: when it was published.
        tables: row counts by ``schema.table``.
        files: Parquet files by ``schema.table``, relative to ``root``; none of a view.
        views: SQL by ``schema.table`` of what is joined when it is read, such as the readings with their names.
        facts: what the publisher said of it, such as ``newest_file_id``.
        parts: the file-number ranges that the readings are kept in.
        marks: size and hash of each file.
    """

    store: GenerationStore
    generation_id: str
    created_at_utc: datetime
    tables: Mapping[str, int]
    files: Mapping[str, tuple[str, ...]]
    views: Mapping[str, str]
    facts: Mapping[str, Any]
    parts: tuple[Part, ...] = ()
    marks: Mapping[str, FileMark] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """A folder on this disk with its files; from S3 they are fetched when this is first asked for.

        Raises:
            CloudRefused: S3 does not answer, or the generation has been pruned meanwhile.
        """
        return self.store.open(self.generation_id, self.marks)

    def connect(self, *, memory_limit: str = "2GiB", threads: int = 0) -> duckdb.DuckDBPyConnection:
        """An in-memory DuckDB with one view a table, named as in the warehouse.

        Files outside the generation cannot be opened, and the configuration is locked. Close it,
        or use it in a ``with`` block.
        """
        config: dict[str, Any] = {
            "memory_limit": memory_limit,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            # DuckDB makes it when a query has to spill, and removes it again.
            "temp_directory": str(Path(tempfile.gettempdir()) / f"energy-query-{os.getpid()}"),
        }
        if threads:
            config["threads"] = threads
        root = self.root
        connection = duckdb.connect(":memory:", config=config)
        try:
            connection.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
            for name, sql in {**{name: _scan(root, files) for name, files in self.files.items()}, **self.views}.items():
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name.split('.')[0]}")
                connection.execute(f"CREATE VIEW {name} AS {sql}")
            connection.execute(f"SET allowed_directories = [{_literal(str(root) + '/')}]")
            connection.execute("SET enable_external_access = false; SET lock_configuration = true")
        except BaseException:
            connection.close()
            raise
        return connection

    @property
    def marked_parts(self) -> tuple[Part, ...]:
        """``parts``, or none when it was published before files had marks."""
        return self.parts if all(part.file in self.marks for part in self.parts) else ()

    def hand_over(self, file: str, generation_id: str) -> FileMark:
        """Give a generation under way a file of this one; its mark."""
        self.store.take_over(self.generation_id, generation_id, file)
        return self.marks[file]

    def files_amiss(self) -> list[str]:
        """Files that the store does not hold, or not in the size that was published."""
        held = self.store.sizes(self.generation_id)
        return sorted(file for file, mark in self.marks.items() if held.get(file) != mark.bytes)

    def as_json(self) -> dict[str, Any]:
        """The generation as its manifest and the pointer say it."""
        return {
            "generation_id": self.generation_id,
            "created_at_utc": self.created_at_utc.isoformat(),
            "newest_file_id": self.facts.get("newest_file_id"),
            "facts": dict(self.facts),
            "tables": {
                name: {"rows": rows, "files": list(self.files.get(name, ()))}
                | ({"view": self.views[name]} if name in self.views else {})
                for name, rows in sorted(self.tables.items())
            },
            "reading_parts": [part.as_json() for part in self.parts],
            "marks": {file: mark.as_json() for file, mark in sorted(self.marks.items())},
        }


@dataclass(frozen=True, slots=True)
class Published:
    """The generations of one place, and its pointer.

    Args:
        place: the store, or the folder of one on this disk.
        keep: how many generations stay; those current within the last ten minutes stay in any case.
    """

    place: GenerationStore | Path
    keep: int = 3

    @property
    def store(self) -> GenerationStore:
        """Where the generations are kept."""
        return FolderStore(self.place) if isinstance(self.place, Path) else self.place

    def current(self) -> Generation:
        """The generation to read now.

        Raises:
            NothingPublished: none has been published yet.
        """
        pointer = self.store.read_pointer()
        if pointer is None:
            raise NothingPublished(self.store.address)
        return self._from_json(pointer)

    def publish(
        self,
        connection: duckdb.DuckDBPyConnection,
        tables: Sequence[Table],
        *,
        facts: Mapping[str, Any],
        now: datetime,
    ) -> Generation:
        """Write a new generation from an open warehouse and make it current.

        A table that the warehouse does not have yet is published without rows, so that readers find
        every table of the contract. Readings are immutable rows: the parts of the generation before
        are taken over and only newer file numbers are written. Other files are taken over when they
        turn out to be the same.

        Args:
            connection: to the warehouse, in one transaction so that all tables are of one moment.
            tables: contracts of what to publish.
            facts: what readers should know of it; JSON values.
            now: naive UTC.

        Raises:
            ContractBroken: a table lacks columns of its contract; the old generation stays current.
        """
        store, pointer = self.store, self.store.read_pointer()
        history: list[dict[str, str]] = pointer["history"] if pointer else []
        store.remove_all_but({entry["generation_id"] for entry in history})
        previous = self._from_json(pointer) if pointer else None
        generation_id = f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
        writer = _Writer(connection, store.begin(generation_id), generation_id, previous)
        for table in tables:
            writer.write(table)
        written = writer.settle()
        generation = Generation(
            store, generation_id, now, writer.rows, writer.files, writer.views, dict(facts), writer.parts, writer.marks
        )
        store.finish(generation_id, written, generation.as_json())
        kept = _kept([*history, {"generation_id": generation_id, "created_at_utc": now.isoformat()}], self.keep, now)
        store.swap_pointer(generation.as_json() | {"history": kept})
        store.remove_all_but({entry["generation_id"] for entry in kept})
        return generation

    def _from_json(self, manifest: Mapping[str, Any]) -> Generation:
        return Generation(
            store=self.store,
            generation_id=manifest["generation_id"],
            created_at_utc=datetime.fromisoformat(manifest["created_at_utc"]),
            tables={name: entry["rows"] for name, entry in manifest["tables"].items()},
            files={name: tuple(entry["files"]) for name, entry in manifest["tables"].items() if "view" not in entry},
            views={name: entry["view"] for name, entry in manifest["tables"].items() if "view" in entry},
            facts=manifest["facts"],
            parts=tuple(Part(**part) for part in manifest["reading_parts"]),
            marks={file: FileMark(**mark) for file, mark in manifest.get("marks", {}).items()},
        )


@dataclass(slots=True)
class _Writer:
    """Writes the tables of one generation that nobody reads yet."""

    connection: duckdb.DuckDBPyConnection
    folder: Path
    generation_id: str
    previous: Generation | None
    rows: dict[str, int] = field(default_factory=dict)
    files: dict[str, tuple[str, ...]] = field(default_factory=dict)
    views: dict[str, str] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    marks: dict[str, FileMark] = field(default_factory=dict)

    def write(self, table: Table) -> None:
        """One table: whole, as parts when it is the readings, as its SQL when it is a view."""
        (self.folder / table.schema).mkdir(exist_ok=True)
        found = self._columns(table)
        missing = [column for column in table.column_names if column not in found]
        if found and missing:
            raise ContractBroken(table.full_name, missing=missing, found=found)
        if table.view_sql:
            self._write_view(table)
        elif not found:
            self._write_empty(table)
        elif table is READING_ROWS and self._columns(FILES):
            self._write_readings()
        else:
            file = f"{table.schema}/{table.name}.parquet"
            select = f"SELECT {', '.join(table.column_names)} FROM {table.full_name} ORDER BY {', '.join(table.key)}"
            self.rows[table.full_name] = self._copy(select, file)
            self.files[table.full_name] = (file,)

    def settle(self) -> list[str]:
        """Mark what was written and take over what is as it was before; gives the files that are new."""
        written = [file for files in self.files.values() for file in files if file not in self.marks]
        self.marks |= {file: FileMark.of(self.folder / file) for file in written}
        if self.previous is None:
            return written
        same = {file for file in written if self.previous.marks.get(file) == self.marks[file]}
        for file in same:
            self.previous.hand_over(file, self.generation_id)
        return [file for file in written if file not in same]

    def _write_view(self, table: Table) -> None:
        """Names are joined when rows are asked for: to write them with the readings made this three times as long."""
        self.rows[table.full_name] = sum(self.rows[name] for name in table.rows_of)
        self.views[table.full_name] = table.view_sql

    def _write_readings(self) -> None:
        """Readings as parts by file number; unchanged parts are taken over, not written."""
        name = READING_ROWS.full_name
        (self.folder / name.replace(".", "/")).mkdir()
        before = () if self.previous is None else self.previous.marked_parts
        counts = dict(self.connection.execute(f"SELECT file_id, count(*) FROM {name} GROUP BY file_id").fetchall())
        keep, ranges = plan_parts(before, counts, lambda first, last: ledger_mark(self.connection, first, last))
        if self.previous is not None:
            self.marks |= {part.file: self.previous.hand_over(part.file, self.generation_id) for part in keep}
        written = [Part(first, last, 0, ledger_mark(self.connection, first, last)) for first, last in ranges]
        written = [
            Part(part.first, part.last, self._copy(part_sql(part), part.file), part.ledger_mark) for part in written
        ]
        self.parts = (*keep, *written)
        if not self.parts:
            self._write_empty(READING_ROWS)
            return
        self.rows[name] = sum(part.rows for part in self.parts)
        self.files[name] = tuple(part.file for part in self.parts)

    def _write_empty(self, table: Table) -> None:
        file = f"{table.schema}/{table.name}.parquet"
        self.connection.register("no_rows_yet", pl.DataFrame(schema=table.polars_schema))
        self.rows[table.full_name] = self._copy("SELECT * FROM no_rows_yet", file)
        self.connection.unregister("no_rows_yet")
        self.files[table.full_name] = (file,)

    def _copy(self, select: str, file: str) -> int:
        counted = self.connection.execute(
            f"COPY ({select}) TO {_literal(str(self.folder / file))} {PARQUET}"
        ).fetchone()
        return int(counted[0]) if counted else 0

    def _columns(self, table: Table) -> list[str]:
        """Columns that the warehouse has of the table; none when the table is not there."""
        sql = "SELECT column_name FROM duckdb_columns() WHERE schema_name = ? AND table_name = ?"
        return [name for (name,) in self.connection.execute(sql, [table.schema, table.name]).fetchall()]


def _kept(history: Sequence[dict[str, str]], keep: int, now: datetime) -> list[dict[str, str]]:
    """The generations that stay: the newest ``keep``, and those replaced less than ten minutes ago."""
    successors = [datetime.fromisoformat(entry["created_at_utc"]) for entry in history[1:]]
    old = len(history) - keep
    return [entry for number, entry in enumerate(history) if number >= old or now - successors[number] < GRACE]


def _scan(root: Path, files: Sequence[str]) -> str:
    """A query of all rows of Parquet files."""
    return f"SELECT * FROM read_parquet([{', '.join(_literal(str(root / file)) for file in files)}])"


def _literal(text: str) -> str:
    """A path as an SQL string: COPY and SET take no bound values."""
    return "'" + text.replace("'", "''") + "'"
