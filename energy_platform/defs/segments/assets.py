"""segments/…: which homes are alike, what their days look like, and what that is good for.

Belongs here: reading, calling, writing. The grouping and its evidence: domain/segments.
"""

from collections.abc import Iterator, Sequence

import dagster as dg
import polars as pl

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.metadata import markdown_table, row_count, table_spec
from energy_platform.domain.columns import SITE_MONTHS, SOURCE_CLOCKS, Table
from energy_platform.domain.columns.segments import (
    SEGMENT_CHOICES,
    SEGMENT_COMPARISONS,
    SEGMENT_DRIFT,
    SEGMENT_EXPECTED_HOURS,
    SEGMENT_MEMBERS,
    SEGMENT_SHAPES,
    SEGMENT_TABLES,
)
from energy_platform.domain.segments import clustering, comparisons, expected, refits, segmenting, shapes

SEED = 20260101
BLOCKS, METERS = ["intermediate", "int_meter_hour_blocks"], ["intermediate", "int_meters_in_totals"]
GROUPS_SQL = f"""
SELECT DISTINCT source, commodity, newest_complete_day
FROM intermediate.int_meters_in_totals JOIN {SOURCE_CLOCKS.full_name} USING (source) ORDER BY ALL
"""
_REFITTED = (SEGMENT_MEMBERS, SEGMENT_SHAPES, SEGMENT_CHOICES, SEGMENT_DRIFT)
_DESCRIPTIONS = {
    SEGMENT_MEMBERS: "Homes by the normalised shape of their day (season × weekday or weekend); this refit and the last.",
    SEGMENT_SHAPES: "What the days of a segment look like, as shares of the day's energy.",
    SEGMENT_CHOICES: "Evidence for each number of segments: silhouette, gap, stability, gain on homes kept out.",
    SEGMENT_DRIFT: "What a refit changed: homes that moved, shapes that did.",
    SEGMENT_COMPARISONS: "A home's month against the quartiles of similar homes.",
    SEGMENT_EXPECTED_HOURS: "What a young home should use by the hour: its own level in its segment's shape.",
}


@dg.multi_asset(
    name="segments",
    specs=[
        table_spec(
            table,
            description=_DESCRIPTIONS[table],
            kinds={"scikitlearn", "duckdb"},
            deps=[BLOCKS, METERS, *([read.schema, read.name] for read in (SOURCE_CLOCKS, SITE_MONTHS))],
        )
        for table in SEGMENT_TABLES
    ],
    pool="warehouse",
)
def segments(warehouse: dg.ResourceParam[Warehouse]) -> Iterator[dg.MaterializeResult[None]]:
    """Refit each source's homes at the Monday of its own week, then compare homes and meet the young ones."""
    warehouse.ensure_tables(SEGMENT_TABLES)
    young: list[pl.DataFrame] = []
    # One connection for all reads: opening the file costs more than most of them.
    with warehouse.connect() as connection:

        def read(sql: str, params: Sequence[str] = ()) -> pl.DataFrame:
            frame: pl.DataFrame = connection.execute(sql, list(params)).pl()
            return frame

        tables = {table.name: read(f"SELECT * FROM {table.full_name}") for table in _REFITTED}
        for source, commodity, newest_day in read(GROUPS_SQL).iter_rows():
            group, whose = refits.Group(source, commodity, refits.cutoff_of(newest_day)), [source, commodity]
            profiles = shapes.HomeProfiles.of(read(shapes.profiles_sql(cutoff=group.cutoff), whose))
            choice = refits.earlier_choice(tables["choices"], group, homes=clustering.evidence_homes(profiles))
            made = segmenting.segment_homes(profiles, seed=SEED, choice=choice)
            tables = refits.with_refit(tables, group, made)
            hours = read(expected.young_sql(cutoff=group.cutoff), whose)
            young.append(group.keyed(expected.expected_hours(hours, made.shapes, day=group.cutoff)))
        months = read(f"SELECT * FROM {SITE_MONTHS.full_name}")
    tables["comparisons"] = comparisons.comparisons(months, refits.newest(tables["members"]))
    empty = pl.DataFrame(schema=SEGMENT_EXPECTED_HOURS.polars_schema)
    tables["expected_hours"] = pl.concat([empty, *(rows.select(empty.columns).cast(empty.schema) for rows in young)])
    warehouse.replace_all((table, tables[table.name], "true") for table in SEGMENT_TABLES)
    for table in SEGMENT_TABLES:
        yield _told(table, tables)


def _told(table: Table, tables: dict[str, pl.DataFrame]) -> dg.MaterializeResult[None]:
    """What one table's page shows."""
    from energy_platform.serving.segment_charts import shapes_markdown

    rows = tables[table.name]
    metadata = row_count(rows.height)
    if table is SEGMENT_MEMBERS:
        count = refits.newest(rows).group_by("source", "commodity", "cutoff_date", "segment").len("homes")
        metadata["segments"] = markdown_table(
            count.sort("source", "commodity", "homes", descending=[False, False, True])
        )
    elif table is SEGMENT_SHAPES:
        metadata["shapes"] = dg.MetadataValue.md(shapes_markdown(refits.newest(rows)))
    elif table is SEGMENT_CHOICES:
        metadata["evidence"] = markdown_table(refits.newest(rows).sort("source", "commodity", "k"))
    else:
        metadata["rows"] = markdown_table(rows)
    return dg.MaterializeResult(asset_key=[table.schema, table.name], metadata=metadata)
