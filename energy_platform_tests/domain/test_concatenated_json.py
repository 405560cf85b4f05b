"""Firehose objects: every record arrives, faults are located, the flat data set loses nothing."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_platform.domain.concatenated_json import data_set, split_records, to_csv

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), max_size=8)
BETWEEN = st.sampled_from(["", "\n", "\r\n", "  ", "\t\n"])


def event(number):
    return {"sensor_id": f"meter-{number}", "timestamp": 1_700_000_000 + number, "data": {"value": number / 4}}


@pytest.mark.parametrize("count", [0, 1, 2, 10_000])
def test_of_concatenated_nested_records_every_one_arrives_the_first_and_last_included(count):
    content = "".join(json.dumps(event(number)) for number in range(count)).encode()
    found = split_records(content)
    assert found.malformed is None
    assert found.records == [event(number) for number in range(count)]
    assert len(data_set(found.records).rows) == count


@given(records=RECORDS, between=BETWEEN, ascii_only=st.booleans())
def test_splitting_undoes_concatenation_and_the_offsets_point_at_the_records(records, between, ascii_only):
    pieces = [json.dumps(record, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") for record in records]
    try:
        content = between.encode().join(pieces)
        content.decode()
    except UnicodeDecodeError:
        return  # a lone surrogate written raw is not UTF-8: the test below has those
    found = split_records(content)
    assert (found.records, found.malformed) == (records, None)
    assert [content[at : at + len(piece)] for at, piece in zip(found.offsets, pieces, strict=True)] == pieces


@pytest.mark.parametrize("text", ["}{", '"}{"', "\\", '\\"}{', "{{}}{", "café }{ ☕"])
def test_braces_and_quotes_inside_strings_are_no_boundaries(text):
    content = (json.dumps({"a": text}) + json.dumps({"b": {"c": text}}, ensure_ascii=False)).encode()
    assert split_records(content).records == [{"a": text}, {"b": {"c": text}}]


@given(
    records=st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=5), min_size=1), min_size=1, max_size=5),
    data=st.data(),
)
def test_a_cut_object_keeps_the_whole_records_and_says_at_which_byte_the_rest_begins(records, data):
    pieces = [json.dumps(record, ensure_ascii=False).encode("utf-8", "ignore") for record in records]
    whole = [json.loads(piece) for piece in pieces]
    cut = data.draw(st.integers(1, len(pieces[-1]) - 1))
    content = b"".join(pieces[:-1]) + pieces[-1][:cut]
    found = split_records(content)
    start = sum(len(piece) for piece in pieces[:-1])
    assert found.records == whole[:-1]
    assert found.malformed is not None
    assert (found.malformed.byte_offset, found.malformed.tail) == (start, pieces[-1][:cut])


@pytest.mark.parametrize(
    ("tail", "why"),
    [
        (b"[1]", "object, found list"),
        (b"12", "object, found int"),
        (b'{"a":NaN}', "NaN is not JSON"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b"garbage", "not a whole JSON object"),
        (b"{'a':1}", "not a whole JSON object"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"a":' + b"9" * 5000 + b"}", "digits"),
    ],
)
def test_what_is_no_record_ends_the_object_with_a_reason_and_the_bytes_left(tail, why):
    found = split_records('{"é":1}\n'.encode() + tail)
    assert found.records == [{"é": 1}]
    assert found.malformed is not None
    assert why in found.malformed.reason
    assert (found.malformed.byte_offset, found.malformed.tail) == (9, tail)


def test_a_byte_order_mark_is_not_a_fault():
    found = split_records(b'\xef\xbb\xbf{"a":1}{"a":2}')
    assert (found.records, found.offsets, found.malformed) == ([{"a": 1}, {"a": 2}], [3, 10], None)


def test_data_may_be_an_object_or_a_bare_number_and_further_fields_become_columns():
    found = data_set(
        [
            {"sensor_id": "gas-sensor", "timestamp": 1, "data": {"value": 2.5, "unit": "m3"}, "partition_key": "gas"},
            {"sensor_id": "electricity-sensor", "timestamp": 2, "data": 7},
            {"sensor_id": "electricity-sensor", "timestamp": "2024-01-01T00:00:00Z", "value": 8, "tags": ["a"]},
        ]
    )
    assert found.header == ("sensor_id", "timestamp", "value", "unit", "partition_key", "tags")
    assert found.rows == [
        ("gas-sensor", 1, 2.5, "m3", "gas", None),
        ("electricity-sensor", 2, 7, None, None, None),
        ("electricity-sensor", "2024-01-01T00:00:00Z", 8, None, None, '["a"]'),
    ]


def test_a_name_that_is_taken_gets_a_prefix_instead_of_being_lost():
    found = data_set([{"sensor_id": "s", "timestamp": 1, "data": {"value": 1, "sensor_id": "inner"}, "value": 9}])
    assert dict(zip(found.header, found.rows[0], strict=True)) == {
        "sensor_id": "s",
        "timestamp": 1,
        "value": 1,
        "data_sensor_id": "inner",
        "record_value": 9,
    }


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"timestamp": 1, "data": 1}, "sensor_id"),
        ({"sensor_id": "s", "data": 1}, "timestamp"),
        ({"sensor_id": ["s"], "timestamp": 1, "data": 1}, "sensor_id"),
        ({"sensor_id": "s", "timestamp": 1}, "value is null"),
        ({"sensor_id": "s", "timestamp": 1, "data": {"value": "2"}}, 'value is "2"'),
        ({"sensor_id": "s", "timestamp": 1, "data": True}, "value is true"),
        ({"sensor_id": "s", "timestamp": 1, "data": float("inf")}, "finite"),
    ],
)
def test_a_record_that_is_no_row_is_rejected_with_its_reason(record, reason):
    found = data_set([event(1), record])
    assert len(found.rows) == 1
    assert [(item.position, item.record) for item in found.rejected] == [(1, record)]
    assert reason in found.rejected[0].reason


@given(RECORDS)
def test_rows_and_rejected_are_all_the_records(records):
    found = data_set(records)
    assert len(found.rows) + len(found.rejected) == len(records)
    assert all(len(row) == len(found.header) for row in found.rows)


def test_the_csv_reads_back_as_it_was_written():
    rows = [("a,b", 1, 2.5), ('quote "', 2, None), ("line\nbreak", 3, 0.1)]
    text = to_csv(("sensor_id", "timestamp", "value"), rows)
    assert list(csv.reader(io.StringIO(text)))[1:] == [
        ["a,b", "1", "2.5"],
        ['quote "', "2", ""],
        ["line\nbreak", "3", "0.1"],
    ]
