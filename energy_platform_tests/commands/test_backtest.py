"""`energy backtest` in process, on one small home: a leaderboard by model over exactly the asked-for weeks."""

from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from energy_platform.adapters.published import Published
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.cli import app
from energy_platform.domain.columns import SOURCE_CLOCKS
from energy_platform.domain.errors import NothingPublished
from energy_platform.flow import _Runner, land
from energy_platform.instance import open_instance
from energy_platform.serving.query import run_query
from energy_platform.settings import Settings
from energy_platform_tests.conftest import using_home
from energy_platform_tests.test_flow import half_hours, lcl_file


def loaded(settings: Settings, path: Path) -> None:
    """Take a file as far as the features, and publish what a backtest asks for: how far the source has got."""
    with open_instance(settings) as instance:
        land(settings, source="lcl", path=path)
        _Runner(instance, lambda *_: None).run("intake")
    with Warehouse(settings.warehouse_path).transaction() as connection:
        Published(settings.published_path).publish(connection, [SOURCE_CLOCKS], facts={}, now=datetime(2026, 1, 1))


@pytest.mark.slow
def test_a_backtest_prints_the_leaderboard_by_lead_and_model_and_keeps_its_forecasts(tmp_path: Path) -> None:
    path = lcl_file(tmp_path / "one.csv", half_hours(datetime(2013, 5, 1), days=40))
    with using_home(tmp_path / "home") as settings:
        loaded(settings, path)
        result = CliRunner().invoke(app, ["backtest", "--weeks", "2", "--source", "lcl"])
        assert result.exit_code == 0, result.output
        scores = run_query(Published(settings.published_path), "SELECT * FROM forecasts.scores ORDER BY cutoff_date")
    assert "Leaderboard of 2 weekly cutoffs, 2013-05-27 to 2013-06-03" in result.output
    # A constant load: last week's day is right every time.
    assert "seasonal_naive" in result.output
    weeks = {"2013-05-27", "2013-06-03"}
    assert weeks <= set(scores["cutoff_date"].cast(str).to_list())
    naive = scores.filter(scores["model"] == "seasonal_naive")
    assert naive["mae_kwh"].to_list() == pytest.approx([0.0] * naive.height)


def test_without_any_run_a_backtest_says_what_to_do(tmp_path: Path) -> None:
    with using_home(tmp_path / "home"):
        error = CliRunner().invoke(app, ["backtest", "--weeks", "2"]).exception
    assert isinstance(error, NothingPublished)
    assert "energy run" in str(error)
