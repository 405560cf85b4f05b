from datetime import date, datetime, timedelta

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from energy_platform.domain.errors import FileUnreadable
from energy_platform.domain.inference import EDIT, csv_sample, json_sample, unit_of
from energy_platform.domain.plausibility import doubtful_unit, swapped_days
from energy_platform.domain.source_draft import draft
from energy_platform.domain.sources import ReadingsSource

START = datetime(2026, 1, 14)


def _table(header: str, rows: int, row: str, *, every: int = 30, layout: str = "%Y-%m-%d %H:%M:%S") -> list[str]:
    stamps = [START + timedelta(minutes=every * number) for number in range(rows)]
    return [header, *(row.format(t=f"{stamp:{layout}}", n=number) for number, stamp in enumerate(stamps))]


def _draft(lines: list[str]) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load(draft(csv_sample("readings.csv", lines)).yaml)
    return found


def test_a_plain_table_is_drafted_but_for_what_its_rows_do_not_tell() -> None:
    result = draft(csv_sample("readings.csv", _table("meter,t,kwh", 50, "M1,{t},0.{n}")))
    said = yaml.safe_load(result.yaml)
    assert said["timestamp"] == {"column": "t", "formats": ["iso"], "zone": EDIT, "marks": "start"}
    assert said["value"] == {"column": "kwh", "unit": "kWh"}
    assert (said["interval_minutes"], said["meter"]) == (30, {"column": "meter"})
    assert [line.split(":")[0] for line in result.to_edit] == ["timestamp.zone", "site_zone", "country"]


def test_a_draft_is_refused_until_its_marked_lines_are_edited_and_good_after_that() -> None:
    said = _draft(_table("meter,t,kwh", 50, "M1,{t},0.{n}")) | {"name": "readings"}
    with pytest.raises(ValueError, match=EDIT):
        ReadingsSource.model_validate(said)
    said["timestamp"]["zone"] = said["site_zone"] = "Europe/London"  # type: ignore[index]
    assert ReadingsSource.model_validate(said | {"country": "GB-ENG"}).kwh_per_unit == 1.0


def test_semicolons_decimal_commas_and_words_for_nothing_are_found() -> None:
    said = _draft(
        [*_table("Zeit;Leistung kW", 40, "{t};1,{n}", every=15, layout="%d.%m.%Y %H:%M"), "14.01.2026 20:00;n/a"]
    )
    assert said["format"] == {"delimiter": ";", "decimal": ","}
    assert said["value"] == {"column": "Leistung kW", "unit": "kW", "null_words": ["n/a"]}
    assert said["timestamp"]["formats"] == ["%d.%m.%Y %H:%M"]  # type: ignore[index]
    assert said["interval_minutes"] == 15


def test_date_and_time_in_two_columns_are_joined() -> None:
    said = _draft(_table("Date,Time,kWh", 40, "{t},{n}", layout="%d/%m/%Y,%H:%M:%S"))
    assert said["timestamp"]["time_column"] == "Time"  # type: ignore[index]
    assert said["timestamp"]["formats"] == ["%d/%m/%Y %H:%M:%S"]  # type: ignore[index]


def test_day_and_month_are_not_guessed_where_both_fit() -> None:
    lines = ["t,kwh", *(f"0{month}/0{day}/2026 00:00,1" for month in (1, 2, 3) for day in (1, 2, 3))]
    result = draft(csv_sample("readings.csv", lines))
    assert yaml.safe_load(result.yaml)["timestamp"]["formats"] == []
    assert "%d/%m/%Y %H:%M" in result.to_edit[0]
    assert "%m/%d/%Y %H:%M" in result.to_edit[0]


@given(st.datetimes(datetime(2000, 1, 13), datetime(2030, 12, 31)).filter(lambda moment: moment.day > 12))
def test_one_day_above_twelve_settles_the_order(moment: datetime) -> None:
    lines = ["t,kwh", "03/04/2026 00:00,1", f"{moment:%m/%d/%Y %H:%M},1"]
    assert _draft(lines)["timestamp"]["formats"] == ["%m/%d/%Y %H:%M"]  # type: ignore[index]


def test_a_wide_table_is_known_by_the_unit_that_its_headers_share() -> None:
    said = _draft(_table("Date,z1_AC(kW),z1_Light(kW),z1_S1(degC)", 60, "{t},1,2,{n}", every=1))
    assert said["channel"] == {"header": r"^(.+)\(kW\)$"}
    assert said["value"] == {"unit": "kW"}
    assert said["interval_minutes"] == 1


def test_json_is_drafted_with_its_nested_paths() -> None:
    records = [{"sensor_id": "gas", "timestamp": 1_767_225_600 + 60 * n, "data": {"value": 1.5}} for n in range(9)]
    said = yaml.safe_load(draft(json_sample("object", records, "concatenated_json")).yaml)
    assert said["format"] == {"type": "concatenated_json"}
    assert said["timestamp"]["formats"] == ["epoch_s"]
    assert (said["value"]["column"], said["meter"]) == ("data.value", {"column": "sensor_id"})


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "no rows"),
        (["one column", "1"], "parts its header"),
        (["2026-01-01,1.5", "2026-01-02,1.5"], "no header"),
        (["a,b", "x,1", "y,2"], "no column holds stamps"),
    ],
)
def test_what_cannot_be_drafted_says_why(lines: list[str], message: str) -> None:
    with pytest.raises(FileUnreadable, match=message):
        draft(csv_sample("a.csv", lines))


@pytest.mark.parametrize("header", ["value", "Voltage", "kVA", "Sub_metering_1", "S1(lux)"])
def test_a_header_without_a_unit_of_energy_has_none(header: str) -> None:
    assert unit_of(header) is None


@given(start=st.dates(date(2000, 1, 1), date(2030, 1, 1)), count=st.integers(60, 900))
def test_days_in_a_row_are_never_called_swapped_and_swapped_ones_are(start: date, count: int) -> None:
    days = [start + timedelta(days=number) for number in range(count)]
    assert swapped_days(days) is None
    swapped = [day if day.day > 12 else day.replace(month=day.day, day=day.month) for day in days]
    holes = (max(swapped) - min(swapped)).days + 1 - len(set(swapped))
    assert (swapped_days(swapped) is not None) == (holes >= 14)


def test_a_mean_power_that_nothing_has_puts_the_unit_in_doubt() -> None:
    assert "really kWh" in (doubtful_unit("M1", 250_000.0, "kWh") or "")
    assert doubtful_unit("M1", 0.0, "kWh") is None
