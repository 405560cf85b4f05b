"""Micro-batches to the landing zone: a batch is one file a shape, whole and durable, or it is not there.

    landing/<source>/<yyyy>/<mm>/<dd>/<stream>-<partition>-<first>-<last>-<hash>.ndjson
    landing/<source>/rejected/<yyyy>/<mm>/<dd>/<same name>.ndjson

Belongs here: names, bytes, fsync. Does not belong here: what an event must look like (domain/events),
when a batch is closed (streaming/), loading what was landed (the lake loader).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson

from energy_platform.domain.events import EventBatch, Rejection

# Which source declaration reads the rows of which shape, unless a stream is told otherwise.
SHAPE_SOURCES: Mapping[str, str] = {
    "readings": "stream_readings",
    "sensors": "stream_sensors",
    "telemetry": "stream_telemetry",
}
# Half-written files live in a folder of their own: no listing of a source ever sees one.
INCOMING = ".incoming"
REJECTED = "rejected"
_STALE_SECONDS = 3600.0
# A name has 255 bytes: two Kinesis sequence numbers take 112, the hash and the ending 24.
_PART_LENGTH = 40
_OFFSET_LENGTH = 60


@dataclass(frozen=True, slots=True)
class BatchName:
    """Where a batch is from: stream, partition, and its first and last message."""

    stream: str
    partition: str
    first_offset: str
    last_offset: str

    def stem(self) -> str:
        """The first part of the file's name, safe on every file system.

        Example:
            >>> BatchName("meters/live", "0", "17", "42").stem()
            'meters_live-0-17-42'
        """
        parts = (self.stream[:_PART_LENGTH], self.partition[:_PART_LENGTH])
        offsets = (self.first_offset[:_OFFSET_LENGTH], self.last_offset[:_OFFSET_LENGTH])
        return "-".join(re.sub(r"[^A-Za-z0-9_.]+", "_", part).strip("._") or "_" for part in (*parts, *offsets))


@dataclass(frozen=True, slots=True)
class Landed:
    """What one batch became."""

    files: tuple[Path, ...]
    accepted: int
    rejected: int


@dataclass(slots=True)
class LandingBatches:
    """The landing zone as streams write it.

    Args:
        root: the landing folder.
        sources: name of the source by shape; missing shapes take ``SHAPE_SOURCES``.
        compress: write gzip (``.ndjson.gz``), which costs about 20 ms per 10,000 readings.
    """

    root: Path
    sources: Mapping[str, str] = field(default_factory=dict)
    compress: bool = False
    _known_folders: set[Path] = field(default_factory=set, repr=False)

    def land(
        self,
        batch: EventBatch,
        name: BatchName,
        *,
        received_at_utc: datetime,
        raw: Callable[[int], bytes],
        where: Callable[[int], Mapping[str, Any]],
    ) -> Landed:
        """Write the rows and the refused messages of a batch; when this returns, they are on the disk.

        The files are named after their content: landing the same batch on the same day again changes nothing.

        Args:
            batch: what validation gave.
            name: where it is from.
            received_at_utc: when it was taken; names the day's folder.
            raw: the bytes of the message at an index, for those that were refused.
            where: place of the message at an index, for those that were refused.

        Raises:
            OSError: the disk refused; nothing half written is visible, and the batch may be landed again.
        """
        bodies: list[tuple[tuple[str, ...], bytes]] = []
        for shape, frame in batch.frames():
            buffer = BytesIO()
            frame.write_ndjson(buffer)
            bodies.append(((self._source(shape),), buffer.getvalue()))
        for shape in sorted({rejection.shape for rejection in batch.rejections}):
            lines = [
                rejected_line(rejection, received_at_utc, raw(rejection.index), where(rejection.index))
                for rejection in batch.rejections
                if rejection.shape == shape
            ]
            bodies.append(((self._source(shape), REJECTED), b"".join(lines)))
        return Landed(self._write_all(bodies, name, received_at_utc), batch.accepted, len(batch.rejections))

    def sweep(self) -> Sequence[Path]:
        """Remove what a killed process left half written an hour ago or earlier; its messages came again."""
        stale = [
            path
            for path in (self.root / INCOMING).glob("*.part")
            if time.time() - path.stat().st_mtime > _STALE_SECONDS
        ]
        for path in stale:
            path.unlink(missing_ok=True)
        return stale

    def _source(self, shape: str) -> str:
        return self.sources.get(shape) or SHAPE_SOURCES[shape]

    def _write_all(
        self, bodies: Sequence[tuple[tuple[str, ...], bytes]], name: BatchName, received_at_utc: datetime
    ) -> tuple[Path, ...]:
        if len(bodies) == 1:
            under, body = bodies[0]
            return (self._write(under, body, name, received_at_utc),)
        # Each waits about 4 ms for the disk, twice; side by side they wait once.
        with ThreadPoolExecutor(max_workers=len(bodies) or 1) as writers:
            futures = [writers.submit(self._write, under, body, name, received_at_utc) for under, body in bodies]
        return tuple(future.result() for future in futures)

    def _write(self, under: tuple[str, ...], body: bytes, name: BatchName, received_at_utc: datetime) -> Path:
        digest = hashlib.sha256(body).hexdigest()[:12]
        ending = ".ndjson"
        if self.compress:
            # Without a time in the header, the same rows are the same bytes.
            body, ending = gzip.compress(body, compresslevel=1, mtime=0), ".ndjson.gz"
        folder = self.root.joinpath(*under, f"{received_at_utc:%Y}", f"{received_at_utc:%m}", f"{received_at_utc:%d}")
        self._make_folder(folder)
        self._make_folder(self.root / INCOMING)
        target = folder / f"{name.stem()}-{digest}{ending}"
        temporary = self.root / INCOMING / f"{os.getpid()}-{threading.get_ident()}-{time.monotonic_ns()}-{digest}.part"
        try:
            with temporary.open("xb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(folder)
        return target

    def _make_folder(self, folder: Path) -> None:
        """Make a folder whose name survives a power cut, once per process."""
        if folder in self._known_folders and folder.is_dir():
            return
        missing = [folder, *folder.parents]
        missing = missing[: next(place for place, parent in enumerate(missing) if parent.is_dir())]
        folder.mkdir(parents=True, exist_ok=True)
        for made in reversed(missing):
            _sync_folder(made.parent)
        self._known_folders.add(folder)


def rejected_line(rejection: Rejection, received_at_utc: datetime, raw: bytes, where: Mapping[str, Any]) -> bytes:
    """A refused message as one line of NDJSON: its bytes are kept, as text or, where they are none, as base64."""
    try:
        text, encoding = raw.decode(), "text"
    except UnicodeDecodeError:
        text, encoding = base64.b64encode(raw).decode(), "base64"
    entry = {
        "received_at_utc": f"{received_at_utc.isoformat(timespec='microseconds')}Z",
        "reason": rejection.reason.value,
        "column": rejection.column,
        "detail": rejection.detail,
        "raw": text,
        "raw_encoding": encoding,
        "where": dict(where),
    }
    # A detail may quote half of a surrogate pair, which JSON cannot hold.
    entry["detail"] = rejection.detail.encode("utf-8", "replace").decode()
    return orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
