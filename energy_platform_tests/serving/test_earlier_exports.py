"""The earlier sensor system's files, from a published generation."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest

from energy_platform.adapters.published import Published
from energy_platform.domain.columns import FORECASTS, METER_DAYS
from energy_platform.serving.earlier_exports import COLUMNS, TEST_DAYS, earlier_files
from energy_platform_tests.day_builders import make_days, make_warehouse
from energy_platform_tests.published_builders import issued_rows

LAST = date(2013, 3, 31)


@pytest.fixture(scope="module")
def days() -> pl.DataFrame:
    return make_days(seed=71, meters=2, days=90, incomplete_share=0.05)


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory, days: pl.DataFrame) -> Iterator[duckdb.DuckDBPyConnection]:
    folder: Path = tmp_path_factory.mktemp("earlier")
    warehouse = make_warehouse(folder / "w.duckdb", days)
    warehouse.replace(FORECASTS, issued_rows(["home-0", "home-1"], cutoff=LAST), where="true")
    published = Published(folder / "published")
    with warehouse.transaction() as writing:
        published.publish(writing, [METER_DAYS, FORECASTS], facts={}, now=datetime(2026, 1, 1))
    with published.current().connect() as found:
        yield found


def read(content: bytes) -> pl.DataFrame:
    return pl.read_csv(content, has_header=False, new_columns=list(COLUMNS))


def test_train_and_test_hold_each_day_that_follows_a_whole_week_once_and_test_is_the_newest(
    connection: duckdb.DuckDBPyConnection, days: pl.DataFrame
) -> None:
    files = earlier_files(connection, "homes")
    train, test = read(files["train/train.csv"]), read(files["test/test.csv"])
    known = {
        (row["meter_id"], row["local_date"]): row["energy_kwh"] for row in days.to_dicts() if row["completeness"] >= 0.9
    }
    newest = max(day for _, day in known)
    expected: dict[bool, list[list[float]]] = {True: [], False: []}
    for (meter, day), energy in sorted(known.items()):
        lags = [known.get((meter, day - timedelta(days=lag))) for lag in range(1, 8)]
        if None not in lags:
            expected[(newest - day).days < TEST_DAYS].append([energy, *lags, float(day.isoweekday())])
    assert np.allclose(train.to_numpy(), expected[False])
    assert np.allclose(test.to_numpy(), expected[True])
    assert files["columns.txt"].decode().strip().split(",") == list(COLUMNS)


def test_the_predictions_are_the_issued_days_in_kwh_on_one_line(connection: duckdb.DuckDBPyConnection) -> None:
    told = earlier_files(connection, "homes")["predictions.txt"].decode()
    assert [float(value) for value in told.strip().split(",")] == [2 * float(lead) for lead in range(1, 8)]


def test_a_source_that_is_not_there_gives_no_file(connection: duckdb.DuckDBPyConnection) -> None:
    assert earlier_files(connection, "nobody") == {}
