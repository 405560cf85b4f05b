from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

import energy_platform
from energy_platform.adapters.control_files import load_intent
from energy_platform.domain.errors import DeclarationInvalid
from energy_platform_tests.domain.intents.builders import intent

SHIPPED = sorted((Path(energy_platform.__file__).parent / "intents").glob("*.yml"))


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"devices": [{"channel": "fridge"}]}, "stands in devices and in never"),
        ({"devices": [{"channel": "a"}, {"channel": "a"}]}, "stands twice"),
        ({"total_channel": "heater"}, "cannot be one of its devices"),
        ({"when": {"starts": "21:00", "ends": "17:00"}}, "one over midnight is two"),
        ({"when": {"starts": "17:05", "ends": "21:00"}}, "not on the grid of 15 minutes"),
        ({"when": {"starts": "5 pm", "ends": "21:00"}}, "write HH:MM"),
        ({"reduce_percent": 0}, "reduce_percent"),
        (
            {"tariff": {"pence_per_kwh": 1, "bands": [{"starts": "1:00", "ends": "3:00", "pence_per_kwh": 1}] * 2}},
            "before the one",
        ),
        ({"colour": "red"}, "colour"),
    ],
)
def test_an_intent_that_cannot_be_meant_is_refused(said, match):
    with pytest.raises(ValidationError, match=match):
        intent(**said)


def test_any_change_of_an_intent_gives_it_another_digest():
    changes = ({"reduce_percent": 11}, {"description": "another"}, {"switchings_per_hour": 3}, {"never": []})
    digests = {intent().digest, *(intent(**change).digest for change in changes)}
    assert len(digests) == 5
    assert intent().digest == intent().digest


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_shipped_examples_can_be_read(path):
    assert load_intent(path).name == path.stem


def test_a_wrong_file_is_an_error_that_names_file_and_field(tmp_path):
    text = SHIPPED[0].read_text().replace("reduce_percent: 10", "reduce_percent: lots")
    (tmp_path / "wrong.yml").write_text(text)
    with pytest.raises(DeclarationInvalid, match=r"wrong.yml, line \d: field 'reduce_percent'.*lots"):
        load_intent(tmp_path / "wrong.yml")
