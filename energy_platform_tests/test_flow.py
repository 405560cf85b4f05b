"""The whole flow in one process, on the real sample homes and on small files of every bad kind."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from energy_platform.adapters.published import Published
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.cli import app
from energy_platform.flow import FlowRun, _Runner, run_flow
from energy_platform.serving.query import run_query
from energy_platform.settings import Settings
from energy_platform.status import status
from energy_platform_tests.conftest import using_home

pytestmark = pytest.mark.slow
DAYS = 40
HEADER = "LCLid,stdorToU,DateTime,KWH/hh (per half hour) ,Acorn,Acorn_grouped\r\n"


def lcl_file(path: Path, values: dict[datetime, str], meter: str = "MAC000001") -> Path:
    """A file as the London trial published it, with these readings."""
    rows = [f"{meter},Std,{stamp}.0000000, {value} ,ACORN-A,Affluent\r\n" for stamp, value in values.items()]
    path.write_text(HEADER + "".join(rows), newline="")
    return path


def half_hours(first: datetime, days: int, value: str = "0.5") -> dict[datetime, str]:
    """A reading for every half-hour."""
    return {first + timedelta(minutes=30 * slot): value for slot in range(48 * days)}


def energy(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The installed command line in a process of its own."""
    command = [str(Path(sys.executable).parent / "energy"), *arguments]
    environment = {**os.environ, "ENERGY_HOME": str(home), "ENERGY_LOOKBACK_WEEKS": "0", "COLUMNS": "200"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_shipped_homes_are_read_once_each_and_add_up(sample_run: tuple[Settings, FlowRun]) -> None:
    settings, _ = sample_run
    sources = status(settings)["sources"]
    homes = {name: item for name, item in sources.items() if item["meters"]}
    assert sum(item["rows_read"] for item in homes.values()) == 69_552
    assert sum(item["rows_duplicate"] for item in homes.values()) == 15
    assert sum(item["rows_accepted"] for item in homes.values()) == 69_537
    assert homes["uk_home_gas"]["energy_kwh"] == pytest.approx(16_878.262, abs=0.001)
    assert homes["uk_home_electricity"]["energy_kwh"] == pytest.approx(3_789.626, abs=0.001)


def test_every_stage_ran_as_dagster_steps_and_reports_its_seconds(sample_run: tuple[Settings, FlowRun]) -> None:
    settings, outcome = sample_run
    stages = {"landing", "lake", "marts", "features", "models", "forecasts", "anomalies", "published", "reports"}
    assert stages <= set(outcome.seconds)
    last = status(settings)["last_run"]
    assert last["succeeded"]
    assert last["flow_id"] == outcome.flow_id
    assert stages <= set(last["seconds_by_stage"])


def test_the_forecasts_are_scored_on_days_they_had_not_seen(sample_run: tuple[Settings, FlowRun]) -> None:
    settings, _ = sample_run
    published = Published(settings.published_path)
    scores = run_query(published, "SELECT model, lead_days, sum(meter_days) AS n FROM forecasts.scores GROUP BY ALL")
    assert set(scores["model"]) == {"combination", "lightgbm", "seasonal_naive"}
    assert set(scores["lead_days"]) == set(range(1, 8))
    seen = run_query(published, "SELECT count(*) AS n FROM forecasts.meter_days WHERE local_date < cutoff_date").item()
    assert seen == 0
    lacking = run_query(
        published,
        "SELECT count(*) FROM forecasts.meter_days WHERE NOT (0 <= p10_kwh AND p10_kwh <= p50_kwh AND p50_kwh <= p90_kwh)",
    ).item()
    assert lacking == 0


def test_each_home_is_forecast_from_its_own_newest_day(sample_run: tuple[Settings, FlowRun]) -> None:
    settings, _ = sample_run
    newest = run_query(
        Published(settings.published_path),
        "SELECT source, max(cutoff_date) AS cutoff FROM forecasts.meter_days WHERE is_issued GROUP BY source ORDER BY source",
    )
    assert dict(newest.iter_rows()) == {
        "uk_home_electricity": date(2022, 12, 6),
        "uk_home_gas": date(2022, 12, 6),
        "uk_london_home_electricity": date(2014, 1, 25),
    }


def test_a_second_run_with_nothing_new_changes_nothing(sample_run: tuple[Settings, FlowRun]) -> None:
    settings, _ = sample_run
    before = Published(settings.published_path).current().generation_id
    with using_home(settings.home_path) as again:
        outcome = run_flow(again)
    assert (outcome.landed, outcome.runs) == (0, 0)
    assert Published(settings.published_path).current().generation_id == before


def test_the_report_of_the_run_is_one_file_without_external_requests(sample_run: tuple[Settings, FlowRun]) -> None:
    settings, _ = sample_run
    html = (settings.reports_path / "latest.html").read_text()
    assert "<svg" in html
    assert 'src="http' not in html
    assert 'href="http' not in html


def test_the_command_line_answers_from_the_published_tables(sample_run: tuple[Settings, FlowRun]) -> None:
    settings, _ = sample_run
    answer = energy(settings.home_path, "query", "select count(*) as n from lake.readings", "--format", "json")
    assert json.loads(answer.stdout) == [{"n": 69_537}]
    refused = energy(settings.home_path, "query", "drop table lake.readings")
    assert refused.returncode == 2
    assert "SELECT" in refused.stderr
    as_json = json.loads(energy(settings.home_path, "status", "--json").stdout)
    assert as_json["sources"]["uk_home_gas"]["rows_read"] == 23_508


@dataclass(frozen=True)
class SmallHome:
    """One meter in three flows: interrupted before it published; taken up; brought a correction among bad files."""

    settings: Settings
    taken_up: FlowRun
    accepted: int
    before: list[dict]
    last: subprocess.CompletedProcess[str]
    after: list[dict]


@pytest.fixture(scope="module")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> SmallHome:
    folder = tmp_path_factory.mktemp("small")
    path = lcl_file(folder / "first.csv", half_hours(datetime(2013, 3, 20), days=DAYS))
    with using_home(folder / "home", ENERGY_LOOKBACK_WEEKS="0") as settings:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_Runner, "run", interrupted_before_publishing(_Runner.run))
            with pytest.raises(KeyboardInterrupt):
                run_flow(settings, source="lcl", path=path)
        taken_up = run_flow(settings, source="lcl", path=path)
        accepted, before = status(settings)["sources"]["lcl"]["rows_accepted"], _meter_days(settings)
        (folder / "drop").mkdir()
        lcl_file(folder / "drop" / "second.csv", {datetime(2013, 3, 25, 12): "2.5"})
        write_bad_files(folder / "drop")
        last = energy(settings.home_path, "run", "--source", "lcl", "--path", str(folder / "drop"))
        return SmallHome(settings, taken_up, accepted, before, last, _meter_days(settings))


