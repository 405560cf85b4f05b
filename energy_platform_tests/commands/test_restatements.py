"""`energy restatements` on a real home, one meter-day of which was corrected twice."""

import json
from datetime import datetime, timedelta

import pytest
from typer.testing import CliRunner

from energy_platform.adapters.published import Published
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.cli import app
from energy_platform.domain.columns import TABLES
from energy_platform.domain.restatements import Restatement, by_site_day
from energy_platform_tests.conftest import using_home
from energy_platform_tests.serving.sample_warehouse import build_sample_warehouse

METER, SITE = "uk-home-1-gas", "uk-home-1"
FIRST, SECOND, THIRD = datetime(2026, 3, 1), datetime(2026, 3, 2), datetime(2026, 3, 3, 12)


def _correct(warehouse: Warehouse) -> str:
    """Two corrections of one meter-day, as dbt keeps them: three versions. Returns the day."""
    with warehouse.transaction() as connection:
        day = connection.execute("SELECT max(local_date) FROM marts.meter_days WHERE meter_id = ?", [METER]).fetchall()[
            0
        ][0]
        for moment, kwh, file_id in ((FIRST, 10.0, 1), (SECOND, 12.5, 2), (THIRD, 12.0, 3)):
            connection.execute(
                """INSERT INTO marts.meter_day_versions BY NAME
                   SELECT meter_id, channel, local_date, ? AS available_at_utc, ? AS energy_kwh, readings,
                          expected_readings, completeness, estimated_share, ? AS file_id
                   FROM marts.meter_days WHERE meter_id = ? AND local_date = ?""",
                [moment, kwh, file_id, METER, day],
            )
    return day.isoformat()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("restated")
    with using_home(folder) as settings:
        warehouse = build_sample_warehouse(settings.warehouse_path, days=20)
        day = _correct(warehouse)
        with warehouse.transaction() as connection:
            Published(settings.published_path).publish(connection, TABLES, facts={}, now=THIRD)
        yield day


def _ask(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["restatements", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_each_correction_says_before_after_and_because_of_which_file(home: str) -> None:
    (site_day,) = json.loads(_ask("--json"))
    assert (site_day["site_id"], site_day["local_date"]) == (SITE, home)
    changes = [(one["before_kwh"], one["after_kwh"], one["change_kwh"]) for one in site_day["restatements"]]
    assert changes == [(10.0, 12.5, 2.5), (12.5, 12.0, -0.5)], "the first version of a day restates nothing"
    because = [one["because"] for one in site_day["restatements"]]
    assert [one["known_since_utc"] for one in because] == ["2026-03-02T00:00:00Z", "2026-03-03T12:00:00Z"]
    assert all(one["file"] for one in because)


@pytest.mark.parametrize(
    ("since", "restated"),
    [("2026-03-03", 1), ("2026-03-03T12:00:00", 1), ("2026-03-03T14:00:00+0200", 1), ("2026-04-01", 0)],
)
def test_since_is_a_moment_in_utc_that_itself_counts(home: str, since: str, restated: int) -> None:
    found = json.loads(_ask("--since", since, "--json"))
    assert sum(len(site_day["restatements"]) for site_day in found) == restated


def test_the_table_names_meter_values_and_moment_and_says_when_there_is_nothing(home: str) -> None:
    shown = _ask()
    for text in (METER, home, "10.000", "12.500", "2026-03-02 00:00:00"):
        assert text in shown
    assert "No meter-day has been restated since 2026-04-01" in _ask("--since", "2026-04-01")


def test_site_days_keep_their_order_and_lose_nothing() -> None:
    start = FIRST.date()
    rows = [
        Restatement(f"site-{site}", start + timedelta(days=day), "m", "c", 1.0, 2.0, 1.0, 1.0, None, FIRST)
        for site in range(2)
        for day in range(3)
        for _ in range(2)
    ]
    grouped = by_site_day(rows)
    assert len(grouped) == 6
    assert sum(len(site_day["restatements"]) for site_day in grouped) == len(rows)
