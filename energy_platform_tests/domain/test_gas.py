"""Gas volume to energy: the worked examples of GB bills, and the bounds."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_platform.domain.errors import QuantityInvalid
from energy_platform.domain.gas import (
    GasConversion,
    calorific_values_out_of_bounds,
    check_calorific_value,
    gas_kwh,
)

VOLUMES = st.floats(0, 1e6)
CALORIFIC = st.floats(37.5, 43.0)
FACTORS = st.floats(0.8, 100)


def test_a_hundred_cubic_metres_at_39_3_are_1116_38_kwh():
    assert round(GasConversion(39.3).kwh(100), 2) == 1116.38


def test_a_hundred_units_of_an_imperial_meter_at_39_3_are_3159_36_kwh():
    assert round(GasConversion(39.3).kwh_imperial(100), 2) == 3159.36


def test_the_exact_cubic_foot_gives_0_06_percent_more_than_the_billed_one():
    exact = GasConversion(39.3, m3_per_100_ft3=2.8316846592).kwh_imperial(1)
    assert exact / GasConversion(39.3).kwh_imperial(1) == pytest.approx(1.000595, abs=1e-6)


@given(volume=VOLUMES, more=VOLUMES, calorific=CALORIFIC, factor=FACTORS)
def test_energy_is_linear_in_volume(volume, more, calorific, factor):
    gas = GasConversion(calorific, factor)
    assert gas.kwh(volume) + gas.kwh(more) == pytest.approx(gas.kwh(volume + more), rel=1e-12, abs=1e-9)
    assert gas.kwh(volume) >= 0


@given(volume=VOLUMES, calorific=CALORIFIC, factor=FACTORS)
def test_the_column_and_the_number_agree(volume, calorific, factor):
    frame = pl.DataFrame({"m3": [volume], "cv": [calorific], "cf": [factor]})
    column = frame.select(gas_kwh(pl.col("m3"), pl.col("cv"), pl.col("cf"))).item()
    assert column == pytest.approx(GasConversion(calorific, factor).kwh(volume), rel=1e-12)


@pytest.mark.parametrize(
    ("value", "hint"), [(10.9, "kWh/m³"), (1035, "BTU/ft³"), (0, "37.5"), (float("nan"), "37.5"), (93.2, "37.5")]
)
def test_a_calorific_value_that_is_no_natural_gas_is_refused_with_what_it_probably_is(value, hint):
    with pytest.raises(QuantityInvalid, match=hint):
        GasConversion(value)


def test_another_gas_can_be_declared():
    assert GasConversion(93.2, is_natural_gas=False).kwh_per_m3 == pytest.approx(26.475, abs=1e-3)
    with pytest.raises(QuantityInvalid):
        GasConversion(-1.0, is_natural_gas=False)


@pytest.mark.parametrize("factor", [0, 0.5, 101, float("nan"), float("inf")])
def test_a_correction_factor_out_of_bounds_is_refused(factor):
    with pytest.raises(QuantityInvalid, match="correction factor"):
        GasConversion(39.3, factor)


@pytest.mark.parametrize("ratio", [2.83 * 100, 35.3, 0.0283, float("nan")])
def test_a_wrong_size_of_the_cubic_foot_is_refused(ratio):
    with pytest.raises(QuantityInvalid, match="cubic feet"):
        GasConversion(39.3, m3_per_100_ft3=ratio)


def test_plain_numbers_are_checked_when_a_column_is_converted():
    with pytest.raises(QuantityInvalid):
        gas_kwh(pl.col("m3"), 10.9)
    with pytest.raises(QuantityInvalid):
        gas_kwh(pl.col("m3"), 39.3, 0.1)


@given(st.one_of(st.none(), st.floats()))
def test_a_column_of_calorific_values_is_judged_as_single_ones_are(value):
    flagged = (
        pl.DataFrame({"cv": [value]}, schema={"cv": pl.Float64})
        .select(calorific_values_out_of_bounds(pl.col("cv")))
        .item()
    )
    try:
        check_calorific_value(float("nan") if value is None else value)
        refused = False
    except QuantityInvalid:
        refused = True
    assert flagged == refused
