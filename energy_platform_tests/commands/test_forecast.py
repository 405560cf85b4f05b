"""`energy forecast METER` over a published generation."""

import json
from collections.abc import Iterator
from datetime import date, datetime

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from energy_platform.adapters.published import Published
from energy_platform.cli import app
from energy_platform.commands.forecast import MeterNotForecast
from energy_platform.domain.columns import FORECASTS, METERS
from energy_platform_tests.conftest import using_home
from energy_platform_tests.day_builders import make_days, make_warehouse
from energy_platform_tests.published_builders import issued_rows

CUTOFF = date(2013, 3, 31)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    days = make_days(seed=72, meters=3, days=60)
    fridge = days.filter(pl.col("meter_id") == "home-2").with_columns(channel=pl.lit("fridge"))
    with using_home(tmp_path_factory.mktemp("forecast")) as settings:
        warehouse = make_warehouse(settings.warehouse_path, pl.concat([days, fridge]))
        older = issued_rows(["home-0", "home-2"], cutoff=date(2013, 3, 24), model="seasonal_naive")
        newest = issued_rows(["home-0", "home-2"], cutoff=CUTOFF)
        warehouse.replace(FORECASTS, pl.concat([older, newest]), where="true")
        with warehouse.transaction() as connection:
            Published(settings.published_path).publish(
                connection, [METERS, FORECASTS], facts={}, now=datetime(2026, 1, 1)
            )
        yield


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["forecast", *arguments], catch_exceptions=True)


@pytest.mark.usefixtures("home")
def test_the_newest_issue_is_printed_with_its_band_its_model_and_the_reason() -> None:
    told = ask("home-0").stdout
    assert "home-0/main (homes, electricity), from 2013-03-31" in told
    assert "lightgbm version 3" in told
    assert "it saves 20 %" in told
    assert "2013-04-06" in told
    assert "seasonal_naive" not in told


@pytest.mark.usefixtures("home")
def test_as_json_it_has_every_day_up_to_the_one_asked_for() -> None:
    told = json.loads(ask("home-0", "--days", "2", "--json").stdout)
    assert (told["meter_id"], told["cutoff_date"], told["model_version"]) == ("home-0", "2013-03-31", "3")
    assert [(day["local_date"], day["p10_kwh"], day["p50_kwh"], day["p90_kwh"]) for day in told["days"]] == [
        ("2013-03-31", 0.0, 1.0, 2.0),
        ("2013-04-01", 1.0, 2.0, 3.0),
    ]
    assert told["drivers"] == []
    assert not told["is_fallback"]


@pytest.mark.usefixtures("home")
def test_an_unknown_meter_gets_the_nearest_names() -> None:
    error = ask("Home0").exception
    assert isinstance(error, MeterNotForecast)
    assert "no meter is named 'Home0'; nearest: home-" in str(error)
    assert "such as home-0" in str(ask("zzz").exception)


@pytest.mark.usefixtures("home")
def test_a_meter_with_several_channels_is_asked_back() -> None:
    error = ask("home-2").exception
    assert "home-2/fridge, home-2/main" in str(error)
    assert ask("home-2/main").exit_code == 0


@pytest.mark.usefixtures("home")
def test_a_meter_without_a_forecast_says_why() -> None:
    assert "home-1/main has no forecast: it has no complete day" in str(ask("home-1").exception)
