"""Generations: written whole, switched in one step, read without locks, pruned with care."""

from __future__ import annotations

import itertools
import json
import threading
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_platform.adapters.published import GRACE, Published
from energy_platform.adapters.published_parts import Part, plan_parts
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.domain.columns import (
    ANOMALIES,
    FILES,
    METER_DAYS,
    METERS,
    READING_ROWS,
    READINGS_ABOVE_LIMIT,
    READINGS_TABLE,
    SITES,
    TABLES,
)
from energy_platform.domain.errors import ContractBroken, NothingPublished

NOW = datetime(2026, 3, 4, 5, 30)


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return new_warehouse(tmp_path)


def new_warehouse(tmp_path: Path) -> Warehouse:
    warehouse = Warehouse(tmp_path / "w.duckdb", threads=1)
    warehouse.ensure_tables(TABLES)
    with warehouse.connect() as connection:
        connection.execute(
            """INSERT INTO lake.meters BY NAME SELECT 'm' AS meter_id, 'main' AS channel, 1 AS meter_no, 's' AS site_id, 's' AS source,
               'electricity' AS commodity, 30 AS interval_minutes, 'Etc/UTC' AS time_zone, 'GB' AS country, 'history' AS availability"""
        )
    return warehouse


def load_file(warehouse: Warehouse, file_id: int, rows: int, *, sha: str | None = None) -> None:
    with warehouse.transaction() as connection:
        connection.execute(
            f"""INSERT INTO lake.files VALUES ({file_id}, 'f{file_id}', '{sha or file_id}', 's', 1, '{NOW}', '{NOW}', '{NOW}', {rows}, {rows},
                0, 0, 0, {rows}, 'loaded', NULL)"""
        )
        connection.execute(
            f"""INSERT INTO lake.reading_rows SELECT 1, TIMESTAMP '2024-01-01' + to_minutes({file_id} * 10000 + 30 * i::INTEGER), 30, 0, 1.0,
                false, {file_id} FROM range({rows}) AS numbers(i)"""
        )


def publish(published: Published, warehouse: Warehouse, now: datetime = NOW, tables=TABLES):
    with warehouse.transaction() as connection:
        return published.publish(connection, tables, facts={"newest_file_id": 1}, now=now)


def folders(published: Published) -> set[str]:
    return {entry.name for entry in (published.place / "generations").iterdir()}


def test_before_anything_is_published_the_reader_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NothingPublished, match="energy run"):
        Published(tmp_path).current()


def test_every_published_table_reads_like_the_warehouse(tmp_path: Path, warehouse: Warehouse) -> None:
    load_file(warehouse, 1, 100)
    with warehouse.connect() as connection:
        connection.execute(
            f"""INSERT INTO anomalies.channel_limits VALUES (1, 'm', 'main', 's', 'electricity', 0.5, 0.1, 0.7, 'above 0.7 kWh');
                INSERT INTO anomalies.readings_above_limit VALUES (1, '{NOW}', '{NOW}', 30, 0.9);
                INSERT INTO anomalies.days_off_forecast
                VALUES ('m', 'main', 's', 'electricity', '{NOW}', '{NOW}', 1440, 30.0, 9.0, 12.0, 21.0, 'more than was forecast')"""
        )
    published = Published(tmp_path / "published")
    publish(published, warehouse)
    generation = published.current()
    with generation.connect() as connection:
        for table in (FILES, READINGS_TABLE, ANOMALIES):
            order = ", ".join(table.key)
            mine = connection.execute(f"SELECT * FROM {table.full_name} ORDER BY {order}").pl()
            assert mine.equals(warehouse.read(f"SELECT * FROM {table.full_name} ORDER BY {order}"))
            assert generation.tables[table.full_name] == mine.height
    assert generation.created_at_utc == NOW
    assert generation.facts == {"newest_file_id": 1}


def test_anomalous_readings_are_published_meter_by_meter_so_that_a_reader_of_one_skips_the_others(
    tmp_path: Path, warehouse: Warehouse
) -> None:
    with warehouse.connect() as connection:
        connection.execute(
            """INSERT INTO anomalies.readings_above_limit
               SELECT 1 + i % 3, '2024-01-01', TIMESTAMP '2024-01-01' + to_minutes(i), 30, 1.0 FROM range(400000) AS numbers(i)"""
        )
    generation = publish(Published(tmp_path / "published"), warehouse, tables=(READINGS_ABOVE_LIMIT,))
    (file,) = generation.files[READINGS_ABOVE_LIMIT.full_name]
    groups = duckdb.execute(
        f"""SELECT stats_min_value::INTEGER, stats_max_value::INTEGER FROM parquet_metadata('{generation.root / file}')
            WHERE path_in_schema = 'meter_no' ORDER BY row_group_id"""
    ).fetchall()
    assert len(groups) > 2
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(groups))


