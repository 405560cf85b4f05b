import gzip
import json
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from energy_platform.adapters.landing_batches import BatchName, LandingBatches
from energy_platform.domain.events import EventBatch
from energy_platform_tests.lake_files import Lake, half_hours, local_source

DAY = datetime(2026, 3, 1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def _reading(meter: str, start: datetime, kwh: object, **more: object) -> str:
    said = {"meter_id": meter, "channel": "main", "interval_start_utc": f"{start.isoformat()}Z", "interval_minutes": 30}
    return json.dumps({**said, "energy_kwh": kwh, "quality": "measured", "commodity": "electricity", **more})


def _with(lake: Lake, name: str = "local", **said: object) -> Lake:
    lake.declarations[name] = local_source(name=name, **said)
    return lake


@pytest.mark.parametrize("name", ["a.ndjson", "a.ndjson.gz"])
def test_ndjson_of_streams_becomes_readings_with_their_own_interval_quality_and_commodity(
    lake: Lake, name: str
) -> None:
    rows = [
        _reading("M1", DAY, 0.25),
        _reading("M1", DAY + timedelta(hours=1), 0.5, interval_minutes=60, quality="estimated"),
        _reading("G1", DAY, 2, commodity="gas"),
    ]
    lake.put(name, "\n".join(rows) + "\n", source="stream_readings")
    assert lake.load().rows.accepted == 3
    found = lake.read("SELECT meter_id, interval_minutes, energy_kwh, quality FROM lake.readings ORDER BY ALL").rows()
    assert found == [("G1", 30, 2.0, "measured"), ("M1", 30, 0.25, "measured"), ("M1", 60, 0.5, "estimated")]
    assert lake.read("SELECT meter_id, commodity FROM lake.meters ORDER BY ALL").rows() == [
        ("G1", "gas"),
        ("M1", "electricity"),
    ]


def test_each_faulty_record_is_kept_with_its_line_text_and_reason(lake: Lake) -> None:
    faulty = [
        ("NOT_JSON", '{"meter_id": "M1", '),
        ("NOT_JSON", "[1, 2]"),
        ("NO_KEY", _reading("", DAY, 1)),
        ("BAD_TIMESTAMP", _reading("M1", DAY, 1, interval_start_utc="yesterday")),
        ("NULL_VALUE", _reading("M1", DAY, None)),
        ("NOT_A_NUMBER", _reading("M1", DAY, "much")),
        ("BAD_INTERVAL", _reading("M1", DAY, 1, interval_minutes=0)),
        ("BAD_COMMODITY", _reading("M1", DAY, 1, commodity="steam")),
        ("OFF_GRID", _reading("M1", DAY + timedelta(minutes=7), 1)),
        ("CONFLICTING", _reading("M1", DAY + timedelta(hours=5), 1)),
    ]
    good = [_reading("M1", DAY + timedelta(hours=5), 2)]
    lake.put("a.ndjson", "\n".join([*(text for _, text in faulty), *good]) + "\n", source="stream_readings")
    rows = lake.load().rows
    assert (rows.read, rows.accepted, rows.rejected) == (11, 1, 10)
    found = lake.read("SELECT line_number, reason, raw_text FROM lake.rejected ORDER BY line_number").rows()
    assert found == [(number, reason, text) for number, (reason, text) in enumerate(faulty, start=1)]


def test_what_a_stream_lands_is_loaded_and_what_it_refused_is_not(lake: Lake) -> None:
    readings = pl.DataFrame([json.loads(_reading("M1", DAY + timedelta(minutes=30 * n), 0.5)) for n in range(4)])
    landing = LandingBatches(lake.landing.root, compress=True)
    name = BatchName("meters", "0", "1", "4")
    landing.land(
        EventBatch(readings=readings, accepted=4), name, received_at_utc=DAY, raw=lambda _: b"", where=lambda _: {}
    )
    refused = lake.put("rejected/2026/03/01/x.ndjson", '{"reason": "not_json"}\n', source="stream_readings")
    assert refused.exists()
    outcome = lake.load()
    assert [(file.rows.accepted, file.error) for file in outcome.files] == [(4, None)]


def test_redelivered_messages_are_duplicates(lake: Lake) -> None:
    lake.put(
        "a.ndjson",
        "\n".join(_reading("M1", DAY + timedelta(minutes=30 * n), n) for n in range(6)),
        source="stream_readings",
    )
    lake.load()
    lake.put(
        "b.ndjson",
        "\n".join(_reading("M1", DAY + timedelta(minutes=30 * n), n) for n in range(4, 9)),
        source="stream_readings",
    )
    rows = lake.load().rows
    assert (rows.accepted, rows.duplicate, rows.superseding) == (3, 2, 0)


def test_telemetry_goes_to_its_own_table_and_makes_no_energy(lake: Lake) -> None:
    said = {"meter_id": "E1", "channel": "main", "voltage_v": 231.4, "current_a": 0.5, "apparent_power_va": 115.7}
    rows = [json.dumps({**said, "measured_at_utc": f"2026-03-01T00:00:0{second}.250000Z"}) for second in range(3)]
    broken = json.dumps({**said, "measured_at_utc": "2026-03-01T00:00:09Z", "voltage_v": "high"})
    lake.put("a.ndjson", "\n".join([*rows, rows[0], broken]), source="stream_telemetry")
    counts = lake.load().rows
    assert (counts.read, counts.accepted, counts.duplicate, counts.rejected) == (5, 3, 1, 1)
    held = lake.read("SELECT meter_id, voltage_v, current_a, apparent_power_va, active_power_w FROM lake.telemetry")
    assert held.rows() == [("E1", 231.4, 0.5, 115.7, None)] * 3
    assert lake.read("SELECT count(*) FROM lake.readings").item() == 0


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("count", [1, 2, 2000])
def test_every_record_of_a_firehose_object_arrives(lake: Lake, count: int, packed: bool) -> None:
    start = int(DAY.timestamp()) - 0
    records = [
        {"sensor_id": "gas-sensor", "timestamp": start + 10 * n, "data": {"value": 3.6} if n % 2 else 3.6}
        for n in range(count)
    ]
    content = "".join(json.dumps(record) for record in records).encode()
    lake.put("delivery-1-2026-03-01", gzip.compress(content) if packed else content, source="firehose_sensors")
    rows = lake.load().rows
    assert (rows.read, rows.accepted) == (count, count)
    assert lake.read("SELECT count(*) FROM lake.telemetry WHERE active_power_w = 3600").item() == count


def test_a_firehose_object_that_is_cut_off_keeps_its_whole_records_and_its_tail(lake: Lake) -> None:
    whole = '{"sensor_id":"a","timestamp":1772323200,"data":{"value":1}}'
    lake.put("object", whole * 2 + '{"sensor_id":"a","time', source="firehose_sensors")
    rows = lake.load().rows
    assert (rows.read, rows.accepted, rows.duplicate, rows.rejected) == (3, 1, 1, 1)
    assert lake.read("SELECT line_number, raw_text, reason FROM lake.rejected").rows() == [
        (3, '{"sensor_id":"a","time', "NOT_JSON")
    ]


def test_parquet_is_judged_by_the_same_rules(lake: Lake) -> None:
    _with(lake, format={"type": "parquet"}, files=["*.parquet"])
    frame = pl.DataFrame(
        {"meter": ["M1", "M1", None], "t": [DAY, DAY + timedelta(minutes=30), DAY], "kwh": [0.5, None, 1.0], "more": 1}
    )
    path = lake.put("a.parquet", b"", source="local")
    frame.write_parquet(path)
    rows = lake.load().rows
    assert (rows.read, rows.accepted, rows.rejected) == (3, 1, 2)
    assert lake.read("SELECT line_number, reason FROM lake.rejected ORDER BY ALL").rows() == [
        (2, "NULL_VALUE"),
        (3, "NO_KEY"),
    ]


def test_parquet_instants_with_a_zone_are_their_own_moment(lake: Lake) -> None:
    _with(lake, format={"type": "parquet"}, files=["*.parquet"], timestamp={"column": "t", "formats": ["iso_offset"]})
    stamps = pl.Series([datetime(2026, 7, 1, 12)]).dt.replace_time_zone("Europe/London")
    path = lake.put("a.parquet", b"", source="local")
    pl.DataFrame({"meter": ["M1"], "t": stamps, "kwh": [1.0]}).write_parquet(path)
    lake.load()
    assert lake.read("SELECT interval_start_utc FROM lake.readings").item() == datetime(2026, 7, 1, 11)


def test_a_file_that_is_no_parquet_fails_alone(lake: Lake) -> None:
    _with(lake, format={"type": "parquet"})
    lake.put("a.parquet", "meter,t,kwh\n", source="local")
    (outcome,) = lake.load().files
    assert outcome.error is not None
    assert "no whole Parquet file" in outcome.error


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(
        st.lists(st.one_of(st.none(), st.integers(0, 10_000)), min_size=3, max_size=3), min_size=1, max_size=12
    )
)
def test_a_wide_table_holds_what_the_long_one_does(
    tmp_path_factory: pytest.TempPathFactory, cells: list[list[int | None]]
) -> None:
    lake = Lake(tmp_path_factory.mktemp("wide"))
    _with(lake, "wide", meter={"header": r"^(W\d)\[Wh\]$"}, value={"unit": "Wh"})
    _with(lake, "long", value={"column": "kwh", "unit": "Wh"})
    stamps = half_hours(DAY, len(cells))
    wide = ["t,W0[Wh],W1[Wh],W2[Wh],note"]
    long = ["meter,t,kwh"]
    for stamp, row in zip(stamps, cells, strict=True):
        texts = ["" if cell is None else str(cell) for cell in row]
        wide.append(",".join([f"{stamp}", *texts, "x"]))
        long += [f"L{index},{stamp},{text}" for index, text in enumerate(texts)]
    lake.put("w.csv", "\n".join(wide) + "\n", source="wide")
    lake.put("l.csv", "\n".join(long) + "\n", source="long")
    one, other = (file.rows for file in lake.load().files)
    assert one == other
    assert one.read == 3 * len(cells)
    found = {
        letter: lake.read(
            "SELECT substr(meter_id, 2), interval_start_utc, energy_kwh FROM lake.readings "
            f"WHERE meter_id LIKE '{letter}%' ORDER BY ALL"
        ).rows()
        for letter in "WL"
    }
    assert found["W"] == found["L"]


