"""The account of a landed file: what was read is what was accepted, rejected or known already.

Belongs here: the records that landing and loading hand over, and their arithmetic.
Does not belong here: the table lake.files itself (domain/columns.py), filling it (adapters/lake_loader).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LandedFile:
    """One immutable file in the landing zone.

    Args:
        uri: its place below the landing zone, ``<source>/<yyyy>/<mm>/<dd>/<name>``.
        path: where its bytes can be read.
        source: name of the declaration to read it by.
        content_sha256: hash of the bytes.
        bytes: size.
        landed_at_utc: when it arrived.
    """

    uri: str
    path: Path
    source: str
    content_sha256: str
    bytes: int
    landed_at_utc: datetime


@dataclass(frozen=True, slots=True)
class RowCounts:
    """Rows of one file or of several; ``read`` always equals ``accepted + rejected + duplicate``.

    Args:
        read: data rows seen.
        accepted: rows that became readings or weather, superseding ones included.
        rejected: rows kept in lake.rejected.
        duplicate: rows that say again what is known already.
        superseding: accepted rows that correct an earlier reading.
    """

    read: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicate: int = 0
    superseding: int = 0

    @property
    def balance(self) -> int:
        """Rows unaccounted for; anything but 0 is a bug of the loader.

        Example:
            >>> RowCounts(read=10, accepted=7, rejected=1, duplicate=2).balance
            0
        """
        return self.read - self.accepted - self.rejected - self.duplicate

    def __add__(self, other: RowCounts) -> RowCounts:
        """Both together.

        Example:
            >>> (RowCounts(2, 1, 1) + RowCounts(3, 3)).read
            5
        """
        return RowCounts(
            self.read + other.read,
            self.accepted + other.accepted,
            self.rejected + other.rejected,
            self.duplicate + other.duplicate,
            self.superseding + other.superseding,
        )


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of one landed file; ``error`` is set when it failed and nothing of it was loaded."""

    file: LandedFile
    file_id: int
    rows: RowCounts = field(default_factory=RowCounts)
    energy_kwh: float | None = None
    error: str | None = None
    available_at_utc: datetime | None = None

    @property
    def status(self) -> str:
        """``loaded`` or ``failed``."""
        return "loaded" if self.error is None else "failed"


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """What one load did, file by file in the order of loading."""

    files: tuple[FileOutcome, ...] = ()

    @property
    def rows(self) -> RowCounts:
        """All files together."""
        return total(outcome.rows for outcome in self.files)

    @property
    def failed(self) -> tuple[FileOutcome, ...]:
        """Files that could not be read as declared."""
        return tuple(outcome for outcome in self.files if outcome.error is not None)


def total(counts: Iterable[RowCounts]) -> RowCounts:
    """The sum of counts.

    Example:
        >>> total([RowCounts(read=1, accepted=1), RowCounts(read=2, duplicate=2)])
        RowCounts(read=3, accepted=1, rejected=0, duplicate=2, superseding=0)
    """
    return sum(counts, start=RowCounts())