def test_a_table_that_the_warehouse_lacks_is_published_without_rows(tmp_path: Path) -> None:
    published = Published(tmp_path / "published")
    generation = publish(published, Warehouse(tmp_path / "bare.duckdb"))
    with generation.connect() as connection:
        for table in TABLES:
            assert connection.execute(f"SELECT * FROM {table.full_name}").pl().schema == table.polars_schema, (
                table.full_name
            )


def test_a_table_without_a_column_of_its_contract_leaves_the_old_generation_current(
    tmp_path: Path, warehouse: Warehouse
) -> None:
    published = Published(tmp_path / "published")
    before = publish(published, warehouse)
    with warehouse.transaction() as connection:
        connection.execute("CREATE SCHEMA marts; CREATE TABLE marts.meter_days AS SELECT 'm' AS meter_id")
    with pytest.raises(ContractBroken, match="energy_kwh"):
        publish(published, warehouse)
    assert published.current().generation_id == before.generation_id


def test_the_debris_of_an_interrupted_publish_is_removed_by_the_next(
    tmp_path: Path, warehouse: Warehouse, monkeypatch
) -> None:
    published = Published(tmp_path / "published")
    before = publish(published, warehouse)
    real = Path.replace

    def crash(self: Path, target: Path) -> Path:
        if Path(target).name == "current.json":
            raise OSError("power lost")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(OSError, match="power lost"):
        publish(published, warehouse)
    monkeypatch.undo()
    assert published.current().generation_id == before.generation_id
    assert len(folders(published)) == 2
    (published.place / "generations" / ".building-half").mkdir()
    after = publish(published, warehouse)
    assert folders(published) == {before.generation_id, after.generation_id}


def test_old_generations_are_pruned_but_never_one_replaced_within_ten_minutes(
    tmp_path: Path, warehouse: Warehouse
) -> None:
    published = Published(tmp_path / "published", keep=2)
    ids = [publish(published, warehouse, NOW + timedelta(days=number)).generation_id for number in range(3)]
    assert folders(published) == set(ids[1:])
    quick = [
        publish(published, warehouse, NOW + timedelta(days=3, minutes=number)).generation_id for number in range(4)
    ]
    # All but the oldest were current within the last ten minutes, so all of them stay.
    assert folders(published) == {ids[2], *quick}
    last = publish(published, warehouse, NOW + timedelta(days=3, minutes=3) + GRACE * 2).generation_id
    assert folders(published) == {quick[-1], last}


def test_parts_of_readings_are_linked_and_only_new_files_are_written(tmp_path: Path, warehouse: Warehouse) -> None:
    published = Published(tmp_path / "published")
    load_file(warehouse, 1, 1000)
    first = publish(published, warehouse)
    load_file(warehouse, 2, 10)
    second = publish(published, warehouse)
    assert [(part.first, part.last, part.rows) for part in second.parts] == [(1, 1, 1000), (2, 2, 10)]
    name = first.parts[0].file
    assert (first.root / name).samefile(second.root / name)
    load_file(warehouse, 3, 10)
    third = publish(published, warehouse)
    assert [(part.first, part.last, part.rows) for part in third.parts] == [(1, 1, 1000), (2, 3, 20)]
    with third.connect() as connection:
        assert connection.execute("SELECT count(*), count(DISTINCT file_id) FROM lake.readings").fetchone() == (1020, 3)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE lake.files SET content_sha256 = 'other' WHERE file_id = 1",
        "DELETE FROM lake.reading_rows WHERE file_id = 1",
    ],
)
def test_a_part_that_disagrees_with_the_ledger_is_written_anew(
    tmp_path: Path, warehouse: Warehouse, change: str
) -> None:
    published = Published(tmp_path / "published")
    load_file(warehouse, 1, 1000)
    load_file(warehouse, 2, 5)
    publish(published, warehouse)
    with warehouse.transaction() as connection:
        connection.execute(change)
    generation = publish(published, warehouse)
    with generation.connect() as connection:
        mine = connection.execute("SELECT * FROM lake.readings ORDER BY ALL").pl()
    assert mine.equals(warehouse.read("SELECT * FROM lake.readings ORDER BY ALL"))


