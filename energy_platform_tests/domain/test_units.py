"""Units: every one to kWh, aliases, and what is refused."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_platform.domain.errors import QuantityInvalid
from energy_platform.domain.gas import GasConversion
from energy_platform.domain.units import Unit, kwh_factor, parse_unit, to_kwh

GAS = GasConversion(39.3)


@pytest.mark.parametrize(
    ("unit", "kwh"),
    [
        ("kWh", 1),
        ("Wh", 0.001),
        ("MWh", 1000),
        ("MJ", 1 / 3.6),
        ("GJ", 277.7778),
        ("therm", 29.3071),
        ("W", 0.0005),
        ("kW", 0.5),
        ("MW", 500),
        ("m³", 11.16382),
        ("m3", 11.16382),
        ("ft3", 0.3159361),
        ("ccf", 31.59361),
        ("100ft3", 31.59361),
    ],
)
def test_one_of_each_unit_over_half_an_hour_is_this_many_kwh(unit, kwh):
    assert kwh_factor(unit, interval_minutes=30, gas=GAS) == pytest.approx(kwh, rel=1e-5)


@pytest.mark.parametrize("unit", list(Unit))
def test_every_unit_is_read_in_any_case_and_with_spaces(unit):
    for spelled in (unit.value, unit.value.upper(), unit.value.lower(), f" {unit.value} "):
        if spelled.strip() not in {"mW", "mWh", "mJ"}:
            assert parse_unit(spelled) is unit


@pytest.mark.parametrize("word", ["mW", "mWh", "mJ", "", "litre", "kWhh", "BTU/h"])
def test_an_unknown_word_is_refused_and_the_known_ones_are_named(word):
    with pytest.raises(QuantityInvalid, match=r"Known units: .*kWh"):
        parse_unit(word)


@pytest.mark.parametrize("word", ["VA", "kVA", "kvar", "kVAh"])
def test_apparent_and_reactive_power_are_no_energy(word):
    with pytest.raises(QuantityInvalid, match="active power"):
        parse_unit(word)


@pytest.mark.parametrize("interval", [None, 0, -30, float("nan")])
def test_power_without_a_time_is_refused(interval):
    with pytest.raises(QuantityInvalid, match="interval_minutes"):
        kwh_factor("kW", interval_minutes=interval)


def test_a_volume_without_a_calorific_value_is_refused():
    with pytest.raises(QuantityInvalid, match="calorific_value"):
        kwh_factor("m3")


@given(power=st.floats(-1e5, 1e5), minutes=st.sampled_from([1, 5, 15, 30, 60]))
def test_constant_power_over_a_day_is_the_same_energy_at_any_interval(power, minutes):
    day = kwh_factor("kW", interval_minutes=minutes) * power * (1440 // minutes)
    assert day == pytest.approx(24 * power, rel=1e-12, abs=1e-9)


@given(
    st.floats(0, 1e9),
    st.sampled_from([("Wh", "kWh", 1000), ("W", "kW", 1000), ("kWh", "MWh", 1000), ("MJ", "kWh", 3.6)]),
)
def test_the_same_quantity_in_two_units_is_the_same_energy(value, pair):
    small, large, ratio = pair
    one = kwh_factor(small, interval_minutes=30) * value
    other = kwh_factor(large, interval_minutes=30) * (value / ratio)
    assert one == pytest.approx(other, rel=1e-12)


def test_a_column_keeps_its_nulls():
    frame = pl.DataFrame({"x": [100.0, None]})
    assert frame.select(to_kwh(pl.col("x"), "m3", gas=GAS).round(2))["x"].to_list() == [1116.38, None]
