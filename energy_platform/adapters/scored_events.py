"""Anomalous events of streams as lines in files, one file a day of scoring: written once, never changed.

    scored/<yyyy>/<mm>/<dd>.ndjson

Belongs here: bytes and names. Does not belong here: what is anomalous (domain/scoring), who is told (alerts).
After a crash an event may be written again: detector, meter, channel, quantity and event time name it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path

import polars as pl


@dataclass(frozen=True, slots=True)
class ScoredEvents:
    """A folder of scored events.

    Args:
        root: the folder; made when first written to.
    """

    root: Path

    def append(self, rows: pl.DataFrame, *, scored_at_utc: datetime) -> Path | None:
        """Write rows as NDJSON behind what is there, in one write; None without rows.

        Args:
            rows: columns as they are; times become ISO 8601 with Z.
            scored_at_utc: names the file, and stands in every line.
        """
        if rows.is_empty():
            return None
        path = self.root / f"{scored_at_utc:%Y}" / f"{scored_at_utc:%m}" / f"{scored_at_utc:%d}.ndjson"
        path.parent.mkdir(parents=True, exist_ok=True)
        times = [name for name, dtype in rows.schema.items() if dtype == pl.Datetime("us")]
        stamp = "%Y-%m-%dT%H:%M:%S%.6fZ"
        written = rows.with_columns(pl.col(times).dt.strftime(stamp)).with_columns(
            scored_at_utc=pl.lit(scored_at_utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
        )
        buffer = BytesIO()
        written.write_ndjson(buffer)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, buffer.getvalue())
        finally:
            os.close(descriptor)
        return path

    def read(self) -> pl.DataFrame:
        """All lines, oldest file first; without columns where there are none."""
        paths = sorted(self.root.glob("[0-9]*/[0-9]*/*.ndjson"))
        return pl.concat([pl.read_ndjson(path) for path in paths], how="diagonal_relaxed") if paths else pl.DataFrame()
