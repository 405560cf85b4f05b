"""The simulator: the same seed gives the same data, and values change exactly where a label says so."""

import json
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from energy_platform.domain.errors import SimulationInvalid
from energy_platform.domain.simulation.appliances import BASE_KWH_PER_HOUR, appliance_rows, simulate_appliances
from energy_platform.domain.simulation.climate import instants, temperature_c
from energy_platform.domain.simulation.esp32 import Esp32Meter, messages, simulate_esp32
from energy_platform.domain.simulation.faults import Fault, parse_faults, plant
from energy_platform.domain.simulation.homes import readings, simulate_homes
from energy_platform.domain.simulation.sensors import keyed_events, sensor_events, simulate_sensors

START = datetime(2024, 1, 1)
KEY = ["meter_id", "channel", "at_utc"]


def homes(days=30, seed=1, count=2):
    return simulate_homes(count, starts_at_utc=START, days=days, seed=seed).series


def sensors(days=5, seed=1, **options):
    return simulate_sensors(starts_at_utc=START, days=days, seed=seed, every_seconds=60, **options)


def appliances(days=30, seed=1):
    return simulate_appliances(starts_at_utc=START, days=days, seed=seed)


KINDS = {"homes": (homes, 4), "sensors": (sensors, 2), "appliances": (appliances, 4)}


def labelled(frame, labels):
    """Whether each row lies in a label, by SQL-like brute force and not by the planter's own positions."""
    inside = frame.with_columns(pl.lit(value=False).alias("inside"))
    for row in labels.iter_rows(named=True):
        here = (
            (pl.col("meter_id") == row["meter_id"])
            & (pl.col("channel") == row["channel"])
            & pl.col("at_utc").is_between(row["starts_at_utc"], row["ends_at_utc"], closed="left")
        )
        inside = inside.with_columns(inside=pl.col("inside") | here)
    return inside