def test_a_wide_table_refuses_two_columns_of_one_name(lake: Lake) -> None:
    _with(lake, meter={"constant": "M"}, channel={"header": r"(kW)"}, value={"unit": "kW"})
    lake.put("w.csv", f"t,a(kW),b(kW)\n{DAY},1,2\n", source="local")
    assert "two would be added into one" in (lake.load().files[0].error or "")


def test_date_and_time_in_two_columns_and_a_decimal_comma(lake: Lake) -> None:
    _with(
        lake,
        format={"delimiter": ";", "decimal": ","},
        timestamp={"column": "day", "time_column": "clock", "formats": ["%d.%m.%Y %H:%M"]},
        value={"column": "kw", "unit": "kW"},
    )
    lake.put("a.csv", "meter;day;clock;kw\nM1;01.03.2026;00:30;1,5\nM1;01.03.2026;01:00;1.5\n", source="local")
    lake.load()
    assert lake.read("SELECT interval_start_utc, energy_kwh FROM lake.readings").rows() == [
        (DAY + timedelta(minutes=30), 0.75)
    ]
    assert lake.read("SELECT reason FROM lake.rejected").item() == "NOT_A_NUMBER"


def test_end_stamps_of_rows_with_their_own_interval_are_moved_by_it(lake: Lake) -> None:
    _with(lake, timestamp={"column": "t", "marks": "end"}, interval_minutes_column="n")
    lake.put(
        "a.csv",
        "meter,t,kwh,n\nM1,2026-03-01 01:00,1,60\nM1,2026-03-01 02:00,1,15\nM1,2026-03-01 04:00,1,\n",
        source="local",
    )
    lake.load()
    found = lake.read("SELECT interval_start_utc, interval_minutes FROM lake.readings ORDER BY ALL").rows()
    assert found == [
        (DAY, 60),
        (DAY + timedelta(minutes=105), 15),
        (DAY + timedelta(minutes=210), 30),
    ]
