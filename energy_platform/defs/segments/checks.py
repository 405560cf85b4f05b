"""Checks of the segments: keys, sums, and that every home of a refit is in one segment that is known."""

from collections.abc import Iterator

import dagster as dg

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.metadata import markdown_table
from energy_platform.domain.columns.segments import (
    SEGMENT_CHOICES,
    SEGMENT_COMPARISONS,
    SEGMENT_DRIFT,
    SEGMENT_EXPECTED_HOURS,
    SEGMENT_MEMBERS,
    SEGMENT_SHAPES,
    SEGMENT_TABLES,
)

# The rows that break what each table promises.
BROKEN_SQL = {
    SEGMENT_MEMBERS: f"""
        SELECT source, commodity, cutoff_date, segment, count(*) AS homes
        FROM {SEGMENT_MEMBERS.full_name} AS m
        WHERE segment NOT IN ('all', 'unknown') AND NOT EXISTS (
            SELECT 1 FROM {SEGMENT_SHAPES.full_name} AS s
            WHERE (s.source, s.commodity, s.cutoff_date, s.segment) = (m.source, m.commodity, m.cutoff_date, m.segment))
        GROUP BY ALL""",
    SEGMENT_SHAPES: f"""
        SELECT source, commodity, cutoff_date, segment, season, is_weekend, count(*) AS hours, sum(share) AS day
        FROM {SEGMENT_SHAPES.full_name} GROUP BY ALL HAVING count(*) <> 24 OR abs(sum(share) - 1) > 1e-6""",
    SEGMENT_CHOICES: f"""
        SELECT source, commodity, cutoff_date, count(*) FILTER (WHERE is_chosen) AS chosen
        FROM {SEGMENT_CHOICES.full_name} GROUP BY ALL HAVING chosen <> 1""",
    SEGMENT_DRIFT: f"SELECT * FROM {SEGMENT_DRIFT.full_name} WHERE before_date >= cutoff_date",
    SEGMENT_COMPARISONS: f"""
        SELECT * FROM {SEGMENT_COMPARISONS.full_name}
        WHERE NOT (lower_quartile_kwh <= median_kwh AND median_kwh <= upper_quartile_kwh)""",
    SEGMENT_EXPECTED_HOURS: f"""
        SELECT source, commodity, site_id, count(*) AS hours FROM {SEGMENT_EXPECTED_HOURS.full_name}
        GROUP BY ALL HAVING count(*) <> 48""",
}
NAMES = {
    SEGMENT_MEMBERS: "homes_are_in_segments_that_have_a_shape",
    SEGMENT_SHAPES: "shares_of_a_day_sum_to_one",
    SEGMENT_CHOICES: "one_number_of_segments_is_chosen",
    SEGMENT_DRIFT: "refits_follow_each_other",
    SEGMENT_COMPARISONS: "quartiles_are_in_order",
    SEGMENT_EXPECTED_HOURS: "young_homes_have_every_hour",
}


@dg.multi_asset_check(
    name="segments_checks",
    specs=[
        dg.AssetCheckSpec(NAMES[table], asset=[table.schema, table.name], description="And one row for each key.")
        for table in SEGMENT_TABLES
    ],
    pool="warehouse",
)
def segments_checks(warehouse: dg.ResourceParam[Warehouse]) -> Iterator[dg.AssetCheckResult]:
    """Look for rows that break the promise of each table, and for keys that come twice."""
    with warehouse.connect() as connection:
        for table in SEGMENT_TABLES:
            key = ", ".join(table.key)
            twice = connection.execute(
                f"SELECT {key}, count(*) AS rows FROM {table.full_name} GROUP BY {key} HAVING count(*) > 1 LIMIT 20"
            ).pl()
            broken = connection.execute(f"SELECT * FROM ({BROKEN_SQL[table]}) LIMIT 20").pl()
            yield dg.AssetCheckResult(
                asset_key=[table.schema, table.name],
                check_name=NAMES[table],
                passed=broken.is_empty() and twice.is_empty(),
                metadata={"broken": markdown_table(broken), "twice": markdown_table(twice)},
            )
