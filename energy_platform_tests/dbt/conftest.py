"""dbt in this process, as the product runs it: each build takes a second."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from energy_platform.adapters.dbt_command import run_dbt
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.warehouse.project import PARSED, PROJECT_DIR, current_manifest
from energy_platform.settings import Settings, export_for_dbt
from energy_platform_tests.builders import FIRST_LOAD_UTC, load_file, make_corrections, make_readings

Dbt = Callable[..., None]


def make_warehouse(home: Path) -> Warehouse:
    return Warehouse(Settings(home=home).warehouse_path, memory_limit="512MiB", threads=2)


@pytest.fixture(scope="session")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """``dbt(warehouse, "run", …)``: run one dbt command on that warehouse; a failure fails the test with dbt's words."""
    target = tmp_path_factory.mktemp("dbt")
    current_manifest()

    def run(warehouse: Warehouse, *command: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("ENERGY_WAREHOUSE_PATH", "ENERGY_MEMORY_LIMIT", "ENERGY_THREADS"):
                patch.setenv(name, "")
            export_for_dbt(Settings(home=warehouse.path.parent, memory_limit=warehouse.memory_limit, threads=2))
            outcome = run_dbt(command, project_dir=PROJECT_DIR, parsed=PARSED, target_dir=target)
        assert not outcome.errors, "\n".join(outcome.errors)

    return run


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, dbt: Dbt) -> Warehouse:
    """A lake of five kinds of meters over both clock changes of 2013, with corrections, built and tested. Read only."""
    warehouse = make_warehouse(tmp_path_factory.mktemp("built"))
    fill(warehouse)
    dbt(warehouse, "build")
    return warehouse


def fill(warehouse: Warehouse) -> None:
    """Six files: half-hourly homes in spring and autumn, hourly gas, quarter-hours, devices, and corrections."""
    spring, autumn = date(2013, 3, 26), date(2013, 10, 22)
    homes = pl.concat(
        make_readings(seed=10 + number, meter_id=f"home-{number}", first_day=day, days=10)
        for number in range(2)
        for day in (spring, autumn)
    )
    complete = make_readings(seed=5, meter_id="complete", first_day=spring, days=220, gap_share=0)
    load_file(warehouse, pl.concat([homes, complete]))
    gas = make_readings(seed=20, meter_id="home-0-gas", interval_minutes=60, first_day=autumn, file_id=2)
    load_file(warehouse, gas, source="uk_gas", commodity="gas", site_id="home-0")
    fine = make_readings(seed=30, meter_id="fine", interval_minutes=15, first_day=autumn, days=8, file_id=3)
    load_file(warehouse, fine)
    devices = pl.concat(
        make_readings(
            seed=40 + number,
            meter_id="plugs",
            channel=name,
            first_day=autumn,
            days=8,
            file_id=4,
            time_zone="Europe/Berlin",
        )
        for number, name in enumerate(("fridge", "kettle"))
    )
    load_file(warehouse, devices, source="appliances", time_zone="Europe/Berlin")
    behind_main = make_readings(seed=50, meter_id="home-1", channel="dev1", first_day=autumn, days=5, file_id=5)
    load_file(warehouse, behind_main, site_id="home-1")
    for step, file_id in enumerate((6, 7)):
        later = FIRST_LOAD_UTC + timedelta(days=step + 1)
        load_file(warehouse, make_corrections(homes, seed=60, count=9 + step, file_id=file_id, available_at_utc=later))
