import os
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from energy_platform.adapters.declarations import load_declarations
from energy_platform.adapters.landing import JOURNAL, Landing, declared_path, fingerprint
from energy_platform.domain.errors import DeclarationInvalid, FileUnreadable

LCL = load_declarations()["lcl"]
NOON = datetime(2026, 1, 2, 12)
NOTHING = pl.DataFrame(schema={"uri": pl.String, "content_sha256": pl.String, "status": pl.String})


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path / "landing")


def _file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_file_lands_under_its_source_and_day(landing: Landing, tmp_path: Path) -> None:
    landed = landing.land_source(LCL, path=_file(tmp_path, "a.csv", "x"), landed_at=NOON)
    assert landed.new_files == 1
    assert landed.new[0].uri == "lcl/2026/01/02/a.csv"
    assert landed.new[0].path.read_text() == "x"


def test_the_same_bytes_land_once_under_any_name(landing: Landing, tmp_path: Path) -> None:
    landing.land_source(LCL, path=_file(tmp_path, "a.csv", "x"), landed_at=NOON)
    again = landing.land_source(LCL, path=_file(tmp_path, "b.csv", "x"), landed_at=NOON)
    assert again.new_files == 0
    assert [path.name for path in again.known] == ["b.csv"]
    assert len(landing.files()) == 1


def test_other_bytes_under_a_taken_name_land_beside_it(landing: Landing, tmp_path: Path) -> None:
    for text in ("x", "y"):
        landing.land_source(LCL, path=_file(tmp_path, "a.csv", text), landed_at=NOON)
    assert {file.path.read_text() for file in landing.files()} == {"x", "y"}


def test_a_folder_lands_what_fits_and_names_what_it_leaves(landing: Landing, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for name in ("b10.csv", "b9.csv", "deep/c.csv", "readme.txt", ".hidden.csv", "half.csv.part", "_truth/t.csv"):
        _file(folder, name, name)
    landed = landing.land_source(LCL, path=folder, landed_at=NOON)
    assert [file.path.name for file in landed.new] == ["b9.csv", "b10.csv", "c.csv"]
    assert {path.name for path, _ in landed.ignored} == {"readme.txt", ".hidden.csv", "half.csv.part", "t.csv"}
    assert all(why for _, why in landed.ignored)


def test_a_path_that_is_missing_or_holds_nothing_fitting_is_an_error(landing: Landing, tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="no such file"):
        landing.land_source(LCL, path=tmp_path / "none", landed_at=NOON)
    _file(tmp_path / "set", "readme.txt", "x")
    with pytest.raises(FileUnreadable, match=r"readme\.txt"):
        landing.land_source(LCL, path=tmp_path / "set", landed_at=NOON)


def test_files_put_there_by_hand_are_found_and_half_written_ones_are_not(landing: Landing) -> None:
    _file(landing.root, "lcl/mine.csv", "x")
    _file(landing.root, "lcl/mine.csv.part", "x")
    _file(landing.root, "lcl/.mine.csv", "x")
    assert [file.uri for file in landing.files()] == ["lcl/mine.csv"]


def test_pending_are_files_that_no_ledger_row_has_loaded(landing: Landing, tmp_path: Path) -> None:
    file = landing.land_source(LCL, path=_file(tmp_path, "a.csv", "x"), landed_at=NOON).new[0]

    def ledger(status: str) -> pl.DataFrame:
        return pl.DataFrame({"uri": [file.uri], "content_sha256": [file.content_sha256], "status": [status]})

    assert landing.pending(NOTHING) == [file]
    assert landing.pending(ledger("failed")) == [file]
    assert landing.pending(ledger("loaded")) == []


def test_a_copy_put_there_by_hand_of_loaded_bytes_is_not_pending(landing: Landing, tmp_path: Path) -> None:
    landing.land_source(LCL, path=_file(tmp_path, "a.csv", "x"), landed_at=NOON)
    _file(landing.root, "lcl/copy.csv", "x")
    assert len(landing.pending(NOTHING)) == 1


def test_a_lost_or_torn_journal_costs_only_hashing(landing: Landing, tmp_path: Path) -> None:
    landing.land_source(LCL, path=_file(tmp_path, "a.csv", "x"), landed_at=NOON)
    before = fingerprint(landing.files())
    (landing.root / JOURNAL).write_text('{"uri": "lcl/20')
    assert fingerprint(landing.files()) == before
    assert landing.land_source(LCL, path=tmp_path / "a.csv", landed_at=NOON).new_files == 0


def test_a_failure_while_copying_leaves_nothing(
    landing: Landing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _file(tmp_path, "a.csv", "x")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        landing.land_source(LCL, path=path, landed_at=NOON)
    assert [p for p in landing.root.rglob("*") if p.is_file()] == []


def test_linked_files_share_their_bytes_with_the_original(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.csv", "x")
    landed = Landing(tmp_path / "landing", link=True).land_source(LCL, path=path, landed_at=NOON)
    assert landed.new[0].path.stat().st_ino == path.stat().st_ino


def test_a_landed_file_that_is_gone_or_edited_is_told(landing: Landing, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        landing.land_source(LCL, path=_file(tmp_path, f"{name}.csv", name), landed_at=NOON)
    assert landing.changed() == []
    files = landing.files()
    files[0].path.unlink()
    files[1].path.write_text("longer")
    assert landing.changed() == [files[0].uri, files[1].uri]


def test_the_samples_are_found_without_importing_their_package() -> None:
    samples = [item for item in load_declarations().values() if item.sample]
    assert all(declared_path(item).is_file() for item in samples)


def test_a_declaration_without_a_path_asks_for_one() -> None:
    with pytest.raises(DeclarationInvalid, match="--path"):
        declared_path(LCL)
