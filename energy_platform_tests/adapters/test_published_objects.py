"""Generations on S3, against moto's server: the same guarantees as on disk, and nothing uploaded twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import zlib
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from energy_platform.adapters.aws.client import Aws
from energy_platform.adapters.published import GRACE, Published
from energy_platform.adapters.published_objects import ObjectStore
from energy_platform.adapters.published_store import POINTER, FolderStore
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.domain.columns import FILES, METERS, READING_ROWS, READINGS_TABLE, SITES, TABLES
from energy_platform.domain.errors import CloudRefused, NothingPublished
from energy_platform_tests.adapters.test_published import NOW, load_file, new_warehouse, publish
from energy_platform_tests.streaming import brokers
from energy_platform_tests.streaming.consumer import TEST_CREDENTIALS

# Publishes from argv's warehouse and kills itself, as a power cut would, when it makes the Nth call of a kind to S3.
KILLED_PUBLISHER = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from energy_platform.adapters.aws.client import Aws
from energy_platform.adapters.published import Published
from energy_platform.adapters.published_objects import ObjectStore
from energy_platform.adapters.published_store import FolderStore
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.domain.columns import TABLES

endpoint, address, folder, warehouse, operation, count = sys.argv[1:]
client, left = Aws(region="us-east-1", endpoint_url=endpoint).client("s3"), [int(count)]

def die(**_):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)

client.meta.events.register(f"before-send.s3.{operation}", die)
published = Published(ObjectStore.at(address, client=client, copies=FolderStore(Path(folder))))
with Warehouse(Path(warehouse), threads=1).transaction() as connection:
    published.publish(connection, TABLES, facts={"newest_file_id": 2}, now=datetime(2026, 3, 4, 6))
"""


@pytest.fixture(scope="module")
def endpoint():
    with brokers.kinesis_server() as url:
        yield url


@pytest.fixture
def s3(endpoint, monkeypatch, request):
    for name, value in TEST_CREDENTIALS.items():
        monkeypatch.setenv(name.upper(), value)
    client = Aws(region="us-east-1", endpoint_url=endpoint).client("s3")
    client.bucket = f"published-{zlib.crc32(request.node.name.encode()):x}"
    client.create_bucket(Bucket=client.bucket)
    client.calls = []
    client.meta.events.register("before-send.s3", lambda request, **_: client.calls.append((request.method, request)))
    return client


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return new_warehouse(tmp_path)


def place(s3, folder: Path, *, keep: int = 3) -> Published:
    """The published zone as a machine with that folder sees it."""
    return Published(ObjectStore.at(address(s3), client=s3, copies=FolderStore(folder)), keep)


def address(s3) -> str:
    return f"s3://{s3.bucket}/tables"


def keys(s3) -> list[str]:
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=s3.bucket).get("Contents", [])]


def generations(s3) -> set[str]:
    return {key.split("/")[2] for key in keys(s3) if key.startswith("tables/generations/")}


def uploads(s3) -> set[str]:
    """Keys whose bytes went up since the last time, by PUT or in parts."""
    sent = {
        request.url.partition(f"{s3.bucket}/")[2].partition("?")[0]
        for method, request in s3.calls
        if method == "PUT" and b"x-amz-copy-source" not in {name.lower().encode() for name in request.headers}
    }
    s3.calls.clear()
    return sent


def count(published: Published) -> tuple[int, ...]:
    with published.current().connect(threads=1) as connection:
        return connection.execute("SELECT count(*), count(DISTINCT file_id) FROM lake.readings").fetchone()


def test_before_anything_is_published_the_reader_is_told_what_to_do(s3, tmp_path: Path) -> None:
    with pytest.raises(NothingPublished, match=r"s3://.*/tables/ yet\. Run `energy run`"):
        place(s3, tmp_path).current()


def test_another_machine_reads_what_was_published_like_the_warehouse(s3, tmp_path: Path, warehouse: Warehouse) -> None:
    load_file(warehouse, 1, 100)
    publish(place(s3, tmp_path / "here"), warehouse)
    generation = place(s3, tmp_path / "there").current()
    with generation.connect() as connection:
        for table in (FILES, READINGS_TABLE):
            order = ", ".join(table.key)
            mine = connection.execute(f"SELECT * FROM {table.full_name} ORDER BY {order}").pl()
            assert mine.equals(warehouse.read(f"SELECT * FROM {table.full_name} ORDER BY {order}"))
        with pytest.raises(duckdb.Error):
            connection.execute(f"ATTACH '{warehouse.path}'")
    assert set(generation.tables) == {table.full_name for table in TABLES}
    assert generation.files_amiss() == []


