"""Live values and the average of each five: the same however a stream is cut into batches, and however often it repeats."""

from datetime import datetime, timedelta
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_platform.domain.events import parse_events
from energy_platform.domain.live import WINDOW_SAMPLES, Series, advance, channels_of, series_of
from energy_platform.domain.live.state import micros_of, utc_of

NOW = datetime(2024, 6, 1, 12)
SECOND = 1_000_000
START = micros_of(NOW)


def series(values, *, start=0, meter="gas-sensor", channel="main", quantity="power_kw"):
    stamps = [START + (start + place) * SECOND for place in range(len(values))]
    return Series(meter, channel, quantity, "kW", "gas", stamps, list(values))


def take(parts, received=NOW):
    value, averages = None, []
    for part in parts:
        made = advance(value, part, received_at_utc=received)
        value = made.value
        averages += made.averages
    return value, averages


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.data())
def test_any_cut_into_batches_gives_the_averages_of_each_five_and_the_same_state(values, data):
    cuts = sorted(data.draw(st.sets(st.integers(0, len(values)), max_size=6)) | {0, len(values)})
    parts = [series(values[a:b], start=a) for a, b in pairwise(cuts) if b > a]
    value, averages = take(parts)
    expected = [sum(values[at : at + 5]) / 5 for at in range(0, len(values) - 4, 5)]
    assert [each.average for each in averages] == pytest.approx(expected)
    assert value == take([series(values)])[0]
    assert (value.block, value.samples, value.window) == (len(values) % 5, len(values), tuple(values[-WINDOW_SAMPLES:]))


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.integers(0, 30))
def test_what_is_delivered_again_is_counted_as_late_and_changes_nothing_else(values, again_from):
    again = values[again_from:]
    value, averages = take([series(values)])
    repeated, more = take([series(values), *([series(again, start=again_from)] if again else [])])
    assert more == averages
    assert (repeated.late, repeated.window, repeated.block) == (len(again), value.window, value.block)


def test_sensors_of_one_fuel_have_averages_of_their_own():
    events = [
        orjson.dumps({"sensor_id": name, "timestamp": 1_717_243_200 + second, "data": {"value": value}})
        for second in range(5)
        for name, value in (("gas-sensor", 1.0), ("gas-sensor-2", 9.0))
    ]
    batch = parse_events(events, received_at_utc=NOW)
    averages = [each for one in series_of(batch) for each in advance(None, one, received_at_utc=NOW).averages]
    assert {(each.meter_id, each.average, each.unit) for each in averages} == {
        ("gas-sensor", 1.0, "kW"),
        ("gas-sensor-2", 9.0, "kW"),
    }


def esp32(voltage, second=0):
    fields = dict.fromkeys("abcdefghi", "1.00") | {"a": f"{voltage:.2f}", "device_id": "home"}
    return orjson.dumps(fields | {"timestamp": 1_717_243_200 + second})


@pytest.mark.parametrize(("voltage", "is_on"), [(240.0, True), (50.0, True), (49.99, False), (0.0, False)])
def test_a_channel_below_50_v_is_off(voltage, is_on):
    batch = parse_events([esp32(voltage)], received_at_utc=NOW)
    channels = channels_of(advance(None, one, received_at_utc=NOW).value for one in series_of(batch))
    main = next(each for each in channels if each.channel == "main")
    assert (main.is_on, main.last_seen_utc, set(main.values)) == (
        is_on, NOW, {"voltage_v", "current_a", "apparent_power_va"},
    )  # fmt: skip


def test_a_reading_is_known_at_the_end_of_its_interval_and_says_nothing_of_on_or_off():
    event = {"meter_id": "m", "interval_start": "2024-06-01T10:00:00Z", "interval_minutes": 30, "energy_kwh": 0.4}
    found = series_of(parse_events([orjson.dumps(event)], received_at_utc=NOW))
    assert [(each.quantity, utc_of(each.at_us[0])) for each in found] == [("energy_kwh", datetime(2024, 6, 1, 10, 30))]
    assert channels_of([advance(None, found[0], received_at_utc=NOW).value])[0].is_on is None


@pytest.mark.parametrize(
    ("unit", "quantity", "value"), [("W", "power_kw", 0.002), ("kW", "power_kw", 2.0), ("m3", "value", 2.0)]
)
def test_the_declared_unit_of_a_sensor_decides_its_quantity(unit, quantity, value):
    event = {"sensor_id": "gas-1", "timestamp": 1_717_243_200, "data": 2}
    found = series_of(parse_events([orjson.dumps(event)], received_at_utc=NOW), sensor_unit=unit)[0]
    assert (found.quantity, found.values) == (quantity, [value])
    assert found.unit == ("kW" if quantity == "power_kw" else unit)


def test_one_stamp_from_a_clock_that_runs_ahead_does_not_silence_the_meter():
    ahead = Series("m", "main", "power_kw", "kW", "gas", [micros_of(NOW + timedelta(hours=20))], [5.0])
    value, _ = take([ahead, series([1.0, 2.0], meter="m")])
    assert (value.value, value.late) == (2.0, 0)
