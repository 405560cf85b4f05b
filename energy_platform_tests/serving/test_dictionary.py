"""The data dictionary is what the contracts say, whole and up to date."""

from __future__ import annotations

from pathlib import Path

from energy_platform.domain.columns import TABLES
from energy_platform.serving.dictionary import data_dictionary_markdown, main

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "data_dictionary.md").read_text() == data_dictionary_markdown(TABLES), "run `make docs`"


def test_every_column_of_every_table_is_on_the_page_with_its_meaning() -> None:
    page = data_dictionary_markdown(TABLES)
    for table in TABLES:
        assert f"### {table.full_name}" in page
        for column in table.columns:
            assert f"`{column.name}`" in page
            assert column.meaning in page


def test_check_fails_on_a_stale_page_and_passes_on_a_written_one(tmp_path: Path, capsys) -> None:
    page = tmp_path / "dictionary.md"
    assert main(["--check", str(page)]) == 1
    assert "make docs" in capsys.readouterr().err
    assert main([str(page)]) == 0
    assert main(["--check", str(page)]) == 0