def test_a_file_is_fetched_once_and_the_publisher_fetches_nothing(s3, tmp_path: Path, warehouse: Warehouse) -> None:
    load_file(warehouse, 1, 1000)
    publish(place(s3, tmp_path / "here"), warehouse)
    s3.calls.clear()
    assert count(place(s3, tmp_path / "here")) == (1000, 1)
    assert [method for method, _ in s3.calls] == ["GET"], "the pointer only"
    assert count(place(s3, tmp_path / "there")) == (1000, 1)
    s3.calls.clear()
    assert count(place(s3, tmp_path / "there")) == (1000, 1)
    assert [method for method, _ in s3.calls] == ["GET"]


def test_parts_and_tables_that_did_not_change_are_not_uploaded_again(s3, tmp_path: Path, warehouse: Warehouse) -> None:
    tables = (SITES, FILES, METERS, READING_ROWS, READINGS_TABLE)
    load_file(warehouse, 1, 1000)
    first = publish(place(s3, tmp_path / "here"), warehouse, NOW, tables)
    assert {f"tables/generations/{first.generation_id}/{file}" for file in first.marks} <= uploads(s3)
    load_file(warehouse, 2, 10)
    # A machine that has no copies publishes next: S3 copies what stays, without these bytes passing through here.
    second = publish(place(s3, tmp_path / "other"), warehouse, NOW, tables)
    assert [(part.first, part.last) for part in second.parts] == [(1, 1), (2, 2)]
    root = f"tables/generations/{second.generation_id}"
    new = {f"{root}/lake/files.parquet", f"{root}/{second.parts[1].file}"}
    assert uploads(s3) == {*new, f"{root}/generation.json", f"tables/{POINTER}"}
    assert second.files_amiss() == []
    assert count(place(s3, tmp_path / "there")) == (1010, 2)


def test_a_reader_stays_in_the_generation_it_took(s3, tmp_path: Path, warehouse: Warehouse) -> None:
    load_file(warehouse, 1, 100)
    publisher, reader = place(s3, tmp_path / "here"), place(s3, tmp_path / "there")
    publish(publisher, warehouse)
    taken = reader.current()
    with taken.connect() as connection:
        load_file(warehouse, 2, 5)
        publish(publisher, warehouse, NOW + timedelta(minutes=1))
        assert count(reader) == (105, 2)
        assert connection.execute("SELECT count(*) FROM lake.readings").fetchone() == (100,)
    with taken.connect() as connection:
        assert connection.execute("SELECT count(*) FROM lake.readings").fetchone() == (100,)


# What changed is two files: the fourth PUT is the one that would swap the pointer.
@pytest.mark.parametrize(("operation", "at_call"), [("CopyObject", 3), ("PutObject", 1), ("PutObject", 4)])
def test_a_publisher_killed_in_the_middle_leaves_the_old_generation_current(
    endpoint, s3, tmp_path: Path, warehouse: Warehouse, operation: str, at_call: int
) -> None:
    load_file(warehouse, 1, 1000)
    before = publish(place(s3, tmp_path / "here"), warehouse)
    load_file(warehouse, 2, 10)
    command = [sys.executable, "-c", KILLED_PUBLISHER, endpoint, address(s3), str(tmp_path / "here")]
    outcome = subprocess.run(
        [*command, str(warehouse.path), operation, str(at_call)], env=dict(os.environ), check=False, capture_output=True
    )
    assert outcome.returncode == -signal.SIGKILL, outcome.stderr.decode()
    assert place(s3, tmp_path / "there").current().generation_id == before.generation_id
    s3.put_object(Bucket=s3.bucket, Key="tables/other.txt", Body=b"not of a generation")
    after = publish(place(s3, tmp_path / "here"), warehouse, NOW + timedelta(hours=2))
    assert generations(s3) == {before.generation_id, after.generation_id}, "what the kill left is gone"
    assert {path.name for path in (tmp_path / "here" / "generations").iterdir()} == generations(s3)
    assert "tables/other.txt" in keys(s3)
    assert count(place(s3, tmp_path / "there")) == (1010, 2)


