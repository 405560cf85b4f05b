from __future__ import annotations

import json
import os
import shutil
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import paho.mqtt.client
import pytest

from energy_platform.adapters.mqtt_commands import MqttCommands
from energy_platform.adapters.mqtt_connection import Broker
from energy_platform.adapters.operations import Operations
from energy_platform.adapters.operations.commands import find_command, list_commands, request_command
from energy_platform.adapters.operations.control_log import log_entries
from energy_platform.adapters.operations.devices import (
    clear_latch,
    get_device,
    latches,
    register_devices,
    release_kill_switch,
    throw_kill_switch,
)
from energy_platform.domain.alerts.records import ConfirmedSpike, Severity
from energy_platform.domain.control.commands import Command, CommandState, Patience
from energy_platform.domain.control.devices import Action, Device, ShutOff, SiteDevices
from energy_platform.domain.control.failures import signal_of
from energy_platform.domain.errors import StreamUnavailable
from energy_platform.domain.events import parse_events
from energy_platform.domain.simulation.esp32 import TOPIC_COMMANDS, TOPIC_READINGS, Esp32Meter
from energy_platform.streaming.control import DeviceControl, shut_off_on_spike
from energy_platform.streaming.process import utc_now
from energy_platform_tests.streaming import brokers
from energy_platform_tests.streaming.consumer import wait_until

NOW = datetime(2024, 6, 1, 12)
TICK = {"main_va": 600.0, "dev1_va": 400.0, "dev2_va": 90.0, "dev1_true_va": 400.0, "dev2_true_va": 90.0}
HOME = SiteDevices(
    site_id="home",
    devices=(
        Device(device_id="supply", site_id="home", meter_id="esp32", topic=TOPIC_COMMANDS, shut_off=ShutOff()),
        Device(device_id="cooler", site_id="home", meter_id="esp32", channel="dev1", topic=TOPIC_COMMANDS),
    ),
)


class Relays:
    """A line with the simulator's meter at its other end; nothing else between."""

    def __init__(self) -> None:
        self.meter, self.sent, self.is_deaf, self.is_away = Esp32Meter("esp32"), [], False, False

    def poll(self, limit, seconds):
        return []

    def send(self, topic, content, *, expires_seconds):
        if self.is_away:
            raise StreamUnavailable("mqtt://test", problem="there is no connection", remedy="Wait.")
        self.sent.append((topic, content))
        if not self.is_deaf:
            assert self.meter.obey(content)


class House:
    def __init__(self, operations):
        self.operations, self.line, self.ended, self.now = operations, Relays(), [], NOW
        self.control = DeviceControl(operations, self.line, patience=Patience(10, 3), on_ended=self.ended.append)

    def pass_time(self, seconds=1.0, voltage=240.0):
        """A second passes, the meter sends, and the loop turns."""
        self.now += timedelta(seconds=seconds)
        content = json.dumps(self.line.meter.payload(TICK | {"voltage_v": voltage})).encode()
        batch = parse_events([content], received_at_utc=self.now, origins=["esp32/pub"])
        self.control.take(batch, now_utc=self.now)
        self.control.pump(now_utc=self.now)

    def ask(self, command_id="c1", device_id="cooler", action=Action.OFF):
        expires = self.now + timedelta(seconds=60)
        asked = Command(command_id, device_id, "home", action, "key:1", "a test", self.now, expires)
        return request_command(self.operations, asked, now_utc=self.now)[0]

    def state(self, command_id="c1"):
        return find_command(self.operations, command_id).state


@pytest.fixture
def operations(tmp_path):
    with Operations.open(f"sqlite:///{tmp_path}/operations.db") as store:
        register_devices(store, HOME, actor="test", now_utc=NOW)
        yield store


@pytest.fixture
def house(operations):
    return House(operations)


def test_a_command_is_sent_once_and_confirmed_by_what_the_meter_shows(house):
    house.ask()
    for _ in range(5):
        house.pass_time()
    assert house.state() is CommandState.CONFIRMED
    assert house.line.sent == [(TOPIC_COMMANDS, b'{"message": "dev1off"}')]
    assert [entry.became for entry in log_entries(house.operations, subject="c1")] == ["requested", "sent", "confirmed"]


