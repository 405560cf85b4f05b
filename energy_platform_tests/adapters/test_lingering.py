"""The warehouse file stays open for a moment after a step, and nobody is hurt by it."""

import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from energy_platform.adapters.lingering import LINGERING
from energy_platform.adapters.warehouse import Warehouse


@pytest.fixture
def warehouse(tmp_path: Path):
    """A warehouse that would linger for longer than any test takes."""
    made = Warehouse(tmp_path / "warehouse.duckdb", linger_seconds=60)
    yield made
    made.let_go()


def held_elsewhere(path: Path, seconds: float) -> "subprocess.Popen[str]":
    """Another process that has the file open for so long, seen to have it."""
    script = f"import duckdb, time; c = duckdb.connect({str(path)!r}); print('open', flush=True); time.sleep({seconds})"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def opens_elsewhere(path: Path) -> bool:
    """Whether another process can open the file now."""
    return (
        subprocess.run(
            [sys.executable, "-c", f"import duckdb; duckdb.connect({str(path)!r})"], check=False, capture_output=True
        ).returncode
        == 0
    )


def test_temporary_tables_are_gone_with_their_connection_while_the_file_stays_open(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        connection.execute("CREATE TEMP TABLE mine AS SELECT 1 AS a; CREATE TABLE ours AS SELECT 2 AS a")
    assert not opens_elsewhere(warehouse.path)
    with warehouse.connect() as connection, pytest.raises(duckdb.CatalogException):
        connection.execute("SELECT * FROM mine")
    assert warehouse.read("SELECT a FROM ours").item() == 2


def test_what_was_let_go_can_be_opened_by_another_process_and_holds_all_rows(warehouse: Warehouse) -> None:
    with warehouse.transaction() as connection:
        connection.execute("CREATE TABLE ours AS SELECT 2 AS a")
    warehouse.let_go()
    assert opens_elsewhere(warehouse.path)
    assert not warehouse.path.with_name("warehouse.duckdb.wal").exists()


def test_a_file_that_lingers_is_closed_by_itself(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb", linger_seconds=0.1)
    warehouse.read("SELECT 1")
    deadline = time.monotonic() + 10
    while not opens_elsewhere(warehouse.path):
        assert time.monotonic() < deadline


def test_a_file_lingers_from_run_to_run_and_is_closed_when_no_run_follows(warehouse: Warehouse) -> None:
    with LINGERING.through_runs():
        warehouse.read("SELECT 1")
        warehouse.let_go_after_run()
        assert not opens_elsewhere(warehouse.path)
    assert opens_elsewhere(warehouse.path)
    warehouse.read("SELECT 1")
    warehouse.let_go_after_run()
    assert opens_elsewhere(warehouse.path)


def test_another_memory_limit_finds_the_file_closed_instead_of_an_error(warehouse: Warehouse) -> None:
    warehouse.read("SELECT 1")
    other = Warehouse(warehouse.path, memory_limit="1GiB")
    assert other.read("SELECT current_setting('memory_limit')").item() == "1.0 GiB"
    assert opens_elsewhere(warehouse.path)


def test_a_file_that_lingers_in_another_process_is_waited_for(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    with held_elsewhere(warehouse.path, 1.0):
        assert warehouse.read("SELECT 1").height == 1


def test_a_file_that_is_held_for_long_is_an_error_and_nothing_stays_behind(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb", linger_seconds=60)
    with held_elsewhere(warehouse.path, 60) as process:
        with pytest.raises(duckdb.IOException, match="lock"):
            warehouse.read("SELECT 1")
        process.kill()
    assert LINGERING.take(warehouse.path, {}) is None
