from __future__ import annotations

import time

import paho.mqtt.publish
import pytest

from energy_platform.adapters.mqtt import MqttSource
from energy_platform.adapters.mqtt_connection import Broker
from energy_platform.domain.errors import StreamUnavailable
from energy_platform_tests.streaming import brokers
from energy_platform_tests.streaming.consumer import wait_until


def send(port, *payloads, topic="esp32/pub"):
    messages = [(topic, payload, 1, False) for payload in payloads]
    paho.mqtt.publish.multiple(messages, hostname="127.0.0.1", port=port)


def connected(port, **options):
    source = MqttSource(Broker("127.0.0.1", port, "consumer", **options), ["esp32/#"])
    wait_until(lambda: source.lag()["connected"] == 1.0, 10)
    return source


def collect(source, number, seconds=10):
    taken, deadline = [], time.monotonic() + seconds
    while len(taken) < number and time.monotonic() < deadline:
        taken += source.poll(100, 0.1)
    return taken


def test_messages_come_with_topic_arrival_and_distinct_offsets_from_amqtt():
    with brokers.amqtt() as port:
        source = connected(port)
        send(port, b"one", b"two")
        taken = collect(source, 2)
        source.acknowledge(taken)
        source.close()
    assert [(message.payload, message.origin) for message in taken] == [(b"one", "esp32/pub"), (b"two", "esp32/pub")]
    assert taken[0].offset < taken[1].offset


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_what_is_not_acknowledged_comes_again_and_what_is_does_not(tmp_path, version):
    port = brokers.free_port()
    with brokers.running(brokers.mosquitto_command(tmp_path, port), port):
        source = connected(port, version=version)
        send(port, b"one", b"two", b"three")
        taken = collect(source, 3)
        source.acknowledge(taken[:1])
        source.close()
        # A message sent while the broker still takes the session for open would reset the connection, and with it
        # the acknowledgement that is not read yet: a round trip on another topic lets the broker read it first.
        send(port, b"settle", topic="other")
        send(port, b"while away")
        again = connected(port, version=version)
        repeated = collect(again, 3)
        again.acknowledge(repeated)
        again.close()
        last = connected(port, version=version)
        assert collect(last, 1, seconds=0.5) == []
        last.close()
    assert [message.payload for message in taken] == [b"one", b"two", b"three"]
    assert [message.payload for message in repeated] == [b"two", b"three", b"while away"]


def test_a_receipt_of_an_earlier_connection_is_never_sent_for_a_later_message(tmp_path):
    port = brokers.free_port()
    with brokers.running(brokers.mosquitto_command(tmp_path, port), port):
        source = connected(port)
        send(port, b"one")
        early = collect(source, 1)
        source._client.socket().shutdown(2)
        wait_until(lambda: source._connection == 1 and source.lag()["connected"] == 1.0, 20)
        repeated = collect(source, 1)
        source.acknowledge(early)
        source.close()
        again = connected(port)
        assert [message.payload for message in collect(again, 1)] == [b"one"]
        again.close()
    assert repeated[0].payload == b"one"


def test_a_wrong_password_is_an_error_that_says_so(tmp_path):
    port = brokers.free_port()
    (tmp_path / "users").write_text("")
    command = brokers.mosquitto_command(tmp_path, port, extra=f"password_file {tmp_path}/users\n")
    config = tmp_path / "mosquitto.conf"
    config.write_text(config.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    with brokers.running(command, port):
        source = MqttSource(Broker("127.0.0.1", port, "consumer", username="me", password="wrong"), ["#"])
        with pytest.raises(StreamUnavailable, match="refused the connection"):
            collect(source, 1)
        source.close()