def test_a_device_that_does_not_obey_is_told_three_times_and_then_fails_loudly(house, caplog):
    house.line.is_deaf = True
    house.ask()
    for _ in range(45):
        house.pass_time()
    assert house.state() is CommandState.FAILED
    assert len(house.line.sent) == 3
    assert [command.command_id for command in house.ended] == ["c1"]
    assert any(record.levelname == "ERROR" and "cooler off failed" in record.message for record in caplog.records)


def test_a_broker_that_is_away_is_waited_for_until_the_command_expires(house):
    house.line.is_away = True
    house.ask()
    house.pass_time(30)
    assert house.control.snapshot()["status"] == "failing"
    house.pass_time(31)
    assert house.state() is CommandState.EXPIRED
    assert "there is no connection" in find_command(house.operations, "c1").detail
    assert house.control.snapshot()["status"] == "ok"
    house.line.is_away = False
    house.pass_time()
    assert house.line.sent == []


def test_the_kill_switch_stops_what_was_asked_for_and_not_sent(house):
    house.ask()
    throw_kill_switch(house.operations, "home", reason="works", actor="test", now_utc=house.now)
    house.pass_time()
    assert (house.state(), house.line.sent) == (CommandState.REFUSED, [])


def test_a_confirmed_spike_shuts_the_supply_off_until_a_person_clears_it(house):
    for voltage in (240, 310, 240, 240, 240, 240, 310, 240, 240, 240):
        house.pass_time(voltage=voltage)
    assert house.line.sent == [], "single samples trip nothing"
    for voltage in (310, 310, 310, 310, 310):
        house.pass_time(voltage=voltage)
    assert house.line.sent == [(TOPIC_COMMANDS, b'{"message": "mainoff"}')]
    (tripped,) = list_commands(house.operations)
    assert (tripped.state, tripped.requester) == (CommandState.CONFIRMED, "shut-off")
    assert house.ask("on-1", "supply", Action.ON).state is CommandState.REFUSED
    house.pass_time(300)
    assert not house.line.meter.relays["main"]
    clear_latch(
        house.operations, get_device(house.operations, "supply"), reason="seen to", actor="me", now_utc=house.now
    )
    house.pass_time()
    assert not house.line.meter.relays["main"], "clearing alone switches nothing"
    house.ask("on-2", "supply", Action.ON)
    house.pass_time()
    house.pass_time()
    assert (house.state("on-2"), house.line.meter.relays["main"]) == (CommandState.CONFIRMED, True)


def test_a_latched_supply_that_somebody_switches_on_by_hand_is_switched_off_again(house):
    for _ in range(5):
        house.pass_time(voltage=310)
    house.line.meter.relays["main"] = True
    house.pass_time(59)
    house.pass_time(3)
    house.pass_time()
    assert [content for _, content in house.line.sent] == [b'{"message": "mainoff"}'] * 2
    assert not house.line.meter.relays["main"]


def test_a_thrown_kill_switch_holds_the_shut_off_back_and_its_release_lets_it_go(house):
    throw_kill_switch(house.operations, "*", reason="works", actor="test", now_utc=house.now)
    for _ in range(5):
        house.pass_time(voltage=310)
    assert house.line.sent == []
    assert list(latches(house.operations)) == ["esp32"], "it is latched all the same"
    release_kill_switch(house.operations, "*", reason="done", actor="test", now_utc=house.now)
    house.pass_time(61)
    house.pass_time()
    assert not house.line.meter.relays["main"]


def test_a_spike_that_another_stream_confirmed_shuts_off_once(house):
    act = shut_off_on_spike(house.operations, now=lambda: house.now)
    spike = ConfirmedSpike("voltage_spike", "esp32", "main", house.now, 310.0, 300.0, 3, 5)
    for told in (spike, spike, replace(spike, meter_id="unknown"), replace(spike, channel="dev1")):
        act(told)
    house.pass_time()
    house.pass_time()
    assert house.line.sent == [(TOPIC_COMMANDS, b'{"message": "mainoff"}')]
    assert list(latches(house.operations)) == ["esp32"]


