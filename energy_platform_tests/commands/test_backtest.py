"""`energy backtest` where it cannot work; what it prints and keeps is in test_flow.py, on a home that went through a flow."""

from pathlib import Path

from typer.testing import CliRunner

from energy_platform.cli import app
from energy_platform.domain.errors import NothingPublished
from energy_platform_tests.conftest import using_home


def test_without_any_run_a_backtest_says_what_to_do(tmp_path: Path) -> None:
    with using_home(tmp_path / "home"):
        error = CliRunner().invoke(app, ["backtest", "--weeks", "2"]).exception
    assert isinstance(error, NothingPublished)
    assert "energy run" in str(error)
