"""What loading promises: every row accounted for, duplicates and corrections told apart, nothing half done."""

from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from energy_platform.adapters.lake_loader import batch, ledger_totals, load
from energy_platform_tests.lake_files import LCL_HEADER, Lake, half_hours, lcl_line, local_source, weather_source

DAY = datetime(2013, 6, 1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def _day(meter: str, day: datetime = DAY, value: float = 0.25) -> list[str]:
    return [lcl_line(meter, stamp, value) for stamp in half_hours(day, 48)]


def test_a_clean_file_is_accepted_whole(lake: Lake) -> None:
    lake.put_lcl("a.csv.gz", _day("M1") + _day("M2"))
    summary = lake.load()
    assert (summary.rows.read, summary.rows.accepted, summary.failed) == (96, 96, ())
    assert lake.read("SELECT sum(energy_kwh) FROM lake.readings").item() == pytest.approx(24)
    assert lake.read("SELECT energy_kwh FROM lake.files").item() == pytest.approx(24)
    assert lake.read("SELECT count(*) FROM lake.meters").item() == 2


def test_loading_again_changes_nothing(lake: Lake) -> None:
    lake.put_lcl("a.csv", [*_day("M1"), lcl_line("M1", DAY, "Null")])
    lake.load()
    before = lake.everything()
    assert lake.load().files == ()
    assert lake.everything() == before


def test_the_same_bytes_under_another_name_change_nothing(lake: Lake) -> None:
    path = lake.put_lcl("a.csv", _day("M1"))
    lake.load()
    before = lake.everything()
    lake.put("copy.csv", path.read_bytes())
    assert lake.load().files == ()
    assert lake.everything() == before


def test_rows_said_twice_in_a_file_are_duplicates(lake: Lake) -> None:
    lake.put_lcl("a.csv", [*_day("M1"), *_day("M1")[5:8], *_day("M2")])
    rows = lake.load().rows
    assert (rows.read, rows.accepted, rows.duplicate) == (99, 96, 3)
    assert lake.read("SELECT sum(readings) FROM lake.day_loads").item() == 96


def test_rows_said_again_by_a_later_file_are_duplicates_and_leave_no_day(lake: Lake) -> None:
    lake.put_lcl("a.csv", _day("M1"))
    lake.load()
    lake.put_lcl("b.csv", [*_day("M1")[:10], *_day("M1", DAY + timedelta(days=2))])
    rows = lake.load().rows
    assert (rows.read, rows.accepted, rows.duplicate) == (58, 48, 10)
    assert set(lake.read("SELECT local_date FROM lake.day_loads WHERE file_id = 2")["local_date"]) == {
        (DAY + timedelta(days=2)).date(),
        (DAY + timedelta(days=3)).date(),
    }


def test_a_later_file_with_another_value_is_a_correction_and_both_stay(lake: Lake) -> None:
    lake.put_lcl("a.csv", _day("M1"))
    lake.load()
    lake.put_lcl("b.csv", [lcl_line("M1", DAY + timedelta(hours=5), 9.5)])
    rows = lake.load().rows
    assert (rows.accepted, rows.superseding, rows.duplicate) == (1, 1, 0)
    versions = lake.read(
        f"""SELECT energy_kwh, available_at_utc FROM lake.readings
            WHERE interval_start_utc = TIMESTAMP '{DAY + timedelta(hours=5)}' ORDER BY available_at_utc"""
    )
    assert versions["energy_kwh"].to_list() == [0.25, 9.5]
    assert versions["available_at_utc"].is_unique().all()
    touched = lake.read("SELECT local_date, readings, has_superseding FROM lake.day_loads WHERE file_id = 2").rows()
    assert touched == [(DAY.date(), 1, True)]


def test_a_correction_taken_back_is_a_correction_again(lake: Lake) -> None:
    for index, value in enumerate([1.0, 2.0, 1.0, 1.0]):
        lake.put_lcl(f"{index}.csv", [lcl_line("M1", DAY, value), lcl_line("M1", DAY + timedelta(days=index + 1), 0)])
        lake.load()
    values = lake.read(
        f"SELECT energy_kwh FROM lake.readings WHERE interval_start_utc = TIMESTAMP '{DAY}' ORDER BY available_at_utc"
    )
    assert values["energy_kwh"].to_list() == [1.0, 2.0, 1.0]


def test_files_of_one_load_correct_each_other_in_the_order_of_arrival(lake: Lake) -> None:
    for index, value in enumerate([1.0, 2.0, 3.0]):
        lake.put_lcl(f"{index}.csv", [lcl_line("M1", DAY, value)])
    rows = lake.load().rows
    assert (rows.accepted, rows.superseding) == (3, 2)
    versions = lake.read("SELECT energy_kwh FROM lake.readings ORDER BY available_at_utc")
    assert versions["energy_kwh"].to_list() == [1.0, 2.0, 3.0]
    assert lake.read("SELECT count(DISTINCT available_at_utc) FROM lake.readings").item() == 3


def test_a_clock_that_was_set_back_does_not_make_a_correction_older(lake: Lake) -> None:
    lake.put_lcl("a.csv", [lcl_line("M1", DAY, 1)])
    lake.load()
    lake.hours = -100
    lake.put_lcl("b.csv", [lcl_line("M1", DAY, 2)])
    lake.load()
    assert lake.read("SELECT energy_kwh FROM lake.readings ORDER BY available_at_utc DESC LIMIT 1").item() == 2


def test_where_a_file_contradicts_itself_the_last_line_wins_and_the_others_are_kept_as_rejected(lake: Lake) -> None:
    lake.put_lcl(
        "a.csv", [lcl_line("M1", DAY, 1), lcl_line("M1", DAY, 2), lcl_line("M1", DAY, 3), lcl_line("M1", DAY, 3)]
    )
    rows = lake.load().rows
    assert (rows.read, rows.accepted, rows.rejected, rows.duplicate) == (4, 1, 2, 1)
    assert lake.read("SELECT energy_kwh FROM lake.readings").item() == 3
    assert lake.read("SELECT line_number, reason FROM lake.rejected ORDER BY 1").rows() == [
        (2, "CONFLICTING"),
        (3, "CONFLICTING"),
    ]


def test_local_days_follow_the_zone_of_the_site(lake: Lake) -> None:
    lake.put_lcl("a.csv", [lcl_line("M1", stamp, 1) for stamp in half_hours(datetime(2013, 3, 29), 48 * 220)])
    lake.load()
    days = dict(lake.read("SELECT local_date, readings FROM lake.day_loads").rows())
    assert days[datetime(2013, 3, 31).date()] == 46
    assert days[datetime(2013, 6, 1).date()] == 48
    assert days[datetime(2013, 10, 27).date()] == 50


def test_stamps_in_a_local_zone_become_utc_with_both_of_the_doubled_hours(lake: Lake) -> None:
    lake.declarations["local"] = local_source(timestamp={"column": "t", "zone": "Europe/London"})
    autumn = ["00:30", "01:00", "01:30", "01:00", "01:30", "02:00"]
    lines = [f"M1,2013-10-27 {time}:00,0" for time in autumn]
    lines += ["M1,2013-03-31 01:30:00,7", "M1,2013-07-01 12:00:00,1"]
    lake.put("a.csv", "meter,t,kwh\n" + "\n".join(lines) + "\n", source="local")
    rows = lake.load().rows
    assert (rows.accepted, rows.rejected, rows.duplicate) == (7, 1, 0)
    starts = lake.read("SELECT interval_start_utc FROM lake.readings ORDER BY 1")["interval_start_utc"].to_list()
    assert starts == [datetime(2013, 7, 1, 11), *half_hours(datetime(2013, 10, 26, 23, 30), 6)]
    assert lake.read("SELECT reason FROM lake.rejected").item() == "NONEXISTENT_TIME"


def test_units_ends_of_intervals_offsets_and_decimal_commas_are_as_declared(lake: Lake) -> None:
    lake.declarations["local"] = local_source(
        timestamp={"column": "t", "formats": ["iso_offset"], "marks": "end"},
        value={"column": "kwh", "unit": "Wh"},
        format={"delimiter": ";", "decimal": ","},
        meter={"file_name": r"home-(\w+)"},
    )
    lake.put("home-7.csv", "t;kwh\n2013-06-01 12:30:00+02:00;1500,5\n", source="local")
    lake.load()
    assert lake.read("SELECT meter_id, interval_start_utc, energy_kwh FROM lake.readings").rows() == [
        ("7", datetime(2013, 6, 1, 10), pytest.approx(1.5005))
    ]


def test_quality_words_and_quoted_cells_are_read(lake: Lake) -> None:
    lake.declarations["local"] = local_source(
        format={"quote": '"'}, quality={"column": "q", "estimated": ["E"]}, site={"column": "site"}
    )
    lake.put(
        "a.csv",
        'meter,t,kwh,q,site\n"M,1",2013-06-01 00:00:00,1,E,home\nM2,2013-06-01 00:00:00,x,A,"two ""big"" homes"\n'
        'M2,2013-06-01 00:30:00,2,A,"two ""big"" homes"\n',
        source="local",
    )
    rows = lake.load().rows
    assert (rows.accepted, rows.rejected) == (2, 1)
    assert lake.read("SELECT meter_id, quality FROM lake.readings ORDER BY 1").rows() == [
        ("M,1", "estimated"),
        ("M2", "measured"),
    ]
    assert lake.read("SELECT site_id FROM lake.meters ORDER BY meter_id")["site_id"].to_list() == [
        "home",
        'two "big" homes',
    ]


def test_minute_readings_have_no_mask_and_are_settled_all_the_same(lake: Lake) -> None:
    lake.declarations["local"] = local_source(interval_minutes=1)
    lines = [f"M1,{DAY + timedelta(minutes=index):%Y-%m-%d %H:%M:%S},0.01" for index in range(1440)]
    lake.put("a.csv", "meter,t,kwh\n" + "\n".join([*lines, lines[3]]), source="local")
    assert (lake.load().rows.duplicate, lake.read("SELECT count(slot_mask) FROM lake.day_loads").item()) == (1, 0)
    lake.put("b.csv", "meter,t,kwh\n" + lines[7] + "\n" + lines[8].replace("0.01", "0.02"), source="local")
    rows = lake.load().rows
    assert (rows.duplicate, rows.superseding) == (1, 1)


def test_weather_is_settled_as_readings_are(lake: Lake) -> None:
    lake.declarations["weather"] = weather_source()
    lake.put(
        "a.csv", "t,c\n2013-06-01 00:00,10\n2013-06-01 01:00,11\n2013-06-01 01:00,11\n2013-06-01 01:20,9\n", "weather"
    )
    rows = lake.load().rows
    assert (rows.read, rows.accepted, rows.rejected, rows.duplicate) == (4, 2, 1, 1)
    lake.put("b.csv", "t,c\n2013-06-01 00:00,10\n2013-06-01 01:00,12\n", "weather")
    rows = lake.load().rows
    assert (rows.accepted, rows.superseding, rows.duplicate) == (1, 1, 1)


def test_a_meter_of_another_source_is_refused(lake: Lake) -> None:
    lake.declarations["local"] = local_source()
    lake.put_lcl("a.csv", _day("M1"))
    lake.load()
    lake.put("b.csv", "meter,t,kwh\nM1,2013-06-01 00:00:00,1\n", source="local")
    assert "known from the source 'lcl'" in (lake.load().failed[0].error or "")
    assert lake.read("SELECT count(*) FROM lake.readings").item() == 48


def test_attributes_of_sites_are_kept_as_json(lake: Lake) -> None:
    lake.put_lcl("a.csv", _day("M1"))
    lake.put_lcl("b.csv", [*_day("M2"), lcl_line("M2", "2013-06-05 00:10:00", 1)])  # b is read by line
    lake.load()
    attributes = lake.read("SELECT DISTINCT attributes FROM lake.sites")["attributes"].to_list()
    assert attributes == ['{"stdorToU":"Std","Acorn":"ACORN-A","Acorn_grouped":"Affluent"}']


@pytest.mark.parametrize("step", ["settle", "write_outcomes", "register_meters", "classify"])
def test_a_crash_at_any_step_leaves_nothing_and_the_next_load_does_all(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    lake.put_lcl("a.csv", [*_day("M1"), _day("M1")[0], lcl_line("M1", DAY, "Null")])
    owner = {
        "settle": batch.days,
        "write_outcomes": batch.ledger,
        "register_meters": batch.meters,
        "classify": batch.judge,
    }
    with monkeypatch.context() as patch:

        def crash(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(owner[step], step, crash)
        with pytest.raises(KeyboardInterrupt):
            lake.load()
    assert all(rows == [] for rows in lake.everything().values())
    rows = lake.load().rows
    assert (rows.read, rows.accepted, rows.rejected, rows.duplicate) == (50, 48, 1, 1)


def test_readings_of_a_process_that_was_killed_are_forgotten(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.put_lcl("a.csv", _day("M1"))
    with monkeypatch.context() as patch:

        def killed(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(batch._Load, "settle", killed)
        patch.setattr(batch, "forget_unentered", lambda _: None)  # a killed process tidies nothing up
        with pytest.raises(KeyboardInterrupt):
            lake.load()
    stored, shown = "SELECT count(*) FROM lake.reading_rows", "SELECT count(*) FROM lake.readings"
    assert (lake.read(stored).item(), lake.read(shown).item()) == (48, 0)
    assert lake.load().rows.accepted == 48
    assert lake.read(stored).item() == 48
    assert lake.read("SELECT count(*) FROM lake.readings").item() == 48


def test_a_bug_of_ours_is_not_taken_for_a_bad_file(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.put_lcl("a.csv", _day("M1"))

    def bug(*_: object, **__: object) -> None:
        raise duckdb.BinderException("no such column")

    monkeypatch.setattr(batch.days, "gather_days", bug)
    with pytest.raises(duckdb.BinderException):
        lake.load()


def test_many_files_are_batched_by_number_and_size_in_the_order_of_arrival(lake: Lake) -> None:
    for index in range(20):
        lake.put_lcl(f"f{index}.csv", [lcl_line("M1", DAY + timedelta(days=index), 1)])
    batches = list(load._batches(lake.landing.files()))
    assert sum(len(part) for part in batches) == 20
    lake.load()
    uris = lake.read("SELECT uri FROM lake.files ORDER BY file_id")["uri"].to_list()
    assert uris == [file.uri for part in batches for file in part]


def test_the_ledger_by_source_counts_corrected_energy_once(lake: Lake) -> None:
    lake.put_lcl("a.csv", _day("M1", value=1))
    lake.load()
    lake.put_lcl("b.csv", [lcl_line("M1", DAY, 3)])
    lake.load()
    with lake.warehouse.connect() as connection:
        row = ledger_totals(connection).row(0, named=True)
    assert (row["files"], row["rows_read"], row["rows_superseding"], row["meters"]) == (2, 49, 1, 1)
    assert row["energy_kwh"] == pytest.approx(50)
    assert row["newest_reading_utc"] == DAY + timedelta(hours=23.5)


def test_progress_names_the_file_that_follows(lake: Lake) -> None:
    lake.put_lcl("a.csv", _day("M1"))
    told: list[tuple[int, int, str]] = []
    load.load_pending(
        lake.warehouse, lake.landing, lake.declarations, now=lake.now, progress=lambda *said: told.append(said)
    )
    assert told == [(0, 1, "lcl/a.csv"), (1, 1, "")]


def test_a_header_alone_is_a_file_without_rows(lake: Lake) -> None:
    lake.put("a.csv", LCL_HEADER + "\n")
    summary = lake.load()
    assert (summary.rows.read, summary.failed) == (0, ())
