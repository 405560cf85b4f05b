"""`energy models list|promote|rollback`: a person decides, the audit keeps it, the registry shows it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from energy_platform.adapters.registry import Formula, Registry, RunRecord, VersionNotFound
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.cli import app
from energy_platform.commands.models import WarehouseBusy
from energy_platform.domain.errors import FeaturesChanged
from energy_platform.domain.forecasting.promotion import PromotionRefused, Seat, champion_at
from energy_platform.domain.forecasting.rows import feature_hash
from energy_platform.settings import Settings
from energy_platform_tests.conftest import using_home

NAME = "meter-day"
# Skill of each version's backtest, and the features that it expects.
VERSIONS = ((0.10, None), (0.20, None), (0.0, None), (0.30, "other"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with four versions, the second one champion. Tests work on copies."""
    with using_home(tmp_path_factory.mktemp("trained")) as found:
        registry = Registry(found.tracking_uri, found.artifacts_uri)
        for week, (skill, features) in enumerate(VERSIONS):
            cutoff = date(2013, 7, 1 + 7 * week)
            record = RunRecord(
                name=f"lightgbm {cutoff}",
                metrics={"mae_kwh": 2 * (1 - skill), "naive_mae_kwh": 2.0, "skill": skill},
                tags={"cutoff": cutoff.isoformat(), "feature_hash": features or feature_hash(), "model": "lightgbm"},
            )
            registry.log_formula(NAME, Formula(["lightgbm_kwh"], [1.0]), record, description=f"week {week}")
        registry.promote(NAME, "1", cutoff=date(2013, 7, 1), reason="the first with skill")
        registry.promote(NAME, "2", cutoff=date(2013, 7, 8), reason="better than the first")
        return found.home_path


@pytest.fixture
def settings(trained: Path, tmp_path: Path) -> Iterator[Settings]:
    shutil.copytree(trained, tmp_path / "home")
    with using_home(tmp_path / "home") as found:
        yield found


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["models", *arguments])


def champion() -> str | None:
    return next((row["version"] for row in json.loads(ask("list", "--json").stdout) if row["is_champion"]), None)


def audit(settings: Settings) -> pl.DataFrame:
    warehouse = Warehouse(settings.warehouse_path)
    return warehouse.read("SELECT * FROM models.promotions ORDER BY decided_at_utc")


# Another process that writes to the warehouse, until its input ends.
HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


def test_a_person_lists_promotes_and_goes_back_and_every_step_is_audited(settings: Settings) -> None:
    told = ask("list").stdout
    assert "better than the first" in told
    assert "+20.0%" in told
    rows = {row["version"]: row for row in json.loads(ask("list", "--json").stdout)}
    assert (rows["2"]["is_champion"], rows["2"]["mae_kwh"], rows["2"]["cutoff"]) == (True, 1.6, "2013-07-08")

    promoted = ask("promote", "1", "--reason", "the newer one misses Mondays")
    assert promoted.exit_code == 0
    assert "version 1 (lightgbm) is champion; it was version 2 (lightgbm)" in promoted.stdout
    assert champion() == "1"

    back = ask("rollback", "--reason", "Mondays were a fault of the data")
    assert "version 2 (lightgbm) is champion again; it was version 1" in back.stdout
    assert champion() == "2"

    kept = audit(settings)
    assert kept["verdict"].to_list() == ["promoted", "rolled_back"]
    assert set(kept["decided_by"]) == {"person"}
    assert kept["version_before"].to_list() == ["2", "1"]
    assert kept["reason"][0] == "the newer one misses Mondays"
    told = json.loads(ask("audit", "--json").stdout)
    assert [(row["verdict"], row["version_after"]) for row in told] == [("promoted", "1"), ("rolled_back", "2")]
    assert "Mondays were a fault of the data" in ask("audit").stdout
    assert champion_at(kept, grain=NAME, before=date(2013, 8, 1)) == Seat("lightgbm", "2")


def test_what_must_not_be_champion_is_refused_and_leaves_no_trace(settings: Settings) -> None:
    refused = ask("promote", "3", "--reason", "I like it").exception
    assert isinstance(refused, PromotionRefused)
    assert "no skill over naive" in str(refused)
    assert isinstance(ask("promote", "4", "--reason", "the best", "--force").exception, FeaturesChanged)
    assert isinstance(ask("promote", "9", "--reason", "why").exception, VersionNotFound)
    assert isinstance(ask("rollback", "--reason", "x", "--model", "nobody").exception, VersionNotFound)
    assert ask("promote", "1").exit_code == 2
    assert champion() == "2"
    assert not Warehouse(settings.warehouse_path).has_table("models.promotions") or audit(settings).is_empty()

    forced = ask("promote", "3", "--reason", "a rehearsal", "--force")
    assert forced.exit_code == 0
    assert "forced: no skill over naive on record" in audit(settings)["reason"][0]


def test_while_a_run_writes_nothing_is_decided(settings: Settings) -> None:
    Warehouse(settings.warehouse_path).ensure_tables([])
    command = [sys.executable, "-c", HOLD, str(settings.warehouse_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        error = ask("rollback", "--reason", "odd").exception
        other.stdin.close()
    assert isinstance(error, WarehouseBusy)
    assert "Try again when the run is done" in str(error)
    assert champion() == "2"


def test_before_the_first_training_the_list_says_so(tmp_path: Path) -> None:
    with using_home(tmp_path):
        assert "seasonal naive is issued" in ask("list").stdout
        assert "none: `energy run` trains the first" in str(ask("rollback", "--reason", "x").exception)
