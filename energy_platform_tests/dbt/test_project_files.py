"""The dbt yml and domain/columns.py say the same, and every model and source is described and tested."""

from pathlib import Path

import pytest
import yaml

from energy_platform.adapters.warehouse import sql_type
from energy_platform.domain.columns import TABLES, Table
from energy_platform.settings import PROJECT_ROOT

MODELS = PROJECT_ROOT / "dbt_project" / "models"
MARTS = [table for table in TABLES if table.schema == "marts"]
MODEL_FILES = sorted(MODELS.rglob("*.sql"))


def described(path: Path) -> dict:
    (model,) = yaml.safe_load(path.with_suffix(".yml").read_text())["models"]
    return model


def has_test(node: dict) -> bool:
    return bool(node.get("data_tests")) or any(column.get("data_tests") for column in node.get("columns", []))


@pytest.mark.parametrize("table", MARTS, ids=lambda table: table.name)
def test_the_yml_of_a_mart_has_the_columns_of_its_contract(table: Table) -> None:
    columns = described(MODELS / "marts" / f"{table.name}.sql")["columns"]
    said = {c["name"]: (c["data_type"].upper(), "constraints" in c) for c in columns}
    contract = {c.name: (sql_type(c.dtype), c.required) for c in table.columns}
    assert said == contract


@pytest.mark.parametrize("table", MARTS, ids=lambda table: table.name)
def test_the_yml_of_a_mart_gives_its_columns_the_meaning_of_the_dictionary(table: Table) -> None:
    model = described(MODELS / "marts" / f"{table.name}.sql")
    said = {c["name"]: c["description"] for c in model["columns"]}
    contract = {c.name: c.meaning.rstrip(".") for c in table.columns}
    assert {name: text.split(" [")[0].rstrip(".") for name, text in said.items()} == contract
    assert model["description"].startswith(f"One row per {table.one_row_per}.")


def test_every_mart_of_the_dictionary_has_a_model_and_the_other_way_round() -> None:
    assert {path.stem for path in (MODELS / "marts").glob("*.sql")} == {table.name for table in MARTS}


@pytest.mark.parametrize("path", MODEL_FILES, ids=lambda path: path.stem)
def test_a_model_is_described_by_its_row_and_tested(path: Path) -> None:
    model = described(path)
    assert model["name"] == path.stem
    assert model["description"].startswith("One row per ")
    assert has_test(model)


def test_every_source_is_described_tested_and_tied_to_its_asset() -> None:
    (source,) = yaml.safe_load((MODELS / "staging" / "lake" / "_lake__sources.yml").read_text())["sources"]
    for table in source["tables"]:
        assert table["meta"]["dagster"]["asset_key"] == ["lake", table["name"]]
        assert table["description"].startswith("One row per ")
        assert has_test(table)
