"""Rules as files: the shipped ones hold, one's own take their place, and a wrong one is named with file and line."""

import pytest

from energy_platform.adapters.alert_rules import RuleBook, load_rules
from energy_platform.domain.alerts.rules import ThresholdRule
from energy_platform.domain.errors import AlertRuleInvalid

SPIKE = "rules:\n  - name: voltage_spike\n    kind: voltage_spike\n    title: Mine\n    above_v: 280\n"


def folder(tmp_path, **files):
    for name, text in files.items():
        (tmp_path / f"{name}.yml").write_text(text)
    return tmp_path


def test_the_shipped_rules_cover_every_kind_and_gas_has_another_limit_than_electricity():
    shipped = load_rules()
    assert {rule.kind for rule in shipped.rules.values()} == {
        "threshold", "voltage_spike", "silence", "forecast_band", "anomaly", "energy_budget", "data_quality", "model_drift",
        "job_failure", "check_failure", "freshness", "command_failure",
    }  # fmt: skip
    limits = {rule.commodity: (rule.above, rule.quantity) for rule in shipped.of(ThresholdRule)}
    assert limits == {"electricity": (95, "power_kw"), "gas": (9.5, "power_kw")}
    assert "energy_budget" not in {rule.name for rule in shipped.of(type(shipped.rules["energy_budget"]))}


def test_a_rule_of_ones_own_takes_the_place_of_the_built_in_one_and_the_others_stay(tmp_path):
    rules = load_rules(folder(tmp_path, mine=SPIKE))
    assert rules.rules["voltage_spike"].above_v == 280
    assert "meter_silent" in rules.rules
    assert [rule.name for rule in rules.stream] == [
        "voltage_spike", "electricity_average_high", "gas_average_high",
    ]  # fmt: skip


def test_clock_times_need_no_quotes(tmp_path):
    rules = load_rules(folder(tmp_path, who="routing:\n  quiet_hours: {starts: 22:30, ends: 6:15}\n"))
    quiet = rules.routing.quiet_hours
    assert (f"{quiet.starts:%H:%M}", f"{quiet.ends:%H:%M}") == ("22:30", "06:15")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SPIKE + "    samples: 9\n", "line 2: samples is 9, which is more than of_samples (5)"),
        (SPIKE + "    samples: 1\n", "line 6: field 'samples': Input should be greater than or equal to 2 (found 1)"),
        (SPIKE.replace("280", "hot"), "line 5: field 'above_v': Input should be a valid number"),
        (SPIKE.replace("voltage_spike\n    title", "spikes\n    title"), "line 2: Input tag 'spikes'"),
        (SPIKE + "    clears_at_v: 290\n", "line 2: clears_at_v is 290; it must not lie above 280"),
        (SPIKE + SPIKE.removeprefix("rules:\n"), "line 6: rule 'voltage_spike' stands twice"),
        (SPIKE + "   wrong", "line 6: is no yml"),
        ("rule:\n  - a\n", "line 1: 'rule' is no part of it"),
        ("routing:\n  quiet_hours: {starts: 22:00}\n", "line 2: field 'quiet_hours.ends': Field required"),
        ("routing:\n  time_zone: Europe/Lundon\n", "line 2: field 'time_zone': 'Europe/Lundon' is no zone"),
        (
            "rules:\n  - {name: a, kind: threshold, title: A, quantity: power_kw, above: 1, unit: W}\n",
            "line 2: unit is 'W', but power_kw is in kW",
        ),
        ("rules:\n  - {name: a, kind: threshold, title: A, quantity: value, above: 1}\n", "say the unit of value"),
        (
            "rules:\n  - {name: a, kind: threshold, title: A, quantity: value, unit: m3}\n",
            "say above or below, one of them",
        ),
        ("", "it holds neither rules nor routing"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(tmp_path, text, said):
    with pytest.raises(AlertRuleInvalid) as error:
        load_rules(folder(tmp_path, mine=text))
    assert said in str(error.value)
    assert str(tmp_path / "mine.yml") in str(error.value)


def test_a_name_in_two_files_is_refused(tmp_path):
    with pytest.raises(AlertRuleInvalid, match=r"is in one\.yml already"):
        load_rules(folder(tmp_path, one=SPIKE, two=SPIKE))


def test_files_are_looked_at_once_a_second_and_a_wrong_change_leaves_what_held(tmp_path):
    now = [0.0]
    book = RuleBook(folder(tmp_path, mine=SPIKE), clock=lambda: now[0])
    assert book.current().rules["voltage_spike"].above_v == 280
    folder(tmp_path, mine=SPIKE.replace("280", "2900"))
    assert book.current().rules["voltage_spike"].above_v == 280
    now[0] = 2.0
    assert book.current().rules["voltage_spike"].above_v == 2900
    folder(tmp_path, mine="nonsense")
    now[0] = 4.0
    assert book.current().rules["voltage_spike"].above_v == 2900
    assert "mine.yml" in book.problem
    with pytest.raises(AlertRuleInvalid):
        RuleBook(tmp_path).current()
