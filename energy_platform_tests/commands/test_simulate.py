"""`energy simulate`: files with labels beside, and events into Kinesis, Kafka and MQTT."""

import json
import threading
import time

import boto3
import polars as pl
import pytest
from typer.testing import CliRunner

from energy_platform.adapters.event_sinks import Paced, open_sink, parse_address
from energy_platform.commands.simulate import app
from energy_platform.domain.errors import SimulationInvalid, StreamUnavailable
from energy_platform_tests.streaming import brokers

KINDS = {
    "homes": (["--homes", "2", "--days", "7"], "csv"),
    "sensors": (["--every", "60"], "ndjson"),
    "appliances": (["--days", "7"], "csv"),
    "esp32": (["--every", "60"], "ndjson"),
}


def simulate(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_gets_the_data_and_its_labels_and_the_same_seed_the_same_bytes(tmp_path, kind):
    arguments, suffix = KINDS[kind]
    for folder in ("one", "two"):
        done = simulate(kind, *arguments, "--faults", "all", "--out", tmp_path / folder)
        assert done.exit_code == 0, done.output
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted(
        {f"{kind}.{suffix}", f"{kind}.labels.csv"} | ({"homes.weather.csv"} if kind == "homes" else set())
    )
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    labels = pl.read_csv(tmp_path / "one" / f"{kind}.labels.csv")
    assert labels.columns == ["meter_id", "channel", "fault", "starts_at_utc", "ends_at_utc", "magnitude"]
    assert labels["fault"].n_unique() == 7


def test_standard_output_carries_the_data_alone():
    done = simulate("sensors", "--every", "3600", "--out", "-", "--faults", "spike")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(events) == 48
    assert set(events[0]) == {"sensor_id", "timestamp", "data"}
    assert "spike" in done.stderr


def test_files_have_the_columns_of_their_kind(tmp_path):
    simulate("appliances", "--days", "1", "--out", tmp_path / "a.csv")
    assert pl.read_csv(tmp_path / "a.csv").columns == ["timestamp", "appliance", "kwh"]
    simulate("sensors", "--every", "60", "--out", tmp_path / "s.csv")
    assert pl.read_csv(tmp_path / "s.csv").columns == ["sensor_id", "timestamp", "value"]
    simulate("homes", "--days", "1", "--homes", "1", "--out", tmp_path / "h.csv")
    assert pl.read_csv(tmp_path / "h.csv")["interval_start_utc"][0] == "2024-01-01T00:00:00Z"
    simulate("esp32", "--every", "600", "--out", tmp_path / "e.ndjson")
    first = json.loads((tmp_path / "e.ndjson").read_text().splitlines()[0])
    assert (first["topic"], list(first["payload"])) == ("esp32/pub", list("abcdefghi"))
    assert first["received_at_utc"].startswith("2024-01-01T00:00:00")


@pytest.mark.parametrize(
    "arguments",
    [[], ["--out", "-", "--to", "mqtt://h/t"], ["--out", "-", "--faults", "bang"], ["--out", "-", "--days", "-1"]],
)
def test_what_makes_no_sense_is_refused(arguments):
    assert isinstance(simulate("sensors", *arguments).exception, SimulationInvalid)


@pytest.mark.parametrize(
    "address", ["", "http://x", "kafka://host:1", "mqtt://host", "kinesis://", "kinesis://a/b", "mqtt://h:port/t"]
)
def test_an_address_that_is_none_is_refused_with_the_three_forms(address):
    with pytest.raises(StreamUnavailable, match="kinesis://stream"):
        parse_address(address)


def test_a_stream_that_is_not_there_is_an_error_and_not_silence(monkeypatch):
    port = brokers.free_port()
    monkeypatch.setattr("energy_platform.adapters.event_sinks.KAFKA_FLUSH_SECONDS", 1.0)
    for address in (f"mqtt://127.0.0.1:{port}/t", f"kafka://t@127.0.0.1:{port}"):
        done = simulate("sensors", "--every", "7200", "--to", address)
        assert isinstance(done.exception, StreamUnavailable), address


def test_the_pace_is_the_rate(monkeypatch):
    now, slept = [0.0], []
    monkeypatch.setattr(time, "sleep", lambda seconds: (slept.append(seconds), now.__setitem__(0, now[0] + seconds)))
    pace = Paced(10, clock=lambda: now[0])
    for _ in range(21):
        pace.wait()
    assert now[0] == pytest.approx(2.0)


def test_every_event_arrives_in_kinesis_under_the_key_of_its_fuel(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with brokers.kinesis_server() as endpoint:
        client = boto3.client("kinesis", endpoint_url=endpoint, region_name="eu-west-2")
        client.create_stream(StreamName="live", ShardCount=1)
        to = ["--to", "kinesis://live", "--endpoint-url", endpoint, "--region", "eu-west-2"]
        done = simulate("sensors", "--every", "100", *to)
        assert "1728 events sent and acknowledged" in done.stderr
        shard = client.list_shards(StreamName="live")["Shards"][0]["ShardId"]
        at = client.get_shard_iterator(StreamName="live", ShardId=shard, ShardIteratorType="TRIM_HORIZON")[
            "ShardIterator"
        ]
        records = client.get_records(ShardIterator=at, Limit=10_000)["Records"]
        assert len(records) == 1728
        assert {record["PartitionKey"] for record in records} == {"electricity", "gas"}
        missing = simulate("sensors", "--every", "100", *to[:1], "kinesis://none", *to[2:])
        assert isinstance(missing.exception, StreamUnavailable)


def test_records_that_kinesis_refuses_for_now_are_sent_again(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr(time, "sleep", lambda _: None)
    sink = open_sink(parse_address("kinesis://s"), region="eu-west-2")
    taken, calls = [], []

    class Busy:
        def put_records(self, *, StreamName, Records):  # noqa: N803  as AWS spells them
            calls.append(len(Records))
            refused = {0, 3} if len(calls) == 1 else set()
            taken.extend(record["Data"] for place, record in enumerate(Records) if place not in refused)
            return {"Records": [{"ErrorCode": "Slow"} if place in refused else {} for place in range(len(Records))]}

    sink._client = Busy()
    for number in range(5):
        sink.send("k", bytes([number]))
    sink.close()
    assert calls == [5, 2]
    assert sorted(taken) == [bytes([number]) for number in range(5)]


def test_every_event_is_acknowledged_by_the_mock_cluster_of_librdkafka():
    """The mock is inside the producer: what is tested is that delivery reports come back for all."""
    sink = open_sink(parse_address("kafka://readings@127.0.0.1:9"), kafka_options={"test.mock.num.brokers": 1})
    for number in range(5_000):
        sink.send("k", str(number).encode())
    sink.close()


def test_every_event_arrives_in_a_real_kafka_broker():
    from confluent_kafka import Consumer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic

    with brokers.tansu() as port:
        server = f"127.0.0.1:{port}"
        admin = AdminClient({"bootstrap.servers": server})
        admin.create_topics([NewTopic("readings", 1, 1)])["readings"].result(10)
        sink = open_sink(parse_address(f"kafka://readings@{server}"), kafka_options={"enable.idempotence": False})
        for number in range(1_000):
            sink.send("k", str(number).encode())
        sink.close()
        consumer = Consumer({"bootstrap.servers": server, "group.id": "check"})
        consumer.assign([TopicPartition("readings", 0, 0)])
        found = set()
        deadline = time.monotonic() + 20
        while len(found) < 1_000 and time.monotonic() < deadline:
            found |= {message.value() for message in consumer.consume(500, timeout=1) if not message.error()}
        consumer.close()
    assert found == {str(number).encode() for number in range(1_000)}


def test_an_esp32_publishes_over_mqtt_and_its_relays_obey():
    from paho.mqtt import client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    heard, is_off = [], threading.Event()
    with brokers.amqtt() as port:
        home = mqtt.Client(CallbackAPIVersion.VERSION2)

        def on_message(_client, _data, message):
            heard.append(json.loads(message.payload))
            if len(heard) == 3:
                home.publish("esp32/sub", json.dumps({"message": "dev1off"}), qos=1)
            if heard[-1]["d"] == "0.00":
                is_off.set()

        home.on_message = on_message
        home.connect("127.0.0.1", port)
        home.subscribe("esp32/pub", qos=1)
        home.loop_start()
        time.sleep(0.3)
        done = simulate("esp32", "--every", "864", "--rate", "50", "--to", f"mqtt://127.0.0.1:{port}/esp32/pub")
        assert done.exit_code == 0, done.output
        is_off.wait(5)
        home.loop_stop()
        home.disconnect()
    assert "100 events sent and acknowledged" in done.stderr
    assert "obeyed" in done.stderr
    assert heard[0]["d"] != "0.00"
    assert heard[-1]["d"] == "0.00"
    assert heard[-1]["a"] != "0.00"