def interrupted_before_publishing(run: Callable) -> Callable:
    def run_but_publish(self: _Runner, job_name: str, *dates: date) -> None:
        if job_name == "publish":
            raise KeyboardInterrupt
        run(self, job_name, *dates)

    return run_but_publish


def write_bad_files(folder: Path) -> None:
    """A good file of three days, three that cannot be read, and one with two bad rows behind a good day."""
    start = datetime(2013, 4, 2)
    lcl_file(folder / "good.csv", half_hours(start, days=3), meter="MAC000003")
    (folder / "empty.csv").write_text("")
    (folder / "renamed.csv").write_text(
        "LCLid,stdorToU,When,KWH/hh (per half hour) ,Acorn,Acorn_grouped\nMAC1,Std,2013-05-01,1,A,B\n"
    )
    whole = lcl_file(folder / "cut.csv", half_hours(start, days=30), meter="MAC000009")
    packed = gzip.compress(whole.read_bytes())
    (folder / "cut.csv.gz").write_bytes(packed[: len(packed) // 2])
    whole.unlink()
    rows = {**half_hours(start, days=1), datetime(2013, 4, 3): "abc", datetime(2013, 4, 3, 1, 7): "1"}
    lcl_file(folder / "rows.csv", rows, meter="MAC000002")


def _meter_days(settings: Settings) -> list[dict]:
    sql = "SELECT * FROM marts.meter_days WHERE meter_id = 'MAC000001' ORDER BY local_date"
    return Warehouse(settings.warehouse_path).read(sql).to_dicts()


def test_a_flow_that_failed_half_way_is_taken_up_by_the_next(small_home: SmallHome) -> None:
    assert small_home.taken_up.landed == 0
    assert small_home.taken_up.runs > 0
    assert small_home.accepted == DAYS * 48


def test_a_correction_of_one_half_hour_changes_only_its_day(small_home: SmallHome) -> None:
    pairs = zip(small_home.before, small_home.after, strict=True)
    assert [new["local_date"] for old, new in pairs if old != new] == [date(2013, 3, 25)]
    energies = {row["local_date"]: row["energy_kwh"] for row in small_home.after}
    assert energies[date(2013, 3, 25)] == pytest.approx(47 * 0.5 + 2.5)


def test_both_versions_of_a_corrected_reading_stay_readable_with_their_times(small_home: SmallHome) -> None:
    versions = run_query(
        Published(small_home.settings.published_path),
        "SELECT energy_kwh, available_at_utc FROM lake.readings WHERE interval_start_utc = '2013-03-25 12:00' ORDER BY 2",
    )
    assert versions["energy_kwh"].to_list() == [0.5, 2.5]
    assert versions["available_at_utc"].is_sorted()
    assert versions["available_at_utc"].n_unique() == 2


def test_the_local_day_of_the_spring_clock_change_has_46_half_hours(small_home: SmallHome) -> None:
    day = next(row for row in small_home.after if row["local_date"] == date(2013, 3, 31))
    assert (day["readings"], day["expected_readings"]) == (46, 46)


def test_bad_files_are_named_and_the_good_ones_are_loaded(small_home: SmallHome) -> None:
    home, result = small_home.settings.home_path, small_home.last
    assert result.returncode == 3, result.stderr
    said = " ".join((result.stdout + result.stderr).split())
    for name in ("empty.csv", "renamed.csv", "cut.csv.gz"):
        assert name in said
    assert "DateTime" in said
    found = json.loads(energy(home, "status", "--json").stdout)["sources"]["lcl"]
    assert (found["rows_accepted"] - small_home.accepted, found["rows_rejected"]) == (1 + 3 * 48 + 48, 2)
    rejected = json.loads(
        energy(home, "query", "select line_number, reason, raw_text from lake.rejected order by 1", "-f", "json").stdout
    )
    assert [row["line_number"] for row in rejected] == [50, 51]
    assert "abc" in rejected[0]["raw_text"]


def test_a_backtest_prints_the_leaderboard_by_lead_and_model_and_keeps_its_forecasts(small_home: SmallHome) -> None:
    with using_home(small_home.settings.home_path) as settings:
        result = CliRunner().invoke(app, ["backtest", "--weeks", "2", "--source", "lcl"])
        assert result.exit_code == 0, result.output
        scores = run_query(Published(settings.published_path), "SELECT * FROM forecasts.scores ORDER BY cutoff_date")
    assert "Leaderboard of 2 weekly cutoffs, 2013-04-15 to 2013-04-22" in result.output
    # A constant load: last week's day is right every time.
    assert "seasonal_naive" in result.output
    weeks = {"2013-04-15", "2013-04-22"}
    assert weeks <= set(scores["cutoff_date"].cast(str).to_list())
    naive = scores.filter(scores["model"] == "seasonal_naive")
    assert naive["mae_kwh"].to_list() == pytest.approx([0.0] * naive.height)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "--source", "nobody", "--path", "x.csv"), "nobody"),
        (("run", "--source", "lcl", "--path", "not-there.csv"), "not-there.csv"),
        (("status",), "energy run"),
        (("query", "select 1"), "energy run"),
    ],
)
def test_a_mistake_on_the_command_line_gets_one_message_and_exit_code_2(
    arguments: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    result = energy(tmp_path / "home", *arguments)
    assert result.returncode == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_a_declaration_with_a_zone_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    own = tmp_path / "sources"
    own.mkdir()
    builtin = Path(__file__).resolve().parent.parent / "energy_platform" / "sources" / "lcl.yml"
    (own / "mine.yml").write_text(
        builtin.read_text().replace("name: lcl", "name: mine").replace("Europe/London", "Europe/Londinium")
    )
    with using_home(tmp_path / "home", ENERGY_SOURCES=str(own)):
        result = energy(tmp_path / "home", "sources", "list")
    assert result.returncode == 2
    assert "mine.yml" in result.stderr
    assert "Europe/Londinium" in result.stderr
