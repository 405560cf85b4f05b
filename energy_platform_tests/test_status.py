"""What `energy status` and the summary say of who forecasts, over published tables."""

from datetime import datetime
from pathlib import Path

import pytest

from energy_platform.adapters.published import Published
from energy_platform.commands.summary import print_summary
from energy_platform.domain.columns import TABLES
from energy_platform.flow import FlowRun
from energy_platform.status import status
from energy_platform_tests.conftest import using_home
from energy_platform_tests.serving.sample_warehouse import build_sample_warehouse


def test_the_skill_is_that_of_the_model_that_is_issued_and_none_while_naive_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with using_home(tmp_path) as settings:
        warehouse = build_sample_warehouse(settings.warehouse_path, days=20)
        published = Published(settings.published_path)

        def told(is_champion: bool) -> tuple[dict, str]:
            """Status and summary once the newest decision is this, above an older champion."""
            with warehouse.transaction() as connection:
                newest = "cutoff_date = (SELECT max(cutoff_date) FROM models.decisions)"
                connection.execute(f"UPDATE models.decisions SET is_champion = NOT {newest} OR {is_champion}")
                published.publish(connection, TABLES, facts={}, now=datetime(2026, 3, 4))
            print_summary(settings, FlowRun("", 0, 1), quiet=False)
            return status(settings), capsys.readouterr().out

        with_champion, said = told(True)
        model = with_champion["champion"]["model"]
        scores = warehouse.read("SELECT model, mae_kwh * meter_days AS error FROM forecasts.scores")
        errors = dict(scores.group_by("model").sum().iter_rows())
        skill = 1 - errors[model] / errors["seasonal_naive"]
        assert with_champion["totals"]["skill"] == pytest.approx(skill)
        assert f"{skill:+.1%} ({model})" in said
        without, said = told(False)
        assert (without["champion"], without["totals"]["skill"]) == (None, None)
        assert "naive is issued" in said
