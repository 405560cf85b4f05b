"""DuckDB files that stay open for a moment after their last use, because the next step mostly follows at once.

To open and close a file of 168 million readings takes 0.13 s, and a flow has a hundred steps and checks. Belongs here: what
stays open, and until when. Does not belong here: opening a file (warehouse.py).
"""

from __future__ import annotations

import atexit
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Timer
from typing import Any

import duckdb


@dataclass(frozen=True, slots=True)
class _Kept:
    connection: duckdb.DuckDBPyConnection
    config: Mapping[str, Any]
    timer: Timer


class Lingering:
    """One idle connection a file; while it is there, DuckDB keeps the file open and locked."""

    def __init__(self) -> None:
        self._kept: dict[Path, _Kept] = {}
        self._is_through_runs = False
        # Also held while a file is being closed, so that nobody opens it half-way through.
        self._lock = Lock()

    def keep(
        self, path: Path, connection: duckdb.DuckDBPyConnection, config: Mapping[str, Any], *, seconds: float
    ) -> None:
        """Hold an idle connection for so many seconds, or until it is taken or let go."""
        timer = Timer(seconds, lambda: self._expire(path, connection))
        timer.daemon = True
        with self._lock:
            self._close(path)
            self._kept[path] = _Kept(connection, config, timer)
        timer.start()

    def take(self, path: Path, config: Mapping[str, Any]) -> duckdb.DuckDBPyConnection | None:
        """The idle connection, to be closed by the caller once it has one of its own.

        DuckDB refuses a second configuration of a file that is open, so one of another is closed instead.
        """
        with self._lock:
            kept = self._kept.get(path)
            if kept is None or kept.config != config:
                self._close(path)
                return None
            kept.timer.cancel()
            return self._kept.pop(path).connection

    def let_go(self, path: Path) -> None:
        """Close the file now, as far as it is idle."""
        with self._lock:
            self._close(path)

    def let_go_after_run(self, path: Path) -> None:
        """Close the file when a run is done, unless the next one follows."""
        if not self._is_through_runs:
            self.let_go(path)

    @contextmanager
    def through_runs(self) -> Iterator[None]:
        """Within, runs follow each other: files linger from one to the next, as from step to step, and are closed at the end.

        Closing writes what changed into the file: 0.3 to 1 s at 168 million readings, after each of the four runs of a flow.
        """
        self._is_through_runs = True
        try:
            yield
        finally:
            self._is_through_runs = False
            self.let_all_go()

    def let_all_go(self) -> None:
        """Close every idle file."""
        for path in list(self._kept):
            self.let_go(path)

    def _expire(self, path: Path, connection: duckdb.DuckDBPyConnection) -> None:
        with self._lock:
            if path in self._kept and self._kept[path].connection is connection:
                self._close(path)

    def _close(self, path: Path) -> None:
        kept = self._kept.pop(path, None)
        if kept is not None:
            kept.timer.cancel()
            kept.connection.close()


LINGERING = Lingering()
"""The files of this process."""

atexit.register(LINGERING.let_all_go)
