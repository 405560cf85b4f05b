"""The last two stages as Dagster runs them: a generation, its report, and checks that can fail."""

from __future__ import annotations

import dagster as dg
import pytest

from energy_platform.adapters.published import Published
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.published.assets import PUBLISHED_TABLES, generation
from energy_platform.defs.published.checks import pointer_agrees_with_files
from energy_platform.defs.reports.assets import energy_report
from energy_platform.defs.reports.checks import energy_report_checks
from energy_platform.settings import Settings
from energy_platform_tests.serving.sample_warehouse import build_sample_warehouse

DEFINITIONS = [generation, pointer_agrees_with_files, energy_report, energy_report_checks]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    build_sample_warehouse(settings.warehouse_path, days=120)
    return settings


def run(settings: Settings, selection: list[object] = DEFINITIONS) -> dg.ExecuteInProcessResult:
    resources = {
        "settings": settings,
        "warehouse": Warehouse(settings.warehouse_path, threads=1),
        "published": Published(settings.published_path),
    }
    return dg.materialize(selection, resources=resources, raise_on_error=False)


def outcomes(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {found.check_name: found.passed for found in result.get_asset_check_evaluations()}


def test_a_run_publishes_and_writes_the_report_and_every_check_passes(home: Settings) -> None:
    result = run(home)
    assert result.success
    assert outcomes(result) == {
        "pointer_agrees_with_files": True,
        "has_every_section": True,
        "asks_no_other_place": True,
        "figures_agree_with_tables": True,
    }
    current = Published(home.published_path).current()
    assert set(current.tables) == {table.full_name for table in PUBLISHED_TABLES}
    assert current.facts["newest_file_id"] == 5
    report = home.reports_path / current.generation_id / "energy_report.html"
    assert report.read_text() == (home.reports_path / "latest.html").read_text()
    made = {
        event.asset_key.path[-1]: event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    assert made["generation"]["generation"].value == current.generation_id
    assert "kWh a day" in made["energy_report"]["summary"].value
    assert not list(home.reports_path.rglob(".*html*"))


def test_features_and_the_loaders_notes_are_not_published_but_the_clocks_are() -> None:
    names = {table.full_name for table in PUBLISHED_TABLES}
    assert "features.source_clocks" in names
    assert "features.meter_days" not in names
    assert "lake.day_loads" not in names


def test_a_file_that_lost_rows_fails_the_pointer_check(home: Settings) -> None:
    run(home)
    current = Published(home.published_path).current()
    with current.connect() as connection:
        connection.execute(
            f"COPY (SELECT * FROM lake.files LIMIT 1) TO '{current.root}/lake/files.parquet' (FORMAT parquet)"
        )
    result = pointer_agrees_with_files(Published(home.published_path))
    assert not result.passed
    assert "lake.files" in result.metadata["wrong"].value


def test_a_tampered_report_fails_the_checks(home: Settings) -> None:
    run(home)
    latest = home.reports_path / "latest.html"
    latest.write_text(
        latest.read_text().replace('<data value="3"', '<data value="4"').replace("</main>", "<script></script></main>")
    )
    found = {item.check_name: item.passed for item in energy_report_checks(home, Published(home.published_path))}
    assert found == {"has_every_section": True, "asks_no_other_place": False, "figures_agree_with_tables": False}