def test_s3_saying_no_in_the_middle_leaves_the_old_generation_current(s3, tmp_path: Path, warehouse: Warehouse) -> None:
    published = place(s3, tmp_path / "here")
    before = publish(published, warehouse)
    load_file(warehouse, 1, 10)

    def refuse(request, **_):
        if request.url.endswith("lake/files.parquet") and request.method == "PUT":
            raise ConnectionError("cable cut")

    s3.meta.events.register("before-send.s3.PutObject", refuse)
    with pytest.raises((CloudRefused, ConnectionError)):
        publish(published, warehouse)
    s3.meta.events.unregister("before-send.s3.PutObject", refuse)
    assert published.current().generation_id == before.generation_id
    publish(published, warehouse)
    assert count(published) == (10, 1)


def test_old_generations_are_pruned_here_there_and_in_the_bucket_but_none_replaced_within_ten_minutes(
    s3, tmp_path: Path, warehouse: Warehouse
) -> None:
    published, reader = place(s3, tmp_path / "here", keep=1), place(s3, tmp_path / "there", keep=1)
    tables = (SITES, FILES, METERS, READING_ROWS, READINGS_TABLE)
    first = publish(published, warehouse, NOW, tables)
    slow = reader.current()
    slow.connect().close()
    second = publish(published, warehouse, NOW + timedelta(minutes=1), tables)
    assert generations(s3) == {first.generation_id, second.generation_id}
    last = publish(published, warehouse, NOW + GRACE * 3, tables)
    assert generations(s3) == {second.generation_id, last.generation_id}, "the second was current until just now"
    assert {path.name for path in (tmp_path / "here" / "generations").iterdir()} == generations(s3)
    reader.current().connect().close()
    assert {path.name for path in (tmp_path / "there" / "generations").iterdir()} == {last.generation_id}
    with pytest.raises(CloudRefused, match=r"has been pruned\. Ask again"):
        slow.connect()


def test_an_object_that_is_not_what_was_published_is_refused(s3, tmp_path: Path, warehouse: Warehouse) -> None:
    generation = publish(place(s3, tmp_path / "here"), warehouse)
    key = f"tables/generations/{generation.generation_id}/lake/files.parquet"
    right = s3.get_object(Bucket=s3.bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=s3.bucket, Key=key, Body=right[:-1] + b"x")
    with pytest.raises(CloudRefused, match="is not what was published"):
        place(s3, tmp_path / "there").current().connect()
    assert not list((tmp_path / "there").rglob("*files.parquet*")), "nothing of it stays here"
    s3.put_object(Bucket=s3.bucket, Key=key, Body=right[:-1])
    assert generation.files_amiss() == ["lake/files.parquet"]


def test_a_bucket_that_is_not_there_is_said_to_be_missing(s3, tmp_path: Path) -> None:
    store = ObjectStore.at("s3://no-such-bucket/x", client=s3, copies=FolderStore(tmp_path))
    with pytest.raises(CloudRefused, match=r"NoSuchBucket.*Check ENERGY_PUBLISHED"):
        Published(store).current()


def test_readers_meet_exactly_one_generation_while_others_are_published(
    s3, tmp_path: Path, warehouse: Warehouse
) -> None:
    published, done, errors, seen = place(s3, tmp_path / "here"), threading.Event(), [], []
    tables = (SITES, FILES, METERS, READING_ROWS, READINGS_TABLE)

    def read() -> None:
        reader = place(s3, tmp_path / "there")  # both readers share one folder of copies
        while not done.is_set():
            try:
                with reader.current().connect(threads=1) as connection:
                    seen.append(
                        connection.execute(
                            "SELECT count(*), (SELECT count(*) FROM lake.readings) FROM lake.files"
                        ).fetchone()
                    )
            except Exception as error:  # noqa: BLE001 - any error at all fails the test
                errors.append(error)

    load_file(warehouse, 1, 1)
    publish(published, warehouse, NOW, tables)
    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(2, 7):
        load_file(warehouse, number, 1)
        publish(published, warehouse, NOW + timedelta(seconds=number), tables)
    done.set()
    for reader in readers:
        reader.join()
    assert errors == []
    assert len(set(seen)) > 1, "no swap happened while reading"
    assert all(files == readings for files, readings in seen)