def changed(before, after):
    both = before.join(after, on=KEY, how="left", suffix="_after")
    return both.with_columns((pl.col("value") != pl.col("value_after")).fill_null(value=True).alias("changed"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_data_and_another_seed_other_data(kind):
    make, decimals = KINDS[kind]
    frames = [plant(make(), list(Fault), seed=9, decimals=decimals) for _ in range(2)]
    assert_frame_equal(frames[0].frame, frames[1].frame)
    assert_frame_equal(frames[0].labels, frames[1].labels)
    assert not make(seed=2).equals(make(seed=1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_values_change_where_a_label_says_so_and_nowhere_else(kind, seed):
    make, decimals = KINDS[kind]
    before = make()
    found = plant(before, list(Fault), seed=seed, times=2, decimals=decimals)
    truth = labelled(changed(before, found.frame), found.labels)
    assert truth.filter(pl.col("changed") != pl.col("inside")).is_empty()
    assert set(found.labels["fault"]) == {fault.value for fault in Fault}
    assert found.labels.filter(pl.col("starts_at_utc") >= pl.col("ends_at_utc")).is_empty()


@pytest.mark.parametrize("fault", list(Fault))
def test_each_fault_is_what_its_magnitude_says(fault):
    before = homes(days=20)
    found = plant(before, [fault], seed=4, time_zone="Europe/London")
    for label in found.labels.iter_rows(named=True):
        rows = labelled(changed(before, found.frame), pl.DataFrame([label], schema=found.labels.schema)).filter(
            "inside"
        )
        was, now, magnitude = rows["value"].to_numpy(), rows["value_after"].to_numpy(), label["magnitude"]
        expected = {
            Fault.SPIKE: was + magnitude,
            Fault.STUCK: np.full(len(was), magnitude),
            Fault.GAP: np.full(len(was), np.nan),
            Fault.DRIFT: was * np.linspace(1.1, magnitude, len(was)),
            Fault.NIGHT_LEAK: was + magnitude,
            Fault.UNIT_X1000: was * magnitude,
            Fault.SIGN: was * magnitude,
        }[fault]
        np.testing.assert_allclose(now.astype(float), expected, atol=1e-4)
    lengths = (found.labels["ends_at_utc"] - found.labels["starts_at_utc"]).dt.total_minutes().to_list()
    usual = {"spike": [30], "stuck": [720], "gap": [360], "drift": [4800], "unit_x1000": [1440], "sign": [360]}
    assert lengths == usual.get(fault, [300] * 3)  # a twenty-day series has at most a sixth for one drift


def test_a_night_leak_is_at_night_in_the_zone_of_the_home():
    found = plant(homes(), [Fault.NIGHT_LEAK], seed=3, time_zone="Asia/Kolkata").labels
    assert found["starts_at_utc"].dt.time().unique().to_list() == [datetime(2024, 1, 1, 18, 30).time()]


def test_stretches_of_one_series_never_touch():
    labels = plant(homes(days=60, count=1), list(Fault), seed=8, times=3).labels
    gaps = labels.with_columns(
        (pl.col("starts_at_utc") - pl.col("ends_at_utc").shift(1).over("meter_id")).alias("apart")
    )["apart"].drop_nulls()
    assert (gaps > timedelta(0)).all()


@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(st.floats(0.01, 50).map(lambda value: round(value, 2)), min_size=48, max_size=200),
    seed=st.integers(0, 2**32),
    fault=st.sampled_from(list(Fault)),
)
def test_any_series_is_changed_exactly_where_labelled_or_the_planter_says_there_is_no_room(values, seed, fault):
    at_utc = instants(START, len(values) / 48, timedelta(minutes=30))
    values = values[: len(at_utc)]
    before = pl.DataFrame({"meter_id": "m", "channel": "main", "at_utc": at_utc, "value": values})
    try:
        found = plant(before, [fault], seed=seed, decimals=2)
    except SimulationInvalid:
        assert fault in {Fault.DRIFT, Fault.SIGN, Fault.UNIT_X1000}  # tiny values that rounding brings back
        return
    truth = labelled(changed(before, found.frame), found.labels)
    assert truth.filter(pl.col("changed") != pl.col("inside")).is_empty()


def test_no_faults_leave_the_frame_alone():
    before = homes(days=2)
    assert plant(before, (), seed=1).frame is before
    assert plant(before, (), seed=1).labels.is_empty()


def test_more_faults_than_there_is_room_for_are_refused_with_a_remedy():
    with pytest.raises(SimulationInvalid, match="days"):
        plant(homes(days=1, count=1), list(Fault), seed=1, times=50)
    with pytest.raises(SimulationInvalid, match="days"):
        plant(homes(days=1).head(0), [Fault.GAP], seed=1)


def test_fault_names_are_parsed_and_unknown_ones_named():
    assert parse_faults("all") == tuple(Fault)
    assert parse_faults("none") == parse_faults("") == ()
    assert parse_faults(" Spike , gap") == (Fault.SPIKE, Fault.GAP)
    with pytest.raises(SimulationInvalid, match="bang"):
        parse_faults("spike,bang")


def test_homes_have_peaks_weekends_and_burn_gas_when_it_is_cold():
    found = simulate_homes(5, starts_at_utc=START, days=365, seed=3)
    rows = readings(found.series).with_columns(hour=pl.col("interval_start_utc").dt.hour())
    by_hour = dict(rows.filter(commodity="electricity").group_by("hour").agg(pl.col("energy_kwh").mean()).iter_rows())
    assert by_hour[19] > 2 * by_hour[3]
    gas = (
        rows.filter(commodity="gas")
        .group_by(pl.col("interval_start_utc").dt.date().alias("day"))
        .agg(pl.col("energy_kwh").sum())
    )
    cold = found.weather.group_by(pl.col("observed_at_utc").dt.date().alias("day")).agg(pl.col("temperature_c").mean())
    assert gas.join(cold, on="day").select(pl.corr("energy_kwh", "temperature_c")).item() < -0.8
    assert found.weather["temperature_c"].is_between(-20, 40).all()
    assert (found.series["value"] > 0).all()
    assert found.series.height == 10 * 365 * 48


def test_a_home_is_the_same_however_many_others_there_are():
    few, many = homes(days=3, count=1), homes(days=3, count=3)
    assert_frame_equal(few, many.filter(pl.col("meter_id").str.starts_with("home-0001")))


def test_the_weather_is_the_same_at_any_spacing():
    coarse, fine = (instants(START, 3, timedelta(minutes=minutes)) for minutes in (60, 15))
    np.testing.assert_allclose(temperature_c(coarse, seed=5), temperature_c(fine, seed=5)[::4])


def test_sensor_events_have_the_nested_form_in_order_of_time_within_their_ranges():
    events = sensor_events(sensors(days=1))
    assert events.columns == ["sensor_id", "timestamp", "data"]
    assert events.row(0, named=True) | {"data": None} == {
        "sensor_id": "electricity-sensor",
        "timestamp": 1_704_067_200,
        "data": None,
    }
    assert events["timestamp"].is_sorted()
    value = events.select("sensor_id", pl.col("data").struct.field("value"))
    assert value.filter(sensor_id="gas-sensor")["value"].is_between(1, 10).all()
    assert value.filter(sensor_id="electricity-sensor")["value"].is_between(10, 100).all()


def test_uniform_sensors_are_the_unforecastable_noise_of_the_earlier_ones():
    value = sensors(days=7, uniform=True).filter(channel="electricity")["value"]
    assert value.mean() == pytest.approx(55, abs=1)
    assert abs(np.corrcoef(value[:-1], value[1:])[0, 1]) < 0.05
    shaped = sensors(days=7).filter(channel="electricity")["value"]
    assert np.corrcoef(shaped[:-1], shaped[1:])[0, 1] > 0.8


def test_partition_keys_are_the_fuel():
    assert {key for key, _ in keyed_events(sensors(days=0.1, stations=2))} == {"electricity", "gas"}


def test_appliances_have_their_bases_evenings_and_nights():
    rows = appliance_rows(appliances(days=365))
    assert rows.columns == ["timestamp", "appliance", "kwh"]
    assert set(rows["appliance"]) == set(BASE_KWH_PER_HOUR)
    hour = pl.col("timestamp").str.slice(11, 2).cast(pl.Int64)
    washing = rows.filter(appliance="Washing Machine").group_by(hour.alias("hour")).agg(pl.col("kwh").mean())
    by_hour = dict(washing.iter_rows())
    assert 3 < by_hour[19] / by_hour[2] < 7
    month = pl.col("timestamp").str.slice(5, 2)
    by_month = {
        key: dict(rows.filter(appliance=key).group_by(month).agg(pl.col("kwh").mean()).iter_rows())
        for key in ("AC", "Heater")
    }
    assert by_month["AC"]["07"] > 3 * by_month["AC"]["01"]
    assert by_month["Heater"]["01"] > 2 * by_month["Heater"]["07"]


def esp32(**options):
    return simulate_esp32("esp32-1", starts_at_utc=START, days=2, seed=1, every_seconds=60, **options)


def payload_frame(simulated):
    payload = pl.DataFrame(messages(simulated)["payload"].struct.unnest())
    return payload.with_columns(pl.all().cast(pl.Float64)).with_columns(messages(simulated)["received_at_utc"])


def test_esp32_payloads_are_two_decimals_under_a_to_i_and_power_is_volts_times_amperes():
    first = messages(esp32()).row(0, named=True)
    assert first["topic"] == "esp32/pub"
    assert list(first["payload"]) == list("abcdefghi")
    assert all(len(value.split(".")[1]) == 2 for value in first["payload"].values())
    rows = payload_frame(esp32())
    for volts, amperes, power in ("abc", "def", "ghi"):
        assert ((rows[volts] * rows[amperes] - rows[power]).abs() <= 0.005 * rows[volts] + 0.01).all()
    assert (rows["c"] >= rows["f"] + rows["i"]).all()


def test_esp32_faults_change_messages_where_labelled_and_nowhere_else():
    plain, faulty = esp32(), esp32(faults=tuple(Fault), overvoltages=3)
    names = {"main": "main_va", "dev1": "dev1_va", "dev2": "dev2_va"}

    def as_series(ticks):
        parts = [
            ticks.select(
                pl.lit("esp32-1").alias("meter_id"),
                pl.lit(channel).alias("channel"),
                "at_utc",
                pl.col(name).alias("value"),
            )
            for channel, name in names.items()
        ]
        return pl.concat(parts)

    of_power = faulty.labels.filter(pl.col("fault") != "overvoltage")
    truth = labelled(changed(as_series(plain.ticks), as_series(faulty.ticks)), of_power)
    assert truth.filter(pl.col("changed") != pl.col("inside")).is_empty()
    assert set(faulty.labels["fault"]) == {*Fault, "overvoltage"}
    high = faulty.ticks.filter(pl.col("voltage_v") > 300)["at_utc"].to_list()
    assert high == sorted(faulty.labels.filter(fault="overvoltage", channel="main")["starts_at_utc"])
    assert len(high) == 3


def test_relays_obey_and_main_takes_all_with_it():
    tick = esp32().ticks.drop("at_utc").row(0, named=True)
    meter = Esp32Meter("esp32-1")
    before = meter.payload(tick)
    assert meter.obey('{"message": "dev1off"}')
    after = meter.payload(tick)
    assert (after["d"], after["e"], after["f"]) == ("0.00",) * 3
    assert after["g"] == before["g"]
    assert float(after["c"]) == pytest.approx(float(before["c"]) - float(before["f"]), abs=0.02)
    assert meter.obey(json.dumps({"message": "mainoff"}).encode())
    assert set(meter.payload(tick).values()) == {"0.00"}
    assert meter.obey('{"message": "mainon"}')
    assert meter.payload(tick) == after
    assert meter.obey('{"message": "dev1on"}')
    assert meter.payload(tick) == before


@pytest.mark.parametrize(
    "command",
    ["", "off", '{"message": "dev3off"}', '{"message": null}', "[]", b"\xff", '{"message": ["mainoff"]}', "[" * 10**5],
)
def test_a_command_that_is_none_changes_nothing(command):
    meter = Esp32Meter("esp32-1")
    assert not meter.obey(command)
    assert all(meter.relays.values())


@pytest.mark.parametrize(
    "make",
    [
        lambda: simulate_homes(0, starts_at_utc=START, days=1, seed=1),
        lambda: simulate_homes(1, starts_at_utc=START, days=0, seed=1),
        lambda: simulate_homes(1, starts_at_utc=START, days=1, seed=1, time_zone="Mars/Olympus"),
        lambda: simulate_homes(1, starts_at_utc=START, days=1, seed=1, time_zone="../etc/passwd"),
        lambda: simulate_sensors(starts_at_utc=START, days=1, seed=1, every_seconds=0.1),
        lambda: simulate_appliances(starts_at_utc=START, days=1, seed=1, interval_minutes=7),
        lambda: simulate_esp32("e", starts_at_utc=START, days=1, seed=1, every_seconds=0),
        lambda: simulate_esp32("e", starts_at_utc=START, days=0.001, seed=1, overvoltages=100),
        lambda: simulate_homes(1, starts_at_utc=START, days=float("nan"), seed=1),
    ],
)
def test_what_cannot_be_simulated_is_refused(make):
    with pytest.raises(SimulationInvalid):
        make()
