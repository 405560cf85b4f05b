"""Channels against real receivers, and AWS's against moto: what goes out, and what a refusal says."""

import threading
import time
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from energy_platform.adapters.averages_mirror import AveragesMirror, into_dynamodb, into_influx
from energy_platform.adapters.notify import DeliveryFailed, open_channel, outgoing
from energy_platform.domain.alerts import Severity, Signal, Subject
from energy_platform.domain.alerts.content import digest_content, message_content
from energy_platform.domain.alerts.episodes import advance
from energy_platform.domain.errors import ChannelUnusable
from energy_platform.domain.live import Average
from energy_platform_tests.streaming.alert_parts import mail_server, webhook

NOW = datetime(2024, 6, 1, 12)
URL = "http://127.0.0.1:3000"


def content(breach=True, title="Voltage spike at <m>/main"):
    subject = Subject.of_channel("<m>", "main", site_id="home-7")
    facts = {"newest samples": "310, 311"}
    signal = Signal(
        "spike",
        Severity.CRITICAL,
        subject,
        True,
        NOW,
        title,
        "It is 310.0 V.",
        310.0,
        300.0,
        "V",
        3,
        facts,
        "/assets/x",
    )
    change = advance(None, signal, now_utc=NOW)
    if not breach:
        over = Signal("spike", Severity.CRITICAL, subject, False, NOW + timedelta(hours=1), title, "It is over.")
        change = advance(change.episode, over, now_utc=NOW)
    return change.step.kind.value, message_content(
        change.episode, change.step, text="It is 310.0 V.", zone="Europe/London", dagster_url=URL
    )


def send(address, kind, what, sns_client=None):
    channel = open_channel("mine", address, sns_client=lambda: sns_client)
    channel.send(outgoing(channel, kind, what, "key-1"))


def test_a_mail_says_value_limit_evidence_link_and_how_to_acknowledge_in_local_time():
    with mail_server() as (address, mails):
        send(address, *content())
    text = mails[0].get_content()
    assert mails[0]["subject"] == "[critical] Voltage spike at <m>/main"
    for words in ("It is 310.0 V.", "Limit:     300 V", "newest samples: 310, 311", "2024-06-01 13:00 BST",
                  f"{URL}/assets/x", "energy alerts acknowledge", "(site home-7)", "Reference key-1"):  # fmt: skip
        assert words in text, words


def test_a_recovery_says_so_and_asks_for_nothing():
    with mail_server() as (address, mails):
        send(address, *content(breach=False))
    assert mails[0]["subject"] == "[critical] over: Voltage spike at <m>/main"
    assert "energy alerts" not in mails[0].get_content()


def test_a_slack_message_is_one_text_field_with_its_markup_escaped():
    with webhook() as slack:
        send(slack.address, *content())
    assert list(slack.bodies[0]) == ["text"]
    assert "Voltage spike at &lt;m&gt;/main" in slack.bodies[0]["text"]
    assert f"<{URL}/assets/x|Look at it>" in slack.bodies[0]["text"]


def test_a_json_webhook_has_the_facts_and_the_key_to_tell_a_repeat_by():
    import orjson

    with webhook() as server:
        send(server.address.replace("http", "json", 1), *content())
    facts = orjson.loads(server.bodies[0]["message"])
    assert (facts["value"], facts["limit"], facts["unit"], facts["kind"]) == (310.0, 300.0, "V", "opened")
    assert facts["delivery_key"] == server.headers[0]["Idempotency-Key"] == "key-1"


@pytest.mark.parametrize("family", ["mail", "slack", "json"])
def test_the_digest_has_a_template_for_every_family(family):
    what = digest_content([], [], undelivered=2, zone_of={}, zone="UTC", dagster_url=URL, now_utc=NOW)
    with mail_server() as (address, mails), webhook() as server:
        addresses = {"mail": address, "slack": server.address, "json": server.address.replace("http", "json", 1)}
        send(addresses[family], "digest", what)
        said = mails[0].get_content() if family == "mail" else str(server.bodies[0])
    assert "undelivered" in said


def test_a_refusal_and_a_silent_port_are_failures_and_say_why():
    with webhook(failing_share=1.0) as server, pytest.raises(DeliveryFailed, match="503"):
        send(server.address, *content())
    with pytest.raises(DeliveryFailed, match=r"[Cc]onnection"):
        send("mailto://127.0.0.1:9?from=a@example.org&to=b@example.org", *content())


