"""Similar homes: the segments of each source that has any, and what their days look like.

Belongs here: the query, the words. Does not belong here: marks and axes (serving/segment_charts.py), where the
section stands (page.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import duckdb
import polars as pl

from energy_platform.domain.insights.figures import Figure, Sentence, source

# Sources drawn; the ones with most homes.
SOURCES_SHOWN = 4
SHAPES_SQL = """
SELECT * FROM segments.shapes
QUALIFY cutoff_date = max(cutoff_date) OVER (PARTITION BY source, commodity)
ORDER BY source, commodity, segment, season, is_weekend, local_hour
"""
MEMBERS_SQL = """
WITH newest AS (
    SELECT * FROM segments.members QUALIFY cutoff_date = max(cutoff_date) OVER (PARTITION BY source, commodity)
)
SELECT source, commodity, cutoff_date, segment, count(*) AS homes
FROM newest
GROUP BY ALL
ORDER BY source, commodity, homes DESC, segment
"""


@dataclass(frozen=True, slots=True)
class SimilarHomes:
    """The newest segments of one source and commodity.

    Args:
        title: whose.
        sentence: how many homes are in which.
        shapes: ``segments.shapes`` of that refit.
    """

    title: str
    sentence: Sentence
    shapes: pl.DataFrame


def read_segments(connection: duckdb.DuckDBPyConnection) -> list[SimilarHomes]:
    """The sources whose homes fall into more than one segment, those with most homes first."""
    shapes, members = connection.execute(SHAPES_SQL).pl(), connection.execute(MEMBERS_SQL).pl()
    found = []
    for (name, commodity), rows in shapes.group_by("source", "commodity", maintain_order=True):
        if rows["segment"].n_unique() < 2:
            continue
        mine = members.filter((pl.col("source") == name) & (pl.col("commodity") == commodity))
        words = _sentence(str(name), str(commodity), mine)
        found.append((int(mine["homes"].sum()), SimilarHomes(f"Similar homes of {name}: {commodity}", words, rows)))
    return [homes for _, homes in sorted(found, key=lambda one: -one[0])[:SOURCES_SHOWN]]


def _sentence(name: str, commodity: str, members: pl.DataFrame) -> Sentence:
    """How many homes are in which segment, the largest first."""
    words: list[str | Figure] = ["By the shape of their day, homes fall into "]
    for place, row in enumerate(members.to_dicts()):
        cutoff: date = row["cutoff_date"]
        rows = source(
            "segments.members", "count", source=name, commodity=commodity, cutoff_date=cutoff, segment=row["segment"]
        )
        last = place == members.height - 1
        words += [
            "" if place == 0 else " and " if last else ", ",
            f"{row['segment']} (",
            _count(row["homes"], rows),
            ")",
        ]
    return [*words, "."]


def _count(homes: int, rows: object) -> Figure:
    return Figure(f"{homes:,}", homes, str(rows))
