"""Messages become rows or refusals with a reason, and never anything else."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_platform.domain.errors import FileUnreadable
from energy_platform.domain.events import EventReason, csv_objects, parse_events, validate_objects

NOW = datetime(2024, 6, 1, 12)
READING = {
    "meter_id": "m1",
    "interval_start": "2024-01-01T00:30:00Z",
    "interval_minutes": 30,
    "energy_kwh": 0.25,
}
ESP32 = dict(
    zip("abcdefghi", ["231.40", "1.20", "277.68", "230.00", "0.50", "115.00", "0.00", "0.00", "0.00"], strict=True)
)


def parse(*payloads, **options):
    encoded = [payload if isinstance(payload, bytes) else orjson.dumps(payload) for payload in payloads]
    return parse_events(encoded, received_at_utc=NOW, **options)


def reason_of(payload, **options) -> str:
    batch = parse(payload, **options)
    assert batch.accepted == 0
    assert not list(batch.frames())
    return batch.rejections[0].reason.value


def test_a_reading_becomes_a_canonical_row_with_its_defaults():
    assert parse(READING).readings.to_dicts() == [
        {
            "meter_id": "m1",
            "channel": "main",
            "interval_start_utc": "2024-01-01T00:30:00Z",
            "interval_minutes": 30,
            "energy_kwh": 0.25,
            "quality": "measured",
            "commodity": "electricity",
        }
    ]


def test_null_counts_as_not_sent_for_optional_fields():
    row = parse(READING | {"channel": None, "quality": None, "commodity": "gas"}).readings.row(0, named=True)
    assert (row["channel"], row["quality"], row["commodity"]) == ("main", "measured", "gas")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", EventReason.NOT_JSON),
        (b"{", EventReason.NOT_JSON),
        (b"\xff\xfe", EventReason.NOT_JSON),
        (b'{"meter_id":"m","energy_kwh":NaN}', EventReason.NOT_JSON),
        ([READING], EventReason.NOT_AN_OBJECT),
        (17, EventReason.NOT_AN_OBJECT),
        ({}, EventReason.UNKNOWN_SHAPE),
        ({"foo": 1}, EventReason.UNKNOWN_SHAPE),
        (b"x" * 70_000, EventReason.TOO_LARGE),
        ({**READING, "meter_id": " "}, EventReason.BLANK_ID),
        ({**READING, "meter_id": 7}, EventReason.WRONG_TYPE),
        ({"interval_start": "2024-01-01T00:00Z"}, EventReason.MISSING_FIELD),
        ({**READING, "energy_kwh": "0.25"}, EventReason.WRONG_TYPE),
        ({**READING, "energy_kwh": True}, EventReason.WRONG_TYPE),
        ({**READING, "energy_kwh": None}, EventReason.MISSING_FIELD),
        ({**READING, "interval_start": "yesterday"}, EventReason.BAD_TIME),
        ({**READING, "interval_start": "2024-02-30T00:00Z"}, EventReason.BAD_TIME),
        ({**READING, "interval_start": "2024-01-01T00:30:00"}, EventReason.TIME_WITHOUT_ZONE),
        ({**READING, "interval_start": 1_704_067_200}, EventReason.WRONG_TYPE),
        ({**READING, "interval_start": "1970-01-01T00:00Z"}, EventReason.TIME_OUT_OF_RANGE),
        ({**READING, "interval_start": "2024-06-03T00:00Z"}, EventReason.TIME_OUT_OF_RANGE),
        ({**READING, "interval_start": "0001-01-01T00:00+14:00"}, EventReason.TIME_OUT_OF_RANGE),
        ({**READING, "interval_start": "2024-01-01T00:07Z"}, EventReason.OFF_GRID),
        ({**READING, "interval_start": "2024-01-01T00:30:00.5Z"}, EventReason.OFF_GRID),
        ({**READING, "interval_minutes": 0}, EventReason.BAD_INTERVAL),
        ({**READING, "interval_minutes": 7}, EventReason.BAD_INTERVAL),
        ({**READING, "interval_minutes": 10**30}, EventReason.WRONG_TYPE),
        ({**READING, "interval_minutes": 30.5}, EventReason.WRONG_TYPE),
        ({**READING, "quality": "guessed"}, EventReason.BAD_WORD),
        ({**READING, "commodity": "steam"}, EventReason.BAD_WORD),
        ({"sensor_id": "gas-sensor", "timestamp": 1_704_067_200, "data": {}}, EventReason.MISSING_FIELD),
        ({"sensor_id": "gas-sensor", "timestamp": 1_704_067_200, "data": {"value": "5"}}, EventReason.WRONG_TYPE),
        ({"sensor_id": "gas-sensor", "timestamp": 1_704_067_200_000, "data": 5}, EventReason.BAD_TIME),
        ({"sensor_id": "gas-sensor", "data": 5}, EventReason.MISSING_FIELD),
        ({key: value for key, value in ESP32.items() if key != "i"}, EventReason.MISSING_FIELD),
        ({**ESP32, "a": "nan"}, EventReason.WRONG_TYPE),
    ],
)
def test_what_is_wrong_is_refused_with_its_reason(payload, reason):
    # 10**30 needs the JSON text itself: orjson writes 64 bits only.
    if isinstance(payload, dict) and payload.get("interval_minutes") == 10**30:
        payload = orjson.dumps({**payload, "interval_minutes": 0}).replace(
            b'"interval_minutes":0', b'"interval_minutes":1' + b"0" * 30
        )
    assert reason_of(payload, origins=["esp32/pub"]) == reason


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.just(orjson.dumps(READING)),
            st.recursive(
                st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
                lambda inner: st.dictionaries(
                    st.sampled_from(
                        [
                            "meter_id",
                            "sensor_id",
                            "interval_start",
                            "interval_minutes",
                            "energy_kwh",
                            "data",
                            "value",
                            "timestamp",
                            *"abi",
                        ]
                    ),
                    inner,
                ),
                max_leaves=8,
            ).map(orjson.dumps),
        ),
        max_size=20,
    )
)
def test_whatever_comes_every_message_is_accepted_or_refused_once(payloads):
    batch = parse_events(payloads, received_at_utc=NOW)
    refused = [rejection.index for rejection in batch.rejections]
    assert batch.accepted + len(refused) == len(payloads)
    assert refused == sorted(set(refused))
    good = orjson.dumps(READING)
    assert {index for index, payload in enumerate(payloads) if payload == good}.isdisjoint(refused)


@given(
    st.datetimes(datetime(1991, 1, 1), datetime(2024, 5, 31)),
    st.integers(-56, 56),
    st.sampled_from([1, 5, 15, 30, 60, 1440]),
    st.floats(-1e6, 1e6),
)
def test_any_zone_gives_the_same_instant_as_the_standard_library(moment, quarters, minutes, energy):
    step = math.gcd(minutes, 15)
    start = moment.replace(minute=moment.minute // step * step, second=0, microsecond=0, tzinfo=UTC)
    local = start.astimezone(timezone(timedelta(minutes=15 * quarters)))
    row = parse(
        {**READING, "interval_start": local.isoformat(), "interval_minutes": minutes, "energy_kwh": energy}
    ).readings.row(0, named=True)
    assert datetime.fromisoformat(row["interval_start_utc"]) == start
    assert row["energy_kwh"] == energy


def test_planted_faults_are_all_found_and_nothing_else_is():
    payloads = [orjson.dumps({**READING, "meter_id": f"m{number}"}) for number in range(1_000)]
    faults = {
        number: [b"{", orjson.dumps({**READING, "energy_kwh": "x"}), b"[]"][number % 3] for number in range(0, 1_000, 7)
    }
    batch = parse_events([faults.get(number, payload) for number, payload in enumerate(payloads)], received_at_utc=NOW)
    assert [rejection.index for rejection in batch.rejections] == sorted(faults)
    assert batch.readings["meter_id"].to_list() == [f"m{number}" for number in range(1_000) if number not in faults]


def test_a_sensor_event_keeps_its_value_without_a_unit_as_an_object_or_a_number():
    batch = parse(
        {"sensor_id": "gas-sensor", "timestamp": 1_704_067_200, "data": {"value": 5.25}},
        {"sensor_id": "electricity-sensor", "timestamp": 1_704_067_205.5, "data": 42},
    )
    assert batch.sensors.rows() == [
        ("gas-sensor", "main", "2024-01-01T00:00:00.000000Z", 5.25, "gas"),
        ("electricity-sensor", "main", "2024-01-01T00:00:05.500000Z", 42.0, "electricity"),
    ]


@pytest.mark.parametrize(
    ("topic", "extra", "meter"),
    [
        ("esp32/pub", {}, "esp32"),
        ("meters/kitchen/pub", {}, "kitchen"),
        ("kitchen", {}, "kitchen"),
        ("esp32/pub", {"device_id": "flat-3"}, "flat-3"),
    ],
)
def test_an_esp32_payload_becomes_a_row_a_channel_named_by_its_topic(topic, extra, meter):
    arrived = datetime(2024, 5, 1, 10, 0, 0, 250_000)
    batch = parse(ESP32 | extra, arrived_at_utc=[arrived], origins=[topic])
    assert batch.accepted == 1
    assert batch.telemetry.rows() == [
        (meter, "main", "2024-05-01T10:00:00.250000Z", 231.4, 1.2, 277.68),
        (meter, "dev1", "2024-05-01T10:00:00.250000Z", 230.0, 0.5, 115.0),
        (meter, "dev2", "2024-05-01T10:00:00.250000Z", 0.0, 0.0, 0.0),
    ]


def test_a_stamp_in_an_esp32_payload_wins_over_its_arrival_so_that_a_redelivery_is_a_repeat():
    payload = ESP32 | {"timestamp": 1_704_067_200}
    batches = [parse(payload, arrived_at_utc=[at], origins=["esp32/pub"]) for at in (NOW, NOW + timedelta(hours=1))]
    assert batches[0].telemetry.equals(batches[1].telemetry)
    assert batches[0].telemetry["measured_at_utc"][0] == "2024-01-01T00:00:00.000000Z"


def test_an_esp32_payload_that_nothing_names_is_refused():
    assert reason_of(ESP32) == EventReason.BLANK_ID


def test_a_mixed_batch_goes_to_its_shapes():
    batch = parse(
        READING, {"sensor_id": "gas-sensor", "timestamp": 1_704_067_200, "data": 1}, ESP32, origins=["", "", "x/pub"]
    )
    assert [(shape, frame.height) for shape, frame in batch.frames()] == [
        ("readings", 1),
        ("sensors", 1),
        ("telemetry", 3),
    ]


def test_csv_rows_keep_their_lines_and_their_faults():
    text = (
        "meter_id,interval_start,interval_minutes,energy_kwh,quality\r\n"
        "m1,2024-01-01T00:00Z,30,0.5,\r\n"
        "\r\n"
        "m1,2024-01-01T00:30Z,30,lots,\r\n"
        "m1,2024-01-01T01:00Z,30\r\n"
        '"m,2",2024-01-01T01:00Z,30,0.25,estimated\r\n'
    )
    objects, lines = csv_objects(text)
    batch = validate_objects(objects, received_at_utc=NOW)
    assert lines == [2, 4, 5, 6]
    assert [lines[rejection.index] for rejection in batch.rejections] == [4, 5]
    assert batch.readings.select("meter_id", "quality").rows() == [("m1", "measured"), ("m,2", "estimated")]


@pytest.mark.parametrize("text", ["", "meter_id,energy\nm,1\n", "meter_id,interval_start,interval_minutes\n", "a,a\n"])
def test_a_csv_without_the_fields_of_a_reading_says_what_it_must_have(text):
    with pytest.raises(FileUnreadable, match=r"Send|must have"):
        csv_objects(text)