def test_an_address_that_is_none_is_refused_without_repeating_its_secrets():
    with pytest.raises(ChannelUnusable) as error:
        open_channel("mine", "nonsense://user:secret@host", sns_client=lambda: None)
    assert "secret" not in str(error.value)
    assert "appriseit.com" in str(error.value)


@pytest.fixture
def aws(monkeypatch):
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        yield lambda service: boto3.client(service, region_name="eu-west-2")


def test_an_sns_topic_gets_subject_text_and_attributes_and_a_lost_one_is_a_failure(aws):
    sns, sqs = aws("sns"), aws("sqs")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    queue = sqs.create_queue(QueueName="heard")["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:eu-west-2:123456789012:heard")
    send(topic, *content(title="Spannung zu hoch — Zähler\nm"), sns_client=sns)
    import orjson

    heard = orjson.loads(sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"])
    assert heard["Subject"] == "[critical] Spannung zu hoch ? Z?hler"
    assert "It is 310.0 V." in heard["Message"]
    assert heard["MessageAttributes"]["delivery_key"]["Value"] == "key-1"
    with pytest.raises(DeliveryFailed, match="NotFound"):
        send(topic + "-gone", *content(), sns_client=sns)


def average(second, value=2.5, **fields):
    known = {"meter_id": "gas-sensor", "channel": "main", "quantity": "power_kw", "unit": "kW", "commodity": "gas"}
    at = NOW + timedelta(seconds=second)
    return Average(**(known | fields), from_utc=at - timedelta(seconds=20), at_utc=at, average=value)


def test_averages_are_mirrored_with_sensor_quantity_and_time_and_again_changes_nothing(aws):
    client = aws("dynamodb")
    keys = [("sensor_id", "S", "HASH"), ("timestamp", "N", "RANGE")]
    client.create_table(
        TableName="records",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind, _ in keys],
        KeySchema=[{"AttributeName": name, "KeyType": role} for name, _, role in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    averages = [average(second) for second in range(60)]
    volts = average(0, 240.1, meter_id="esp32-1", quantity="voltage_v", unit="V", commodity="electricity")
    with AveragesMirror("records", into_dynamodb("records", lambda: client)) as mirror:
        mirror.put([*averages, volts])
        mirror.put(averages[:10])
    items = client.scan(TableName="records")["Items"]
    assert len(items) == 61
    gas = min(
        (item for item in items if item["sensor_id"]["S"] == "gas-sensor"), key=lambda item: item["timestamp"]["N"]
    )
    assert (gas["thing_measured"]["S"], gas["avg"]["N"], gas["unit"]["S"]) == ("gas", "2.5", "kW")
    assert gas["timestamp"]["N"] == "1717243200"
    assert any(item["sensor_id"]["S"] == "esp32-1/main/voltage_v" for item in items)


def test_a_table_that_is_away_for_a_while_gets_its_averages_in_the_end():
    refusals = [
        ConnectionError("away"),
        ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "BatchWriteItem"),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:9"),
    ]

    class Away:
        def batch_write_item(self, **_):
            if refusals:
                raise refusals.pop()
            return {}

    with AveragesMirror("records", into_dynamodb("records", Away), retry_seconds=0.01) as mirror:
        mirror.put([average(0)])
        deadline = time.monotonic() + 10
        while mirror.mirrored < 1 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert mirror.mirrored == 1
    assert mirror.missed == 0


def test_influx_gets_the_time_of_measuring_and_the_token_of_its_owner():
    heard = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            heard.append((self.path, self.headers["Authorization"], body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/api/v2/write?org=o&bucket=b"
    with AveragesMirror("InfluxDB", into_influx(address, "secret")) as mirror:
        mirror.put([average(0), average(20, 3.5, meter_id="a, b=c")])
    server.shutdown()
    server.server_close()
    [(path, authorization, body)] = heard
    assert (path, authorization) == ("/api/v2/write?org=o&bucket=b", "Token secret")
    assert body.splitlines() == [
        "average,sensor_id=gas-sensor,channel=main,quantity=power_kw,commodity=gas,unit=kW value=2.5 1717243200000000000",
        "average,sensor_id=a\\,\\ b\\=c,channel=main,quantity=power_kw,commodity=gas,unit=kW value=3.5 1717243220000000000",
    ]
