"""The embedded Dagster instance keeps its SQLite files open while it is used, and leaves no trace of that."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log.sqlite import sqlite_event_log

from energy_platform.instance import open_instance
from energy_platform.settings import Settings


@dg.asset
def one() -> None:
    """An asset that does nothing."""


def events(folder: Path, run_id: str) -> int:
    with closing(sqlite3.connect(folder / "history" / "runs" / f"{run_id}.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        return connection.execute("SELECT count(*) FROM event_logs").fetchone()[0]


def test_events_of_a_run_are_there_for_other_readers_at_once_and_after(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    with open_instance(settings) as instance:
        result = dg.materialize([one], instance=instance)
        seen = events(settings.dagster_home, result.run_id)
        assert seen >= 6
    assert events(settings.dagster_home, result.run_id) == seen
    assert not list(settings.dagster_home.rglob("*-wal")), "the write-ahead logs are folded back"
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as plain:
        record = plain.get_latest_materialization_event(dg.AssetKey("one"))
        assert record is not None
        assert record.run_id == result.run_id


def test_dagster_is_left_as_it_was(tmp_path: Path) -> None:
    before = sqlite_event_log.create_engine
    with open_instance(Settings(home=tmp_path / "outer")), open_instance(Settings(home=tmp_path / "inner")):
        assert sqlite_event_log.create_engine is not before
    assert sqlite_event_log.create_engine is before


def test_two_processes_may_write_to_one_home(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    with open_instance(settings) as mine:
        dg.materialize([one], instance=mine)
        started = time.monotonic()
        with dg.DagsterInstance.from_config(str(settings.dagster_home)) as other:
            dg.materialize([one], instance=other)
        dg.materialize([one], instance=mine)
        assert len(mine.get_runs()) == 3
        assert time.monotonic() - started < 60, "nobody waits for a lock that an idle connection holds"
