"""Similar homes in the report: there where a source has segments, with figures that the tables bear out."""

from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

from energy_platform.adapters.published import Published
from energy_platform.domain.columns import TABLES
from energy_platform.domain.columns.segments import SEGMENT_MEMBERS, SEGMENT_SHAPES
from energy_platform.domain.segments.choosing import EVIDENCE, Choice
from energy_platform.domain.segments.segmenting import segment_homes
from energy_platform.serving.report import build_report
from energy_platform.serving.report.check import read_report
from energy_platform_tests.domain.segments.planted import planted
from energy_platform_tests.serving.report_faults import every_fault
from energy_platform_tests.serving.sample_warehouse import build_sample_warehouse

NOW = datetime(2026, 3, 4, 6)


@pytest.fixture(scope="module")
def generation(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("segments")
    warehouse = build_sample_warehouse(folder / "warehouse.duckdb", days=30)
    profiles, _ = planted(homes_each=6, kinds=("evening-peak", "night", "midday"), seed=3)
    made = segment_homes(profiles, seed=1, choice=Choice(3, "planted", pl.DataFrame(schema=EVIDENCE)))
    whose = {"source": pl.lit("street"), "commodity": pl.lit("electricity"), "cutoff_date": pl.lit(date(2026, 3, 2))}
    for table, rows in ((SEGMENT_MEMBERS, made.members), (SEGMENT_SHAPES, made.shapes)):
        warehouse.replace(table, rows.with_columns(**whose), where="true")
    published = Published(folder / "published")
    with warehouse.transaction() as connection:
        published.publish(connection, TABLES, facts={}, now=NOW)
    return published.current()


def test_segments_are_drawn_named_and_counted_as_the_tables_say(generation) -> None:
    html = build_report(generation, now=NOW)
    assert every_fault(html, generation) == []
    assert "Similar homes of street: electricity" in html
    found = read_report(html)
    assert any(label.startswith("Similar homes of street") for label in found.charts)
    counted = [text for text, value in found.figures if text.startswith("segments.members:count") and value == "6"]
    assert len(counted) == 3
    # Where everybody is in one segment there is nothing to draw.
    assert html.count("Similar homes of") == 2
