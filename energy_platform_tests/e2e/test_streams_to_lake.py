"""From a stream to the lake: Kinesis by its consumer, Firehose by the objects it writes. Moto is the server of both."""

import gzip
import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from energy_platform.adapters.aws.client import Aws
from energy_platform.adapters.declarations import load_declarations
from energy_platform.adapters.lake_loader import load_pending
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.resources import open_landing
from energy_platform.settings import Settings
from energy_platform_tests.conftest import using_home
from energy_platform_tests.streaming import brokers
from energy_platform_tests.streaming.consumer import TEST_CREDENTIALS, Consumer, distinct_energies, event, wait_until

EVENTS = 2_000
BUCKET = "energy-streams"
NOW = datetime(2026, 3, 1)
EPOCH_S = 1_772_000_000
ROLE = "arn:aws:iam::123456789012:role/energy-firehose"


@pytest.fixture
def endpoint() -> Iterator[str]:
    with brokers.kinesis_server() as url:
        # moto keeps its state for the whole process
        urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST")).read()
        yield url


@pytest.fixture
def settings(tmp_path: Path, endpoint: str) -> Iterator[Settings]:
    """A home whose landing zone is a bucket of the server."""
    credentials = {name.upper(): value for name, value in TEST_CREDENTIALS.items()}
    places = {"ENERGY_LANDING": f"s3://{BUCKET}/landing", "ENERGY_S3_ENDPOINT_URL": endpoint}
    with using_home(tmp_path, **places, **credentials, AWS_DEFAULT_REGION="us-east-1") as settings:
        aws(settings).client("s3").create_bucket(Bucket=BUCKET)
        yield settings


def aws(settings: Settings) -> Aws:
    return Aws(endpoint_url=settings.s3_endpoint_url)


def load(settings: Settings) -> Warehouse:
    """Load what waits; every file must be readable."""
    warehouse = Warehouse(settings.warehouse_path)
    now = datetime.now(UTC).replace(tzinfo=None)
    summary = load_pending(warehouse, open_landing(settings), load_declarations(), now=now)
    assert [outcome.error for outcome in summary.failed] == []
    return warehouse


def test_distinct_kinesis_events_are_readings_though_each_is_sent_twice(settings: Settings, endpoint: str) -> None:
    client = brokers.kinesis_client(endpoint)
    client.create_stream(StreamName="readings", ShardCount=2)
    for _ in range(2):
        for start in range(0, EVENTS, 500):
            records = [{"Data": event(number), "PartitionKey": str(number)} for number in range(start, start + 500)]
            client.put_records(StreamName="readings", Records=records)
    arguments = ["kinesis", "--stream", "readings", "--endpoint-url", endpoint]
    consumer = Consumer(settings.home_path, arguments, brokers.free_port())
    try:
        wait_until(lambda: len(distinct_energies(settings.landing_path)) >= EVENTS, 60)
    finally:
        code = consumer.stop()
    assert code == 0
    warehouse = load(settings)
    found = warehouse.read(
        "SELECT count(*) AS rows, count(DISTINCT (meter_id, interval_start_utc)) AS readings, sum(energy_kwh) AS kwh FROM lake.readings"
    ).row(0)
    assert found[:2] == (EVENTS, EVENTS)
    assert found[2] == pytest.approx(sum(range(EVENTS)) / 1000)
    assert load_pending(warehouse, open_landing(settings), load_declarations(), now=NOW).files == ()


def sensor_event(number: int) -> bytes:
    """One event of the earlier sensors, its value nested."""
    said = {
        "sensor_id": "gas-sensor",
        "timestamp": EPOCH_S + 5 * number,
        "data": {"value": round(1 + number % 90 / 10, 2)},
    }
    return json.dumps(said).encode()


def telemetry(warehouse: Warehouse) -> tuple[int, datetime, datetime]:
    return warehouse.read(
        "SELECT count(*), min(measured_at_utc), max(measured_at_utc) FROM lake.telemetry WHERE meter_id LIKE '%gas-sensor'"
    ).row(0)


def moment(number: int) -> datetime:
    return datetime.fromtimestamp(EPOCH_S + 5 * number, UTC).replace(tzinfo=None)


@pytest.mark.parametrize("records", [1, 2, 500])
def test_what_firehose_delivers_arrives_first_and_last_included(settings: Settings, records: int) -> None:
    firehose = aws(settings).client("firehose")
    target = {"BucketARN": f"arn:aws:s3:::{BUCKET}", "RoleARN": ROLE, "Prefix": "landing/firehose/"}
    firehose.create_delivery_stream(
        DeliveryStreamName="storage", DeliveryStreamType="DirectPut", ExtendedS3DestinationConfiguration=target
    )
    batch = [{"Data": sensor_event(number)} for number in range(records)]
    assert firehose.put_record_batch(DeliveryStreamName="storage", Records=batch)["FailedPutCount"] == 0
    assert telemetry(load(settings)) == (records, moment(0), moment(records - 1))


@pytest.mark.parametrize("packed", [False, True])
def test_ten_thousand_concatenated_records_of_one_object_arrive_gzip_or_not(settings: Settings, packed: bool) -> None:
    content = b"".join(sensor_event(number) for number in range(10_000))
    key = "landing/firehose/2026/02/25/06/storage-1-2026-02-25-06-13-20-abc"
    s3 = aws(settings).client("s3")
    s3.put_object(Bucket=BUCKET, Key=key, Body=gzip.compress(content) if packed else content)
    assert telemetry(load(settings)) == (10_000, moment(0), moment(9_999))
