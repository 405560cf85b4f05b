"""The landing zone on S3, against moto's server: nothing twice, nothing missed, corrections are new files."""

import os
import zlib
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from energy_platform.adapters import object_landing
from energy_platform.adapters.aws.client import Aws
from energy_platform.adapters.declarations import load_declarations
from energy_platform.adapters.landing import Landing
from energy_platform.adapters.object_landing import INDEX, ObjectLanding, ObjectPlace
from energy_platform.domain.errors import LandingUnreachable
from energy_platform_tests.streaming import brokers
from energy_platform_tests.streaming.consumer import TEST_CREDENTIALS

NOON = datetime(2026, 1, 2, 12)
NOTHING = pl.DataFrame(schema={"uri": pl.String, "content_sha256": pl.String, "status": pl.String})
DROPS = {"raw/": "appliances", "landing/firehose/": "firehose_sensors", "landing/firehose-errors/": ""}


@pytest.fixture(scope="module")
def endpoint():
    with brokers.kinesis_server() as url:
        yield url


@pytest.fixture
def s3(endpoint, monkeypatch, request):
    for name, value in TEST_CREDENTIALS.items():
        monkeypatch.setenv(name.upper(), value)
    client = Aws(region="us-east-1", endpoint_url=endpoint).client("s3")
    bucket = f"energy-{zlib.crc32(request.node.name.encode()):x}"
    client.create_bucket(Bucket=bucket)
    client.bucket = bucket
    return client


def zone(s3, tmp_path: Path, cache_bytes: int = 1 << 30) -> ObjectLanding:
    place = ObjectPlace.parse(f"s3://{s3.bucket}/landing", DROPS)
    local = Landing(tmp_path / "landing")
    return ObjectLanding(s3, place, local=local, cache=tmp_path / "cache", cache_bytes=cache_bytes)


@pytest.fixture
def landing(s3, tmp_path: Path) -> ObjectLanding:
    return zone(s3, tmp_path)


def put(s3, key: str, text: str) -> None:
    s3.put_object(Bucket=s3.bucket, Key=key, Body=text.encode())


def ledger(files) -> pl.DataFrame:
    return pl.DataFrame(
        [(file.uri, file.content_sha256, "loaded") for file in files], schema=NOTHING.schema, orient="row"
    )


def uris(files) -> list[str]:
    return sorted(file.uri for file in files)


def test_objects_of_every_prefix_wait_with_their_bytes_here(s3, landing) -> None:
    put(s3, "raw/", "")
    put(s3, "raw/may.csv", "may")
    put(s3, "landing/lcl/2026/01/02/a.csv", "a")
    put(s3, "landing/firehose/2026/01/02/03/stream-1", "{}{}")
    put(s3, "landing/firehose-errors/2026/x", "refused by Firehose")
    put(s3, "landing/lcl/.hidden", "no")
    put(s3, "landing/lcl/b.csv.part", "no")
    put(s3, "reports/latest.html", "no")
    waiting = landing.pending(NOTHING)
    assert uris(waiting) == [
        "appliances/raw/may.csv",
        "firehose_sensors/landing/firehose/2026/01/02/03/stream-1",
        "lcl/2026/01/02/a.csv",
    ]
    assert {file.source: file.path.read_text() for file in waiting} == {
        "appliances": "may", "lcl": "a", "firehose_sensors": "{}{}",
    }  # fmt: skip
    assert landing.pending(ledger(waiting)) == []


def test_the_same_bytes_again_or_under_another_name_do_not_wait(s3, landing) -> None:
    put(s3, "raw/may.csv", "may")
    loaded = ledger(landing.pending(NOTHING))
    put(s3, "raw/may.csv", "may")
    put(s3, "raw/copy of may.csv", "may")
    assert landing.pending(loaded) == []


def test_a_changed_object_under_its_key_waits_as_another_file(s3, landing) -> None:
    put(s3, "raw/may.csv", "may")
    first = landing.pending(NOTHING)
    before = landing.state()
    put(s3, "raw/may.csv", "may, corrected")
    assert landing.state() != before
    waiting = landing.pending(ledger(first))
    assert [file.path.read_text() for file in waiting] == ["may, corrected"]
    assert waiting[0].content_sha256 != first[0].content_sha256
    assert first[0].path.read_text() == "may", "the bytes of the version before are not overwritten"


