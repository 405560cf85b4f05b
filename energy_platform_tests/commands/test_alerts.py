"""``energy alerts`` as its users type it."""

import json
from datetime import datetime

import pytest
from typer.testing import CliRunner

from energy_platform.adapters.alert_rules import RuleBook
from energy_platform.adapters.operations import Operations
from energy_platform.commands.alerts import app
from energy_platform.domain.alerts import Severity, Signal, Subject
from energy_platform.domain.errors import AlertRuleInvalid, ChannelUnusable, EpisodeNotFound
from energy_platform.streaming.alerting import Alerting
from energy_platform_tests.conftest import using_home
from energy_platform_tests.streaming.alert_parts import webhook

NOW = datetime(2024, 6, 1, 12)


@pytest.fixture
def home(tmp_path):
    with using_home(tmp_path) as settings, Operations.open(settings.operations_address) as operations:
        alerts = Alerting(operations, RuleBook(), {}, "http://x")
        signal = Signal(
            "voltage_spike", Severity.CRITICAL, Subject("m/main", "home-7", "m", "main"), True, NOW, "Spike", "310 V."
        )
        [change] = alerts.take([signal], now_utc=NOW)
        yield alerts, change.episode.episode_id


def energy(*arguments, code=0):
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def test_an_alert_is_listed_acknowledged_snoozed_and_shown_with_its_steps(home):
    _, identifier = home
    assert identifier in energy("list", "--json")
    assert "is acknowledged by maria" in energy("acknowledge", identifier, "--by", "maria")
    assert "is snoozed until" in energy("snooze", identifier, "--minutes", "30", "--by", "maria")
    shown = json.loads(energy("show", identifier))
    assert [(step["kind"], step["by"]) for step in shown["steps"]] == [
        ("opened", None), ("acknowledged", "maria"), ("snoozed", "maria"),
    ]  # fmt: skip
    with pytest.raises(EpisodeNotFound, match="energy alerts list --all"):
        energy("acknowledge", "nope")


def test_what_is_over_is_listed_only_when_asked_for(home):
    alerts, identifier = home
    over = Signal(
        "voltage_spike", Severity.CRITICAL, Subject("m/main", "home-7", "m", "main"), False, NOW, "Spike", "over"
    )
    alerts.take([over], now_utc=NOW)
    assert json.loads(energy("list", "--json")) == []
    assert [each["episode_id"] for each in json.loads(energy("list", "--all", "--json"))] == [identifier]


def test_rules_are_checked_with_their_channels(tmp_path):
    (tmp_path / "mine.yml").write_text("routing:\n  routes: [{channels: [oncall]}]\n")
    with using_home(tmp_path):
        assert "ENERGY_CHANNELS lacks: oncall" in energy("check-rules", str(tmp_path), code=2)
        assert "13 rules" in energy("check-rules")
        (tmp_path / "mine.yml").write_text("rules: 3\n")
        with pytest.raises(AlertRuleInvalid, match="line 1: rules is no list"):
            energy("check-rules", str(tmp_path))


def test_channels_are_tried_by_name_and_waiting_messages_can_be_sent_by_hand(tmp_path):
    with webhook() as slack, using_home(tmp_path, ENERGY_CHANNELS=json.dumps({"team": slack.address})):
        assert "team: taken" in energy("test", "team")
        with pytest.raises(ChannelUnusable, match="ENERGY_CHANNELS has: team"):
            energy("test", "other")
        assert "0 delivered, 0 failed" in energy("deliver")
        assert "0 open alerts" in energy("list")
        energy("list", "--undelivered")
    assert "Test of this channel" in slack.bodies[0]["text"]
