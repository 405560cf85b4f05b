"""The embedded Dagster instance below ``ENERGY_HOME``: its folder, its dagster.yaml, its handle."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import dagster as dg
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from energy_platform.settings import Settings

# Private modules, tested on the line of Dagster that pyproject.toml names.
_STORES = (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage)


def prepare_home(settings: Settings) -> None:
    """Make the folders of an installation and its ``dagster.yaml`` (kept as it is when there is one).

    Dagster's first page asks newcomers for an e-mail address; a file here says that was answered.
    """
    for folder in (settings.home_path, settings.landing_path, settings.dagster_home, settings.reports_path):
        folder.mkdir(parents=True, exist_ok=True)
    config = settings.dagster_home / "dagster.yaml"
    if not config.exists():
        config.write_text((files("energy_platform") / "deploy" / "dagster.yaml").read_text(encoding="utf-8"))

    greeting = settings.dagster_home / ".nux" / "nux.yaml"
    greeting.parent.mkdir(exist_ok=True)
    greeting.write_text("seen: 1\n", encoding="utf-8")


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance of these settings, for the time of a ``with`` block."""
    prepare_home(settings)
    with _lasting_engines(), dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        yield instance


@contextmanager
def _lasting_engines() -> Iterator[None]:
    """Let Dagster's SQLite stores keep one engine a file instead of making one for every event.

    A flow stores some 500 events in 2,000 transactions. With an engine each, every one of them compiles its SQL anew,
    opens the file, flushes it and folds the write-ahead log back when it closes. Kept open, and flushed when the log is
    folded back, SQLite is as safe against a killed process; a power cut can lose the records of the last seconds of a
    run, never what was loaded or published.
    """
    engines: dict[str, Engine] = {}

    def engine_of(url: str, **options: Any) -> Engine:
        if url not in engines:
            engine = engines[url] = create_engine(url, **(options | {"poolclass": QueuePool}))
            event.listen(engine, "connect", _flush_less_often)
            vars(engine)["dispose"] = _stay_open
        return engines[url]

    before = [vars(store)["create_engine"] for store in _STORES]
    for store in _STORES:
        vars(store)["create_engine"] = engine_of
    try:
        yield
    finally:
        for store, made in zip(_STORES, before, strict=True):
            vars(store)["create_engine"] = made
        for engine in engines.values():
            Engine.dispose(engine)


def _flush_less_often(connection: sqlite3.Connection, _: object) -> None:
    """In write-ahead mode each commit need not wait for the disk."""
    connection.execute("PRAGMA synchronous = NORMAL")


def _stay_open() -> None:
    """Instead of disposing of an engine, as Dagster does after each event."""