def test_a_late_object_under_an_early_key_is_found(s3, landing) -> None:
    put(s3, "landing/lcl/2026/06/01/z.csv", "z")
    loaded = ledger(landing.pending(NOTHING))
    before = landing.state()
    put(s3, "landing/lcl/2020/01/01/a.csv", "a")
    assert landing.state() != before
    assert uris(landing.pending(loaded)) == ["lcl/2020/01/01/a.csv"]


def test_a_listing_goes_on_over_pages_and_stops_at_its_bound(s3, landing, monkeypatch) -> None:
    monkeypatch.setattr(object_landing, "PAGE_KEYS", 2)
    for number in range(7):
        put(s3, f"raw/{number}.csv", "same")
    assert len(landing.files()) == 7
    monkeypatch.setattr(object_landing, "MAX_OBJECTS", 6)
    with pytest.raises(LandingUnreachable, match="more than 6 objects"):
        landing.files()


def test_an_object_is_fetched_once_for_its_hash(s3, landing, tmp_path: Path) -> None:
    put(s3, "raw/may.csv", "may")
    landing.files()
    index = tmp_path / "cache" / s3.bucket / INDEX
    lines = index.read_text()
    landing.files()
    assert index.read_text() == lines
    index.write_text('{"version": "raw/ma')  # as a crash leaves it
    assert [file.content_sha256 for file in landing.files()] == [file.content_sha256 for file in landing.files()]
    assert index.read_text().count("sha256") == 1


def test_the_cache_keeps_what_waits_and_is_bounded_for_the_rest(s3, tmp_path: Path) -> None:
    landing = zone(s3, tmp_path, cache_bytes=1_000)
    for number in range(5):
        put(s3, f"raw/{number}.csv", str(number) * 600)
    waiting = landing.pending(NOTHING)
    assert all(file.path.exists() for file in waiting)
    assert landing.pending(ledger(waiting)) == []
    assert sum(file.path.exists() for file in waiting) == 1
    again = landing.pending(NOTHING)
    assert [file.path.read_text() for file in again] == [file.path.read_text() for file in waiting]


def test_what_streams_land_on_this_machine_belongs_to_the_zone(s3, landing, tmp_path: Path) -> None:
    local = tmp_path / "landing" / "stream_readings" / "2026" / "01" / "02" / "batch.ndjson"
    local.parent.mkdir(parents=True)
    local.write_text("{}")
    os.utime(local, (0, 1_700_000_000))
    assert uris(landing.pending(NOTHING)) == ["stream_readings/2026/01/02/batch.ndjson"]
    assert landing.state() == landing.local.state()


def test_landing_a_file_uploads_it_once(s3, landing, tmp_path: Path) -> None:
    declaration = load_declarations()["lcl"]
    path = tmp_path / "a.csv"
    path.write_text("one")
    landed = landing.land_source(declaration, path=path, landed_at=NOON)
    assert uris(landed.new) == ["lcl/2026/01/02/a.csv"]
    assert landing.land_source(declaration, path=path, landed_at=NOON).known == (path,)
    path.write_text("two")
    assert landing.land_source(declaration, path=path, landed_at=NOON).new_files == 1
    assert len(landing.pending(NOTHING)) == 2


def test_an_object_that_is_gone_is_told_of_and_a_new_version_is_not(s3, landing) -> None:
    put(s3, "raw/a.csv", "a")
    put(s3, "raw/b.csv", "b")
    landing.files()
    put(s3, "raw/a.csv", "a, corrected")
    assert landing.changed() == []
    s3.delete_object(Bucket=s3.bucket, Key="raw/b.csv")
    assert landing.changed() == ["appliances/raw/b.csv"]


def test_a_bucket_that_is_not_there_is_said_with_the_remedy(s3, tmp_path: Path) -> None:
    place = ObjectPlace.parse("s3://no-such-bucket/landing", {})
    landing = ObjectLanding(s3, place, local=Landing(tmp_path), cache=tmp_path / "cache", cache_bytes=0)
    with pytest.raises(LandingUnreachable, match=r"s3://no-such-bucket/landing/.*NoSuchBucket.*ENERGY_LANDING"):
        landing.state()
    with pytest.raises(LandingUnreachable, match="names no bucket"):
        ObjectPlace.parse("s3:///landing", {})
