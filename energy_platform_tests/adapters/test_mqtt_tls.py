"""MQTT over TLS at a real mosquitto, with an authority of the test's own."""

from __future__ import annotations

import logging
import ssl

import paho.mqtt.publish
import pytest

from energy_platform.adapters.event_sinks import open_sink, parse_address
from energy_platform.adapters.mqtt import MqttSource
from energy_platform.adapters.mqtt_connection import Broker, Tls
from energy_platform.domain.errors import StreamUnavailable
from energy_platform_tests.streaming import brokers
from energy_platform_tests.streaming.certificates import Authority
from energy_platform_tests.streaming.consumer import wait_until


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def broker_command(folder, port, authority, *, asks_clients=False):
    certificate, key = authority.sign("broker")
    extra = f"cafile {authority.path}\ncertfile {certificate}\nkeyfile {key}\n"
    return brokers.mosquitto_command(folder, port, extra=f"{extra}require_certificate {str(asks_clients).lower()}\n")


def source_of(port, tls, *, host="127.0.0.1", version="3.1.1"):
    return MqttSource(Broker(host, port, "consumer", version=version, tls=tls), ["esp32/#"])


def is_connected(source):
    return source.lag()["connected"] == 1.0


def refusal(source):
    """What the source says when it gives up."""
    try:
        with pytest.raises(StreamUnavailable) as problem:
            wait_until(lambda: source.poll(1, 0.05), 10)
    finally:
        source.close()
    return str(problem.value)


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_a_broker_whose_authority_is_known_is_read(tmp_path, authority, version):
    port = brokers.free_port()
    with brokers.running(broker_command(tmp_path, port, authority), port):
        source = source_of(port, Tls(authority.path), version=version)
        wait_until(lambda: is_connected(source), 10)
        trusted = {"ca_certs": str(authority.path), "tls_version": ssl.PROTOCOL_TLS_CLIENT}
        send = {"hostname": "127.0.0.1", "port": port, "qos": 1, "tls": trusted}
        taken = []

        def has_come():
            # Sent until it comes: the subscription follows the connection.
            paho.mqtt.publish.single("esp32/pub", b"secret", **send)
            taken.extend(source.poll(10, 0.2))
            return taken

        wait_until(has_come, 10)
        source.close()
    assert {message.payload for message in taken} == {b"secret"}


def test_a_broker_of_an_unknown_authority_is_refused_with_what_to_do(tmp_path, authority):
    port, stranger = brokers.free_port(), Authority(tmp_path, "stranger")
    with brokers.running(broker_command(tmp_path, port, authority), port):
        for tls in (Tls(stranger.path), Tls()):
            said = refusal(source_of(port, tls))
            assert "certificate is not trusted" in said
            assert "--ca" in said


def test_a_certificate_for_another_name_is_refused_with_what_to_do(tmp_path, authority):
    port = brokers.free_port()
    with brokers.running(broker_command(tmp_path, port, authority), port):
        said = refusal(source_of(port, Tls(authority.path), host="localhost"))
    assert "localhost" in said
    assert "--host" in said


def test_a_broker_that_asks_for_a_client_certificate_gets_it(tmp_path, authority):
    port = brokers.free_port()
    with brokers.running(broker_command(tmp_path, port, authority, asks_clients=True), port):
        source = source_of(port, Tls(authority.path, *authority.sign("client")))
        wait_until(lambda: is_connected(source), 10)
        source.close()


def test_without_a_client_certificate_that_is_asked_for_the_log_says_what_may_be_missing(tmp_path, authority, caplog):
    port = brokers.free_port()
    with (
        caplog.at_level(logging.WARNING, "energy_platform.adapters.mqtt"),
        brokers.running(broker_command(tmp_path, port, authority, asks_clients=True), port),
    ):
        source = source_of(port, Tls(authority.path))
        wait_until(lambda: "client certificate" in caplog.text, 10)
        assert not is_connected(source)
        source.close()


def test_simulated_events_go_to_a_broker_whose_authority_is_trusted_and_to_no_other(tmp_path, authority, monkeypatch):
    port = brokers.free_port()
    address = parse_address(f"mqtts://127.0.0.1:{port}/esp32/pub")
    with brokers.running(broker_command(tmp_path, port, authority), port):
        with pytest.raises(StreamUnavailable, match="SSL_CERT_FILE"):
            open_sink(address)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
        sink = open_sink(address)
        sink.send("key", b"event")
        sink.close()


def test_certificates_that_are_none_name_the_files(tmp_path, authority):
    (tmp_path / "no.pem").write_text("nothing")
    certificate, _ = authority.sign("client")
    for tls, name in ((Tls(tmp_path / "no.pem"), "no.pem"), (Tls(authority.path, certificate), "client.pem")):
        with pytest.raises(StreamUnavailable, match="must be PEM") as problem:
            source_of(1883, tls)
        assert name in str(problem.value)
