"""Messages are parsed in groups and checked in columns: that must give what each message gives by itself.

The oracle of parsing is ``orjson.loads`` of one message; of validation, a batch that holds one message.
"""

from __future__ import annotations

from datetime import datetime

import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_platform.domain.events import EventReason, parse_events
from energy_platform.domain.events.parse import MAX_EVENT_BYTES, parse_json

NOW = datetime(2024, 6, 1, 12)
READING = {"meter_id": "m1", "interval_start": "2024-01-01T00:30:00Z", "interval_minutes": 30, "energy_kwh": 0.25}
# Whatever could make two messages into one, one into two, or the separator into a part of one.
TOKENS = [b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\n", b" ", b"null", b"1", b"-", b"e5", b'"a"', b'{"a":1}']
WHOLE = [b"{}", b'{"a":"\\n,null,\\n"}', b'{"a":{"b":null}}', b"1,2", b'{"a":1', b'"b":2}', b'{"x":"a', b'b"}', b"\xff"]
FRAGMENTS = [
    b"{},null,{}",
    b"\n,null,\n",
    b'{"x":[1',
    b"2]}",
    b"",
    b"null",
    b"17",
    b'{"a":1}{"a":2}',
    b"{}\n{}",
    b"{},",
]
VALUES = {
    "meter_id": ["m1", "m2", " ", "", 7, None, "gas"],
    "channel": ["main", "dev1", None, 3, ""],
    "interval_start": [
        "2024-01-01T00:30:00Z",
        "2024-01-01T01:30:00+01:00",
        "2024-01-01T00:30:00",
        "2024-01-01T00:31Z",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00+14:00",
        "2024-06-02T12:00:00.000001Z",
        "later",
        None,
        5,
    ],
    "interval_minutes": [30, 15, 60, 7, 0, 30.0, "30", None, True],
    "energy_kwh": [0.25, 1, -3.5, 10**30, "1", True, None],
    "quality": ["measured", "estimated", "guessed", None, 1],
    "commodity": ["gas", "electricity", "steam", None],
    "sensor_id": ["gas-1", "", 4],
    "extra": [[1], {"deep": [None]}, "\n,null,\n"],
}


def alone(payloads):
    """Each message parsed by itself: its value, or why it is refused."""
    outcomes = []
    for payload in payloads:
        try:
            outcomes.append(("value", orjson.loads(payload)))
        except orjson.JSONDecodeError as problem:
            outcomes.append((EventReason.NOT_JSON.value, str(problem)))
    return outcomes


def grouped(payloads):
    objects, indices, refused = parse_json(payloads)
    found = {index: ("value", value) for index, value in zip(indices, objects, strict=True)}
    found |= {each.index: (each.reason.value, each.detail) for each in refused}
    assert len(found) == len(indices) + len(refused)
    return [found[index] for index in range(len(payloads))]


@given(
    st.lists(
        st.one_of(
            st.sampled_from(WHOLE + FRAGMENTS),
            st.lists(st.sampled_from(TOKENS), max_size=6).map(b"".join),
            st.just(orjson.dumps(READING)),
        ),
        max_size=12,
    )
)
def test_a_message_parsed_among_others_is_what_it_is_by_itself(payloads):
    assert grouped(payloads) == alone(payloads)


@pytest.mark.parametrize(
    "payloads",
    [
        [b"{},null,{}", b'{"x":[1', b"2]}"],
        [b"{},null,{}", b'{"x":"a', b'b"}'],
        [b"{},null,{}", b'{"a":1', b'"b":2}'],
        [b"{},{}", b'{"a":1', b'"b":2}'],
        [b"1,null,2", b""],
        [b"{}", b""],
        [b""],
        [b"{}]", b"[{}"],
        [b'"\xc3', b'\xa9"'],
    ],
)
def test_messages_that_conspire_are_refused_one_by_one(payloads):
    assert grouped(payloads) == alone(payloads)


def test_broken_messages_anywhere_in_many_groups_take_no_neighbour_along():
    payloads = [b"%d" % number for number in range(1_000)]
    broken = {0, 63, 64, 127, 500, 999}
    outcomes = grouped([b"{" if number in broken else payload for number, payload in enumerate(payloads)])
    assert {number for number, (kind, _) in enumerate(outcomes) if kind != "value"} == broken
    assert [value for kind, value in outcomes if kind == "value"] == [n for n in range(1_000) if n not in broken]


def test_an_oversized_message_is_refused_and_small_ones_that_add_up_to_more_are_not():
    small = orjson.dumps({"x": "y" * (MAX_EVENT_BYTES // 4)})
    outcomes = grouped([small, small, b'"' + b"z" * MAX_EVENT_BYTES + b'"', small, small, small])
    assert [kind for kind, _ in outcomes] == ["value", "value", "too_large", "value", "value", "value"]


objects = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in VALUES.items()})
nearly_good = st.builds(
    lambda changed, name: {**READING, **({name: changed[name]} if name in changed else {})},
    objects,
    st.sampled_from(sorted(VALUES)),
)


@given(st.lists(st.one_of(st.just(READING), nearly_good, objects), max_size=8))
def test_a_batch_gives_the_rows_and_refusals_that_its_messages_give_one_by_one(events):
    payloads = [orjson.dumps(event) if event.get("energy_kwh") != 10**30 else _huge(event) for event in events]
    batch = parse_events(payloads, received_at_utc=NOW)
    singles = [parse_events([payload], received_at_utc=NOW) for payload in payloads]
    for shape in ("readings", "sensors", "telemetry"):
        together = getattr(batch, shape)
        assert together.equals(pl.concat([getattr(single, shape) for single in singles]) if singles else together)
    refused = [
        (place, each.reason, each.detail, each.column, each.shape)
        for place, single in enumerate(singles)
        for each in single.rejections
    ]
    assert refused == [(each.index, each.reason, each.detail, each.column, each.shape) for each in batch.rejections]
    assert batch.accepted == sum(single.accepted for single in singles)


def _huge(event):
    """A number beyond 64 bits, which orjson reads and does not write."""
    return orjson.dumps({**event, "energy_kwh": -1}).replace(b'"energy_kwh":-1', b'"energy_kwh":1' + b"0" * 30)