def test_a_failed_command_opens_an_alert_and_one_that_works_ends_it(house):
    house.line.is_deaf = True
    house.ask()
    for _ in range(45):
        house.pass_time()
    house.line.is_deaf = False
    house.ask("c2")
    for _ in range(3):
        house.pass_time()
    failed, worked = (signal_of(command) for command in house.ended)
    assert (failed.is_breach, failed.severity, failed.subject.name) == (True, Severity.WARNING, "device cooler")
    assert "no telemetry shows it off" in failed.text
    assert (worked.is_breach, worked.subject) == (False, failed.subject)


class MeterAtABroker:
    """The simulator's meter as a client of a real broker: it sends on demand and obeys what it is told."""

    def __init__(self, port):
        self.meter = Esp32Meter("esp32")
        self.told: list[tuple[float, bytes]] = []
        self._client = paho.mqtt.client.Client(paho.mqtt.client.CallbackAPIVersion.VERSION2, client_id="meter")
        self._client.on_message = self._obey
        self._ready = threading.Event()
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe(TOPIC_COMMANDS, 1)
        assert self._ready.wait(10)

    def _obey(self, _, __, message):
        self.told.append((time.perf_counter(), message.payload))
        self.meter.obey(message.payload)

    def send(self, voltage):
        self._client.publish(TOPIC_READINGS, json.dumps(self.meter.payload(TICK | {"voltage_v": voltage})), qos=1)
        return time.perf_counter()

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def a_broker(folder):
    """mosquitto where it is installed, else amqtt: control keeps no session, which is all that amqtt lacks."""
    if shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin") is None:
        with brokers.amqtt() as port:
            yield port
        return
    port = brokers.free_port()
    with brokers.running(brokers.mosquitto_command(folder, port), port):
        yield port


@contextmanager
def control_at_a_broker(operations, folder):
    """A broker, the simulator's meter and the control loop, each with a connection of its own."""
    with a_broker(folder) as port:
        line, meter = MqttCommands(Broker("127.0.0.1", port, "control"), [TOPIC_READINGS]), MeterAtABroker(port)
        stopping = threading.Event()
        loop = threading.Thread(
            target=DeviceControl(operations, line).run, args=(stopping,), kwargs={"now": utc_now}, daemon=True
        )
        try:
            wait_until(lambda: line.is_listening, 10)
            loop.start()
            yield meter
        finally:
            stopping.set()
            if loop.is_alive():
                loop.join()
            line.close()
            meter.close()


def ask_for_power(operations, command_id):
    now = utc_now()
    asked = Command(command_id, "supply", "home", Action.ON, "key:1", "a test", now, now + timedelta(seconds=60))
    return request_command(operations, asked, now_utc=now)[0]


def confirmed(operations, meter, command_id):
    """Let the meter send until telemetry has confirmed a command."""
    meter.send(240)
    return find_command(operations, command_id).state is CommandState.CONFIRMED


def test_over_a_real_broker_a_spike_switches_the_relay_off_and_power_is_back_only_after_clearing(operations, tmp_path):
    with control_at_a_broker(operations, tmp_path) as meter:
        for voltage in (240, 310, 240, 240, 240):
            meter.send(voltage)
        time.sleep(0.5)
        assert meter.told == [], "a single high sample"
        for _ in range(3):
            last = meter.send(310)
        wait_until(lambda: meter.told, 10, every=0.001)
        assert meter.told[0][1] == b'{"message": "mainoff"}'
        assert meter.told[0][0] - last < 5
        (tripped,) = list_commands(operations)
        wait_until(lambda: confirmed(operations, meter, tripped.command_id), 10)
        assert not meter.meter.relays["main"]
        assert "latched" in ask_for_power(operations, "on-1").detail
        clear_latch(operations, get_device(operations, "supply"), reason="seen to", actor="me", now_utc=utc_now())
        ask_for_power(operations, "on-2")
        wait_until(lambda: confirmed(operations, meter, "on-2"), 10)
        assert meter.meter.relays["main"]
        assert [content for _, content in meter.told] == [b'{"message": "mainoff"}', b'{"message": "mainon"}']


def test_a_broker_that_is_not_there_is_said_to_be_so():
    line = MqttCommands(Broker("127.0.0.1", brokers.free_port(), "control"), ["x"])
    with pytest.raises(StreamUnavailable, match="there is no connection"):
        line.send("x", b"", expires_seconds=1)
    line.close()
