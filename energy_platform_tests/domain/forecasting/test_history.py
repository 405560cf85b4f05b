from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.domain.forecasting.history import DaySeries, known_series_sql
from energy_platform_tests.day_builders import make_days, make_warehouse
from energy_platform_tests.domain.forecasting.known import TABLE, series_of

CUTOFF = date(2013, 6, 3)


@pytest.fixture(scope="module")
def days() -> pl.DataFrame:
    late = make_days(seed=62, meters=1, days=60, first_day=date(2013, 5, 1)).with_columns(meter_id=pl.lit("a-late-one"))
    return pl.concat([make_days(seed=61, meters=3, days=200), late])


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, days: pl.DataFrame) -> Warehouse:
    return make_warehouse(tmp_path_factory.mktemp("history") / "w.duckdb", days)


def test_every_complete_day_before_the_cutoff_stands_in_its_place_and_nothing_else(
    warehouse: Warehouse, days: pl.DataFrame
) -> None:
    series = series_of(warehouse, CUTOFF)
    complete = days.filter((pl.col("completeness") >= 0.9) & (pl.col("local_date") < CUTOFF))
    wanted = {
        (meter, day): kwh for meter, day, kwh in complete.select("meter_id", "local_date", "energy_kwh").iter_rows()
    }
    found = {
        (meter, series.first_day + timedelta(days=int(column))): series.energy_kwh[row, column]
        for row, meter in enumerate(series.meters["meter_id"])
        for column in np.flatnonzero(~np.isnan(series.energy_kwh[row]))
    }
    assert found == wanted
    assert series.end == CUTOFF


def test_a_row_finds_its_meter_and_the_column_of_its_issue_day(warehouse: Warehouse) -> None:
    series = series_of(warehouse, CUTOFF)
    rows = pl.DataFrame(
        {"meter_id": ["home-2", "a-late-one"], "channel": "main", "cutoff_date": [CUTOFF, date(2013, 5, 1)]}
    )
    meter, day = series.places(rows)
    assert series.meters["meter_id"].gather(meter).to_list() == ["home-2", "a-late-one"]
    assert [series.first_day + timedelta(days=int(column)) for column in day] == rows["cutoff_date"].to_list()


def test_what_was_known_before_a_day_is_a_shorter_matrix(warehouse: Warehouse) -> None:
    whole, part = series_of(warehouse, CUTOFF), series_of(warehouse, CUTOFF).before(date(2013, 3, 1))
    assert part.end == date(2013, 3, 1)
    assert np.array_equal(part.energy_kwh, whole.energy_kwh[:, : part.energy_kwh.shape[1]], equal_nan=True)
    assert whole.before(date(1999, 1, 1)).energy_kwh.shape[1] == 0


def test_no_days_at_all_are_an_empty_matrix(tmp_path: Path) -> None:
    empty = make_warehouse(tmp_path / "w.duckdb", make_days(seed=63, meters=1, days=20))
    series = DaySeries.of(empty.read(known_series_sql(TABLE, cutoff=date(1999, 1, 1))))
    assert series.energy_kwh.size == 0
    assert series.meters.height == 0