@given(loads=st.lists(st.integers(0, 50), min_size=1, max_size=40), publish_every=st.integers(1, 4))
def test_whatever_is_loaded_parts_cover_each_file_once_and_stay_few(loads: list[int], publish_every: int) -> None:
    counts: dict[int, int] = {}
    parts: tuple[Part, ...] = ()
    for number, rows in enumerate(loads, start=1):
        if rows:
            counts[number] = rows
        if number % publish_every:
            continue
        kept, ranges = plan_parts(parts, counts, lambda first, last: f"{first}-{last}")
        rows_in = [sum(n for file_id, n in counts.items() if first <= file_id <= last) for first, last in ranges]
        parts = (
            *kept,
            *(Part(first, last, n, f"{first}-{last}") for (first, last), n in zip(ranges, rows_in, strict=True)),
        )
        assert sum(part.rows for part in parts) == sum(counts.values())
        assert all(before.last < after.first for before, after in itertools.pairwise(parts))
    assert len(parts) <= max(1, sum(loads)).bit_length() + 1


def test_a_reader_cannot_leave_its_generation_or_change_settings(tmp_path: Path, warehouse: Warehouse) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    generation = publish(Published(tmp_path / "published"), warehouse)
    with generation.connect() as connection:
        for sql in (
            f"SELECT * FROM read_csv('{secret}')",
            f"ATTACH '{warehouse.path}'",
            "SET threads = 7",
            f"COPY (SELECT 1) TO '{tmp_path}/x.csv'",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(sql)


def test_a_path_with_a_quote_is_a_path(tmp_path: Path, warehouse: Warehouse) -> None:
    generation = publish(Published(tmp_path / "o'brien's"), warehouse)
    with generation.connect() as connection:
        assert connection.execute("SELECT count(*) FROM lake.files").fetchone() == (0,)


def test_readers_meet_no_error_and_exactly_one_generation_while_others_are_published(
    tmp_path: Path, warehouse: Warehouse
) -> None:
    """Each generation puts the same number into two tables; a reader that saw two generations would see two numbers."""
    published = Published(tmp_path / "published", keep=1)
    done, errors, reads = threading.Event(), [], []
    tables = (SITES, METER_DAYS, FILES, METERS, READING_ROWS, READINGS_TABLE)

    def put(number: int) -> None:
        with warehouse.transaction() as connection:
            connection.execute("DELETE FROM lake.sites; DELETE FROM lake.files")
            connection.execute(
                f"INSERT INTO lake.sites SELECT 's' || i, 'UTC', 'GB', '{{}}' FROM range({number}) AS n(i)"
            )
            for file_id in range(1, number + 1):
                connection.execute(
                    f"INSERT INTO lake.files SELECT {file_id}, 'u', 'h', 's', 1, '{NOW}', '{NOW}', '{NOW}', 1, 1, 0, 0, 0, 1, 'loaded', NULL"
                )
            published.publish(connection, tables, facts={"newest_file_id": number}, now=NOW + timedelta(seconds=number))

    def read() -> None:
        while not done.is_set():
            try:
                generation = published.current()
                with generation.connect(threads=1) as connection:
                    sites = connection.execute("SELECT count(*) FROM lake.sites").fetchone()
                    files = connection.execute("SELECT count(*), max(file_id) FROM lake.files").fetchone()
                reads.append((sites[0], files[0], files[1], generation.facts["newest_file_id"]))
            except Exception as error:  # noqa: BLE001 - any error at all fails the test
                errors.append(error)

    put(1)
    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(2, 14):
        put(number)
    done.set()
    for reader in readers:
        reader.join()
    assert errors == []
    assert len({row[0] for row in reads}) > 1, "no swap happened while reading"
    assert all(len(set(row)) == 1 for row in reads)


def test_the_pointer_says_what_there_is(tmp_path: Path, warehouse: Warehouse) -> None:
    load_file(warehouse, 1, 3)
    published = Published(tmp_path / "published")
    generation = publish(published, warehouse)
    pointer = json.loads((published.place / "current.json").read_text())
    assert pointer["generation_id"] == generation.generation_id
    assert pointer["newest_file_id"] == 1
    assert pointer["tables"]["lake.readings"]["rows"] == 3
    assert json.loads((generation.root / "generation.json").read_text())["tables"] == pointer["tables"]
    assert pl.read_parquet(generation.root / pointer["tables"]["lake.files"]["files"][0]).height == 1
