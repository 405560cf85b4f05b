"""`energy anomalies …` over a published generation and an operations store."""

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from energy_platform.adapters.operations import Operations, feedback
from energy_platform.adapters.published import Published
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.cli import app
from energy_platform.commands.anomalies import read_labels
from energy_platform.domain.anomalies.episodes import with_episodes
from energy_platform.domain.columns import METER_DAYS
from energy_platform.domain.columns.anomalies import EPISODES, RECORDS, SEVERITIES
from energy_platform.domain.errors import FileUnreadable
from energy_platform.settings import Settings
from energy_platform_tests.conftest import using_home
from energy_platform_tests.day_builders import as_meter_days

FIRST = date(2013, 7, 1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with using_home(tmp_path_factory.mktemp("anomalies")) as settings:
        warehouse = Warehouse(settings.warehouse_path, threads=1)
        days = as_meter_days(
            pl.DataFrame(
                {"meter_id": "home", "local_date": [FIRST + timedelta(days=n) for n in range(28)], "energy_kwh": 8.0}
            )
        )
        judged = [
            {"meter_id": "home", "channel": "main", "source": "homes", "commodity": "electricity",
             "local_date": FIRST + timedelta(days=day), "cutoff_date": FIRST, "severity": 2.0, "false_alarm_share": 0.01,
             "is_anomalous": day > 0, "cause": "gap", "detectors": "gap", "reason": "half the day is missing.",
             "may_page": False, "issued_at_utc": datetime(2026, 1, 1)}
            for day in (0, 5, 6, 20)
        ]  # fmt: skip
        severities, episodes = with_episodes(pl.DataFrame(judged, schema=SEVERITIES.polars_schema))
        tables = {
            METER_DAYS: days,
            SEVERITIES: severities,
            EPISODES: episodes,
            RECORDS: pl.DataFrame(schema=RECORDS.polars_schema),
        }
        for table, rows in tables.items():
            warehouse.replace(table, rows, where="true")
        with warehouse.transaction() as connection:
            Published(settings.published_path).publish(connection, list(tables), facts={}, now=datetime(2026, 1, 1))
        yield settings


def say(*arguments: str):
    return CliRunner().invoke(app, ["anomalies", *arguments], catch_exceptions=True)


def test_episodes_are_listed_newest_first(home: Settings) -> None:
    rows = json.loads(say("list", "--json").stdout)
    assert [(row["first_date"], row["last_date"], row["anomalous_days"]) for row in rows] == [
        ("2013-07-21", "2013-07-21", 1),
        ("2013-07-06", "2013-07-07", 2),
    ]
    assert "half the day is missing" in say("list").stdout


def test_labels_give_figures_by_day_and_by_event(home: Settings, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("meter_id,first_date,last_date\nhome,2013-07-06,2013-07-08\nhome,2013-07-25,2013-07-25\n")
    found = json.loads(say("evaluate", "--labels", str(labels), "--json").stdout)
    assert (found["events"], found["detected"], found["false_alarms"]) == (2, 1, 1)
    assert found["point_recall"] == 0.5
    assert found["judged_days"] == 28
    assert 0 < found["pr_auc"] < 1


def test_what_a_person_says_is_kept_counted_and_can_be_taken_back(home: Settings) -> None:
    name = json.loads(say("list", "--json").stdout)[1]["episode_id"]
    assert "no detector learns" in say("acknowledge", name, "--real", "--by", "ann").stdout
    found = json.loads(say("evaluate", "--json").stdout)
    assert (found["events"], found["detected"]) == (1, 1)
    assert "good days" in say("acknowledge", name, "--not-real", "--by", "bob", "--note", "builders").stdout
    with Operations.open(home.operations_address) as operations:
        assert [(one.said_by, one.is_real) for one in feedback.history(operations, name)] == [
            ("ann", True),
            ("bob", False),
        ]
        last = feedback.verdicts(operations)
    assert [(one.said_by, one.note, one.first_date) for one in last] == [("bob", "builders", date(2013, 7, 6))]
    assert json.loads(say("evaluate", "--json").stdout)["events"] == 0


def test_an_unknown_episode_is_refused(home: Settings) -> None:
    result = say("acknowledge", "2013-01-01-00000000", "--real")
    assert result.exit_code == 2
    assert "no episode is named" in result.output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("meter_id,first_date\nhome,2013-07-06\n", "no column last_date"),
        ("meter_id,first_date,last_date\nhome,2013-07-06,2013-07-08\nhome,6/7/2013,2013-07-08\n", "line 3"),
        ("meter_id,first_date,last_date\nhome,2013-07-06,2013-07-01\n", "line 2"),
    ],
)
def test_a_file_of_labels_that_cannot_be_used_says_where_and_why(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(FileUnreadable, match=words) as refused:
        read_labels(path)
    assert str(path) in str(refused.value)
