"""Power samples to energy: hand-checked cases, gaps that are no energy, and what always holds."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_platform.domain.errors import QuantityInvalid
from energy_platform.domain.power_samples import SampleRules, energy_from_samples

START = datetime(2024, 3, 1)


def samples(points, meter="m"):
    return pl.DataFrame(
        {
            "meter_id": [meter] * len(points),
            "channel": ["main"] * len(points),
            "measured_at_utc": [START + timedelta(seconds=second) for second, _ in points],
            "power": [power for _, power in points],
        },
        schema={"meter_id": pl.String, "channel": pl.String, "measured_at_utc": pl.Datetime("us"), "power": pl.Float64},
    )


def rows(points, **rules):
    found = energy_from_samples(samples(points), SampleRules(**rules)).intervals
    return found.select(pl.col("energy_kwh").round(9), pl.col("coverage").round(9), "quality", "reason").rows()


def test_one_kilowatt_for_an_hour_is_half_a_kwh_each_half_hour():
    points = [(60 * minute, 1.0) for minute in range(61)]
    assert rows(points) == [(0.5, 1.0, "measured", "")] * 2


def test_watts_are_a_thousandth():
    points = [(60 * minute, 1000.0) for minute in range(31)]
    assert rows(points, unit="W") == [(0.5, 1.0, "measured", "")]


def test_a_ramp_is_a_trapezoid_or_steps():
    points = [(0, 0.0), (900, 2.0), (1800, 0.0)]
    assert rows(points, max_gap_seconds=900) == [(0.5, 1.0, "measured", "")]
    assert rows(points, max_gap_seconds=900, method="hold") == [(0.5, 1.0, "measured", "")]
    ramp = [(0, 0.0), (900, 1.0), (1800, 2.0)]
    assert rows(ramp, max_gap_seconds=900) == [(0.5, 1.0, "measured", "")]
    assert rows(ramp, max_gap_seconds=900, method="hold") == [(0.25, 1.0, "measured", "")]


def test_a_segment_over_a_boundary_is_cut_where_it_crosses():
    points = [(1500, 0.0), (2100, 6.0)]  # 0 to 6 kW over 10 minutes, half on each side
    found = energy_from_samples(samples(points), SampleRules(max_gap_seconds=600)).intervals
    assert found["covered_kwh"].round(9).to_list() == [0.125, 0.375]


def test_a_fifty_minute_outage_at_three_kilowatts_is_no_energy():
    points = [(60 * minute, 3.0) for minute in [*range(6), *range(55, 61)]]
    found = energy_from_samples(samples(points), SampleRules(interval_minutes=60)).intervals
    assert found["covered_kwh"].round(9).to_list() == [0.5]  # 10 minutes of 3 kW, and not 3 kWh
    assert found.select("energy_kwh", "quality", "reason").rows() == [(None, "missing", "gap")]


def test_intervals_that_nothing_was_heard_of_are_listed_as_missing():
    points = [(0, 1.0), (1800, 1.0), (3 * 3600, 1.0), (3 * 3600 + 1800, 1.0)]
    found = rows(points, max_gap_seconds=1800)
    assert [quality for *_, quality, _ in found] == ["measured", *["missing"] * 5, "measured"]
    assert [energy for energy, *_ in found][1:6] == [None] * 5


def test_a_mostly_covered_interval_is_estimated_and_not_scaled_up():
    points = [(60 * minute, 1.0) for minute in range(3, 31)]
    assert rows(points) == [(0.45, 0.9, "estimated", "partly_covered")]


def test_samples_exactly_max_gap_apart_count_and_a_second_more_does_not():
    assert rows([(0, 1.0), (300, 1.0)], interval_minutes=5) == [(round(1 / 12, 9), 1.0, "measured", "")]
    assert rows([(0, 1.0), (301, 1.0)], interval_minutes=5)[0] == (None, 0.0, "missing", "gap")


def test_useless_samples_are_set_aside_with_a_reason_and_the_later_of_two_counts():
    points = [(0, 1.0), (0, 2.0), (10, None), (20, float("nan")), (30, float("inf")), (60, 2.0)]
    found = energy_from_samples(samples(points), SampleRules(interval_minutes=1))
    assert sorted(found.set_aside["reason"]) == ["null_value"] * 3 + ["repeated_time"]
    assert found.intervals["energy_kwh"].round(9).to_list() == [round(2 / 60, 9)]


def test_meters_do_not_touch_each_other_and_order_does_not_matter():
    both = pl.concat([samples([(0, 1.0), (60, 1.0)]), samples([(0, 60.0), (60, 60.0)], meter="n")])
    rules = SampleRules(interval_minutes=1)
    found = energy_from_samples(both, rules).intervals
    assert found.equals(energy_from_samples(both.reverse(), rules).intervals)
    assert found["energy_kwh"].round(9).to_list() == [round(1 / 60, 9), 1.0]


@pytest.mark.parametrize("count", [0, 1])
def test_no_sample_or_one_gives_no_energy(count):
    found = energy_from_samples(samples([(5, 1.0)] * count), SampleRules()).intervals
    assert found["energy_kwh"].drop_nulls().is_empty()


@pytest.mark.parametrize(
    "wrong",
    [
        {"unit": "kWh"},
        {"unit": "VA"},
        {"interval_minutes": 7},
        {"method": "spline"},
        {"max_gap_seconds": 0},
        {"min_coverage": 0},
        {"min_coverage": 1.1},
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong):
    with pytest.raises(QuantityInvalid):
        SampleRules(**wrong)


POINTS = st.lists(
    st.tuples(st.floats(0.001, 900).map(lambda step: round(step, 3)), st.floats(-20, 20)), min_size=2, max_size=60
)


@settings(max_examples=60)
@given(steps=POINTS, minutes=st.sampled_from([1, 15, 30, 60]), method=st.sampled_from(["hold", "trapezoid"]))
def test_cutting_into_intervals_neither_makes_nor_loses_energy(steps, minutes, method):
    """The oracle is numpy over the samples themselves, segments longer than the limit left out."""
    seconds = np.round(np.cumsum([step for step, _ in steps]), 3)
    power = np.array([value for _, value in steps])
    length = np.round(np.diff(seconds), 6)
    mean = power[:-1] if method == "hold" else (power[:-1] + power[1:]) / 2
    kept = length <= 300
    found = energy_from_samples(
        samples(list(zip(seconds.tolist(), power.tolist(), strict=True))),
        SampleRules(interval_minutes=minutes, method=method, max_gap_seconds=300),
    ).intervals
    assert found["covered_kwh"].sum() == pytest.approx((mean * length)[kept].sum() / 3600, abs=1e-6)
    assert found["coverage"].sum() * minutes * 60 == pytest.approx(length[kept].sum(), abs=1e-3)
    assert found["coverage"].is_between(0, 1).all()
    assert found["interval_start_utc"].diff().drop_nulls().unique().to_list() in ([], [timedelta(minutes=minutes)])


@pytest.mark.shared_data
def test_a_minute_file_of_a_real_home_gives_its_known_energy(request):
    path = request.config.rootpath / "../shared/data/uci_household_power/household_power_consumption_head.txt.gz"
    if not path.exists():
        pytest.skip("../shared/data is not there: the UCI household file is not checked")
    raw = pl.read_csv(path, separator=";", null_values="?", infer_schema=False)
    frame = raw.select(
        pl.lit("uci").alias("meter_id"),
        pl.lit("main").alias("channel"),
        (pl.col("Date") + " " + pl.col("Time")).str.to_datetime("%d/%m/%Y %H:%M:%S").alias("measured_at_utc"),
        pl.col("Global_active_power").cast(pl.Float64).alias("power"),
    )
    minutes_of_power = frame["power"].sum() / 60
    assert minutes_of_power == pytest.approx(1063.84, abs=0.005)
    found = energy_from_samples(frame, SampleRules(method="hold", max_gap_seconds=90)).intervals
    lone = frame.filter(pl.col("measured_at_utc").diff().shift(-1).fill_null(timedelta(days=1)) > timedelta(minutes=1))
    assert lone.height == 3  # before the two jumps of three minutes, and the last sample: nothing is known after them
    assert found["covered_kwh"].sum() == pytest.approx(minutes_of_power - lone["power"].sum() / 60, abs=1e-6)
