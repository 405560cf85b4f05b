from pathlib import Path

import pytest
from typer.testing import CliRunner

from energy_platform.cli import app
from energy_platform.domain.errors import SourceError, UnknownSource
from energy_platform.settings import get_settings

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
UCI = DATA / "uci_household_power" / "household_power_consumption_head.txt.gz"
BEMS = DATA / "cu_bems" / "2018Floor3.zip"
ROWS = [f"M1,2026-01-14 {hour:02}:00:00,{hour}" for hour in range(24)]


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "sources"
    folder.mkdir()
    monkeypatch.setenv("ENERGY_SOURCES", str(folder))
    monkeypatch.setenv("COLUMNS", "250")
    get_settings.cache_clear()
    return folder


def _file(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "readings.csv"
    path.write_text("\n".join(["meter,t,kwh", *rows]) + "\n")
    return path


def _edited(sources: Path, name: str, *, zone: str, country: str) -> list[str]:
    """Answer what a draft asks; returns the lines that differ."""
    path = sources / f"{name}.yml"
    before = path.read_text().splitlines()
    after = [
        line.replace("zone: EDIT", f"zone: {zone}").replace("country: EDIT", f"country: {country}") for line in before
    ]
    path.write_text("\n".join(after) + "\n")
    return [line for line, old in zip(after, before, strict=True) if line != old]


def test_a_draft_that_was_edited_reads_its_file(sources: Path, tmp_path: Path) -> None:
    path = _file(tmp_path, *ROWS)
    result = CliRunner().invoke(app, ["sources", "infer", str(path), "--name", "mine"])
    assert result.exit_code == 0, result.output
    _edited(sources, "mine", zone="UTC", country="PT")
    result = CliRunner().invoke(app, ["sources", "check", str(path), "--source", "mine"])
    assert result.exit_code == 0, result.output
    assert "276.000" in result.stdout


def test_a_draft_does_not_overwrite_a_declaration(sources: Path, tmp_path: Path) -> None:
    (sources / "mine.yml").write_text("kept")
    result = CliRunner().invoke(app, ["sources", "infer", str(_file(tmp_path, *ROWS)), "--name", "mine"])
    assert result.exit_code == 2
    assert (sources / "mine.yml").read_text() == "kept"


def test_a_check_shows_the_first_row_of_each_reason(sources: Path, tmp_path: Path) -> None:
    path = _file(tmp_path, *ROWS, "M1,2026-01-15 00:00:00,much", "M1,2026-01-15 00:00:01,1")
    CliRunner().invoke(app, ["sources", "infer", str(path), "--name", "mine"])
    _edited(sources, "mine", zone="UTC", country="PT")
    declared = sources / "mine.yml"
    declared.write_text(declared.read_text().replace('null_words: ["much"]', "null_words: []"))
    result = CliRunner().invoke(app, ["sources", "check", str(path), "--source", str(declared)])
    assert result.exit_code == 3
    for shown in ("NOT_A_NUMBER", "OFF_GRID", "'much' is no number", "M1,2026-01-15 00:00:01,1"):
        assert shown in result.stdout


def test_a_check_of_what_cannot_be_read_says_why(sources: Path, tmp_path: Path) -> None:
    path = _file(tmp_path, *ROWS)
    assert isinstance(
        CliRunner().invoke(app, ["sources", "check", str(path), "--source", "lcl"]).exception, SourceError
    )
    result = CliRunner().invoke(app, ["sources", "check", str(path), "--source", "nobody"])
    assert isinstance(result.exception, UnknownSource)


def test_the_sample_with_day_and_month_swapped_is_noticed(sources: Path) -> None:
    import importlib.util

    spec = importlib.util.find_spec("opendsm")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "eemeter/samples/uk-electricity-hdd-only-hourly-sample-2.csv.gz"
    result = CliRunner().invoke(app, ["sources", "check", str(path), "--source", "uk_london_home_electricity"])
    assert result.exit_code == 3
    assert "day and month look swapped" in result.stdout


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("path", "zone", "country", "kwh"),
    [
        (UCI, "Europe/Paris", "FR", "1,063.844"),
        pytest.param(BEMS, "Asia/Bangkok", "TH", "73,801.033", marks=pytest.mark.slow),
    ],
    ids=["uci", "cu_bems"],
)
def test_an_unseen_format_is_onboarded_with_at_most_ten_edited_lines(
    sources: Path, path: Path, zone: str, country: str, kwh: str
) -> None:
    if not path.exists():
        pytest.skip(f"{path} is not there")
    assert CliRunner().invoke(app, ["sources", "infer", str(path), "--name", "unseen"]).exit_code == 0
    assert len(_edited(sources, "unseen", zone=zone, country=country)) <= 10
    result = CliRunner().invoke(app, ["sources", "check", str(path), "--source", "unseen"])
    assert result.exit_code in {0, 3}, result.output
    assert kwh in result.stdout


@pytest.mark.shared_data
def test_hourly_load_of_a_grid_is_whole_though_its_clocks_change(sources: Path) -> None:
    path = DATA / "pjm_hourly" / "AEP_hourly.csv.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    result = CliRunner().invoke(app, ["sources", "check", str(path), "--source", "pjm_hourly"])
    assert result.exit_code == 0, result.output
    assert "121,273" in result.stdout
    assert "15,499,513.717" in result.stdout
