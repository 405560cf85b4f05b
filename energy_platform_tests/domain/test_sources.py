from pathlib import Path

import pytest
import yaml

from energy_platform.adapters.declarations import BUILT_IN, load_declaration, load_declarations
from energy_platform.domain.errors import DeclarationInvalid, UnknownSource
from energy_platform.domain.readings import Reason

GOOD = {
    "description": "A test source.",
    "timestamp": {"column": "t"},
    "value": {"column": "kwh"},
    "interval_minutes": 30,
    "meter": {"column": "meter"},
    "site_zone": "Europe/London",
    "country": "GB-ENG",
}


def _write(folder: Path, said: object, name: str = "mine") -> Path:
    path = folder / f"{name}.yml"
    path.write_text(said if isinstance(said, str) else yaml.safe_dump(said))
    return path


def test_every_built_in_declaration_is_valid_and_named_as_its_file() -> None:
    declarations = load_declarations()
    assert set(declarations) == {path.stem for path in BUILT_IN.glob("*.yml")}
    assert {name for name, item in declarations.items() if item.sample} == {
        "uk_home_electricity",
        "uk_home_gas",
        "uk_home_temperature",
        "uk_london_home_electricity",
        "uk_london_temperature",
    }


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"site_zone": "Europe/Lundon"}, "site_zone"),
        ({"timestamp": {"column": "t", "zone": "Mars/Base"}}, "timestamp.zone"),
        ({"value": {"column": "kwh", "unit": "kilowatts"}}, "value.unit"),
        ({"value": {"column": "kwh", "unit": "degC"}}, "no unit of energy"),
        ({"kind": "prices"}, "kind"),
        ({"meter": {}}, "meter"),
        ({"meter": {"file_name": "home"}}, "meter.file_name"),
        ({"meter": {"file_name": "(home"}}, "meter.file_name"),
        ({"intervall": 30}, "intervall"),
        ({"interval_minutes": 0}, "interval_minutes"),
        ({"country": "England"}, "country"),
        ({"timestamp": {"column": "t", "formats": ["%H:%M"]}}, "no day"),
        ({"timestamp": {"column": "t", "formats": ["%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"]}}, "read both ways"),
        ({"format": {"delimiter": ",", "decimal": ","}}, "format"),
        ({"sample": True}, "path"),
        ({"name": "other"}, "name"),
    ],
)
def test_a_wrong_field_is_named_with_the_file_and_a_remedy(
    tmp_path: Path, change: dict[str, object], named: str
) -> None:
    path = _write(tmp_path, {**GOOD, **change})
    with pytest.raises(DeclarationInvalid) as caught:
        load_declaration(path)
    assert str(path) in str(caught.value)
    assert named in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("text", ["a: [", "- a list", "", "\x00"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DeclarationInvalid):
        load_declaration(_write(tmp_path, text))


def test_own_declarations_extend_and_override_the_built_in_ones(tmp_path: Path) -> None:
    _write(tmp_path, GOOD)
    _write(tmp_path, {**GOOD, "description": "Ours."}, name="lcl")
    found = load_declarations(tmp_path)
    assert found["lcl"].description == "Ours."
    assert "mine" in found
    assert "appliances" in found


def test_an_unknown_source_names_the_known_ones() -> None:
    with pytest.raises(UnknownSource, match=r"known: appliances, .*lcl, "):
        load_declarations()["elcl"]


def test_an_own_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeclarationInvalid, match="ENERGY_SOURCES"):
        load_declarations(tmp_path / "none")


def test_every_reason_has_a_meaning() -> None:
    assert all(reason.meaning.endswith(".") for reason in Reason)
    assert Reason("OFF_GRID") is Reason.OFF_GRID
