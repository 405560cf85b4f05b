"""The published generation that requests read: opened once, shared by all of them, exchanged when a newer one is there.

A request takes the generation at its start and stays in it, so an answer is never of two of them. DuckDB opens a file
for every query, but its views, and the answers of a generation, which never change, are kept. Belongs here: opening,
exchanging, keeping answers. Does not belong here: what is asked (listings.py).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import duckdb

from energy_platform.adapters.published import Generation, Published
from energy_platform.domain.errors import EnergyError, NothingPublished
from energy_platform.serving.api.problems import Problem

logger = logging.getLogger(__name__)

# A pointer is read at most this often: on S3 it is a request of its own.
LOOKED_AT_EVERY_SECONDS = 0.5
MOST_CACHED_BYTES = 64 * 1024 * 1024
MEMORY_LIMIT = "1GiB"


class Answers:
    """Answers that were given, up to a number of bytes; the one asked for longest ago goes first."""

    def __init__(self, most_bytes: int = MOST_CACHED_BYTES) -> None:
        self._most_bytes, self._bytes = most_bytes, 0
        self._kept: OrderedDict[Any, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, asked: Any) -> bytes | None:
        """The answer to what was asked, if it is kept."""
        with self._lock:
            if asked not in self._kept:
                return None
            self._kept.move_to_end(asked)
            return self._kept[asked]

    def keep(self, asked: Any, answer: bytes) -> None:
        """Keep an answer for whoever asks the same."""
        with self._lock:
            self._bytes += len(answer) - len(self._kept.get(asked, b""))
            self._kept[asked] = answer
            self._kept.move_to_end(asked)
            while self._bytes > self._most_bytes:
                self._bytes -= len(self._kept.popitem(last=False)[1])


@dataclass(frozen=True, slots=True)
class OpenGeneration:
    """A generation with its views, and the answers that it gave.

    Args:
        generation: which.
        connection: the views; each query works in a cursor of it.
        answers: what was answered from it.
    """

    generation: Generation
    connection: duckdb.DuckDBPyConnection
    answers: Answers = field(default_factory=Answers)
    _sites: dict[str, str] = field(default_factory=dict)

    @property
    def generation_id(self) -> str:
        """Its name."""
        return self.generation.generation_id

    @property
    def created_at_utc(self) -> datetime:
        """When it was published."""
        return self.generation.created_at_utc

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows of a query; values are bound."""
        cursor = self.connection.cursor()
        try:
            cursor.execute(sql, dict(parameters))
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        finally:
            cursor.close()

    def site_of_meters(self) -> dict[str, str]:
        """The site of every meter; read once."""
        if not self._sites:
            found = self.rows("SELECT DISTINCT meter_id, site_id FROM lake.meters", {})
            self._sites.update({row["meter_id"]: row["site_id"] for row in found})
        return self._sites

    def answer(self, asked: Any, make: Callable[[], bytes]) -> bytes:
        """The answer to what was asked: kept, or made now."""
        known = self.answers.find(asked)
        if known is None:
            known = make()
            self.answers.keep(asked, known)
        return known


class GenerationReader:
    """Hands out the current generation.

    Args:
        published: where the generations are.
        clock: seconds, replaced in tests.
    """

    def __init__(self, published: Published, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._published, self._clock = published, clock
        self._current: OpenGeneration | None = None
        self._looked_at = float("-inf")
        self._looking = threading.Lock()

    def current(self) -> OpenGeneration:
        """The generation to answer this request from.

        The one before is closed when the last request that reads it ends.

        Raises:
            Problem: 503, nothing has been published yet.
        """
        known = self._current
        if known is not None and self._clock() - self._looked_at < LOOKED_AT_EVERY_SECONDS:
            return known
        # One request looks; the others go on with what is known, and only wait when there is nothing yet.
        if not self._looking.acquire(blocking=known is None):
            return known or self.current()
        try:
            return self._look()
        finally:
            self._looking.release()

    def _look(self) -> OpenGeneration:
        known = self._current
        if known is not None and self._clock() - self._looked_at < LOOKED_AT_EVERY_SECONDS:
            return known
        try:
            newest = self._published.current()
        except NothingPublished:
            detail = "nothing has been published yet; run `energy run`"
            raise Problem(503, detail, headers={"Retry-After": "30"}) from None
        except EnergyError as problem:
            # What was read a moment ago is still whole: better than no answer while S3 is away.
            if known is None:
                detail = "the published tables cannot be reached now"
                raise Problem(503, detail, headers={"Retry-After": "30"}) from problem
            logger.warning("still reading generation %s: %s", known.generation_id, problem)
            self._looked_at = self._clock()
            return known
        if known is None or known.generation_id != newest.generation_id:
            # One thread a query: requests are what runs in parallel.
            known = OpenGeneration(newest, newest.connect(memory_limit=MEMORY_LIMIT, threads=1))
            self._current = known
        self._looked_at = self._clock()
        return known
