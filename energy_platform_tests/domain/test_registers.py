"""Registers to energy: hand-checked cases of what goes wrong with them, and what always holds."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_platform.domain.errors import QuantityInvalid
from energy_platform.domain.registers import RegisterRules, energy_from_registers

START = datetime(2024, 3, 1)
RULES = RegisterRules()


def at(minutes, seconds=0):
    return START + timedelta(minutes=minutes, seconds=seconds)


def reads(*rows, serial=None, meter="m"):
    return pl.DataFrame(
        {
            "meter_id": [meter] * len(rows),
            "channel": ["main"] * len(rows),
            "read_at_utc": [row[0] for row in rows],
            "register_kwh": [row[1] for row in rows],
            "serial": [row[2] if len(row) > 2 else serial for row in rows],
        },
        schema={
            "meter_id": pl.String,
            "channel": pl.String,
            "read_at_utc": pl.Datetime("us"),
            "register_kwh": pl.Float64,
            "serial": pl.String,
        },
    )


def outcome(frame, rules=RULES):
    found = energy_from_registers(frame, rules)
    rows = [
        (None if energy is None else round(energy, 6), quality, reason)
        for energy, quality, reason in found.intervals.select("energy_kwh", "quality", "reason").rows()
    ]
    return rows, found


MEASURED = "measured"
MISSING = "missing"


def test_plain_reads_on_the_grid_are_the_differences():
    rows, found = outcome(reads((at(0), 10.0), (at(30), 10.5), (at(60), 10.5), (at(90), 12.0)))
    assert rows == [(0.5, MEASURED, ""), (0.0, MEASURED, ""), (1.5, MEASURED, "")]
    assert found.intervals["interval_start_utc"].to_list() == [at(0), at(30), at(60)]
    assert found.gaps.is_empty()
    assert found.set_aside.is_empty()


def test_thirty_seconds_either_way_are_the_grid_point():
    rows, _ = outcome(reads((at(0, -30), 1.0), (at(30, 30), 2.0), (at(60, -29.5), 3.0)))
    assert rows == [(1.0, MEASURED, ""), (1.0, MEASURED, "")]


def test_a_read_off_the_grid_is_no_grid_point_and_the_interval_around_it_is_a_gap():
    rows, found = outcome(reads((at(0), 1.0), (at(31), 2.0), (at(60), 3.0)))
    assert rows == [(None, MISSING, "gap")] * 2
    assert found.gaps.select("from_utc", "to_utc", "energy_kwh", "reason").rows() == [(at(0), at(60), 2.0, "gap")]


def test_reads_off_the_grid_before_the_first_and_after_the_last_are_set_aside():
    rows, found = outcome(reads((at(-10), 0.5), (at(0), 1.0), (at(30), 2.0), (at(40), 2.5)))
    assert rows == [(1.0, MEASURED, "")]
    assert found.set_aside.select("read_at_utc", "reason").rows() == [(at(-10), "off_grid"), (at(40), "off_grid")]


def test_the_nearest_of_two_reads_stands_for_a_grid_point():
    rows, found = outcome(reads((at(0), 1.0), (at(30, -20), 1.9), (at(30, 5), 2.0), (at(60), 3.0)))
    assert rows == [(1.0, MEASURED, ""), (1.0, MEASURED, "")]
    assert found.set_aside.is_empty()


def test_a_gap_is_not_one_intervals_energy_and_its_energy_is_kept():
    rows, found = outcome(reads((at(0), 1.0), (at(30), 2.0), (at(150), 8.0), (at(180), 9.0)))
    assert rows == [(1.0, MEASURED, ""), *[(None, MISSING, "gap")] * 4, (1.0, MEASURED, "")]
    assert found.gaps.select("from_utc", "to_utc", "energy_kwh").rows() == [(at(30), at(150), 6.0)]


def test_a_gap_is_spread_as_estimated_when_asked_for():
    frame = reads((at(0), 1.0), (at(30), 2.0), (at(150), 8.0))
    rows, found = outcome(frame, RegisterRules(spread_gaps=True))
    assert rows == [(1.0, MEASURED, ""), *[(1.5, "estimated", "gap_spread")] * 4]
    assert found.gaps["energy_kwh"].to_list() == [6.0]


def test_a_reset_makes_its_interval_missing_and_nothing_else():
    rows, _ = outcome(reads((at(0), 500.0), (at(30), 501.0), (at(60), 0.25), (at(90), 1.0)))
    assert rows == [(1.0, MEASURED, ""), (None, MISSING, "reset"), (0.75, MEASURED, "")]


def test_a_reset_within_a_gap_is_not_spread():
    rows, found = outcome(reads((at(0), 500.0), (at(120), 3.0)), RegisterRules(spread_gaps=True))
    assert rows == [(None, MISSING, "reset")] * 4
    assert found.gaps.select("energy_kwh", "reason").rows() == [(None, "reset")]


def test_a_register_of_declared_digits_rolls_over():
    rows, _ = outcome(reads((at(0), 99_999.5), (at(30), 0.5), (at(60), 1.0)), RegisterRules(digits=5))
    assert rows == [(1.0, MEASURED, "rollover"), (0.5, MEASURED, "")]


def test_without_declared_digits_the_same_reads_are_a_reset():
    rows, _ = outcome(reads((at(0), 99_999.5), (at(30), 0.5), (at(60), 1.0)))
    assert rows == [(None, MISSING, "reset"), (0.5, MEASURED, "")]


def test_a_fall_from_the_middle_is_a_reset_even_after_a_gap_of_months():
    rows, _ = outcome(reads((at(0), 60_000.0), (at(60 * 24 * 60), 10.0)), RegisterRules(digits=5))
    assert {reason for _, _, reason in rows} == {"reset"}


def test_a_lone_spurious_zero_is_set_aside_and_costs_no_energy():
    rows, found = outcome(reads((at(0), 53_700.0), (at(30), 0.0), (at(60), 53_701.0), (at(90), 53_702.0)))
    assert rows == [(None, MISSING, "gap")] * 2 + [(1.0, MEASURED, "")]
    assert found.gaps["energy_kwh"].to_list() == [1.0]
    assert found.set_aside.select("register_kwh", "reason").rows() == [(0.0, "glitch")]


def test_a_lone_spurious_peak_is_set_aside_too():
    rows, found = outcome(reads((at(0), 10.0), (at(30), 20_193.0), (at(60), 11.0)))
    assert rows == [(None, MISSING, "gap")] * 2
    assert found.gaps["energy_kwh"].to_list() == [1.0]


def test_two_spurious_zeros_never_become_an_absurd_step_upwards():
    rows, _ = outcome(reads((at(0), 53_700.0), (at(30), 0.0), (at(60), 0.0), (at(90), 53_701.0)))
    assert rows == [(None, MISSING, "reset"), (0.0, MEASURED, ""), (None, MISSING, "implausible")]


def test_an_exchange_on_the_grid_with_both_reads_loses_nothing():
    frame = reads((at(0), 900.0, "A"), (at(30), 901.0, "A"), (at(30), 0.0, "B"), (at(60), 0.5, "B"))
    rows, _ = outcome(frame)
    assert rows == [(1.0, MEASURED, "meter_exchange"), (0.5, MEASURED, "")]


def test_an_exchange_between_grid_points_with_both_reads_loses_nothing():
    frame = reads((at(0), 900.0, "A"), (at(10), 900.4, "A"), (at(10), 7.0, "B"), (at(30), 7.6, "B"), (at(60), 8.0, "B"))
    rows, _ = outcome(frame)
    assert rows == [(1.0, MEASURED, "meter_exchange"), (0.4, MEASURED, "")]


def test_the_order_of_rows_does_not_matter_for_an_exchange():
    frame = reads((at(0), 900.0, "A"), (at(10), 900.4, "A"), (at(10), 7.0, "B"), (at(30), 7.6, "B"))
    assert outcome(frame)[0] == outcome(frame.reverse())[0]


def test_an_exchange_without_its_reads_is_missing_even_when_the_new_register_stands_higher():
    rows, _ = outcome(reads((at(0), 900.0, "A"), (at(30), 901.0, "B"), (at(60), 902.0, "B")))
    assert rows == [(None, MISSING, "exchange_without_reads"), (1.0, MEASURED, "")]


def test_reads_that_say_the_same_twice_or_contradict_are_set_aside_the_later_row_wins():
    frame = reads((at(0), 1.0), (at(0), 1.0), (at(30), 2.0), (at(30), 2.5), (at(60), 3.0))
    rows, found = outcome(frame)
    assert rows == [(1.5, MEASURED, ""), (0.5, MEASURED, "")]
    assert found.set_aside.select("register_kwh", "reason").rows() == [(1.0, "repeated"), (2.0, "conflicting")]


def test_empty_and_infinite_values_are_set_aside():
    _, found = outcome(
        reads((at(0), 1.0), (at(10), None), (at(20), float("nan")), (at(25), float("inf")), (at(30), 2.0))
    )
    assert found.set_aside["reason"].to_list() == ["null_value"] * 3
    assert found.intervals["energy_kwh"].to_list() == [1.0]


@pytest.mark.parametrize("count", [0, 1])
def test_no_read_or_one_gives_no_interval(count):
    found = energy_from_registers(reads(*[(at(0), 1.0)] * count), RULES)
    assert found.intervals.is_empty()


def test_a_source_without_serials_works():
    found = energy_from_registers(reads((at(0), 1.0), (at(30), 2.0)).drop("serial"), RULES)
    assert found.intervals["energy_kwh"].to_list() == [1.0]


def test_meters_do_not_touch_each_other():
    one, two = reads((at(0), 1.0), (at(30), 2.0)), reads((at(0), 500.0), (at(30), 503.0), meter="n")
    found = energy_from_registers(pl.concat([two, one]), RULES).intervals
    assert found.select("meter_id", "energy_kwh").rows() == [("m", 1.0), ("n", 3.0)]


@pytest.mark.parametrize(
    "wrong",
    [{"interval_minutes": 7}, {"interval_minutes": 0}, {"digits": 1}, {"jitter_seconds": 901}, {"max_power_kw": 0}],
)
def test_rules_that_make_no_sense_are_refused(wrong):
    with pytest.raises(QuantityInvalid):
        RegisterRules(**wrong)


ENERGIES = st.lists(st.floats(0, 40), min_size=1, max_size=60)


@settings(max_examples=60)
@given(energies=ENERGIES, begin=st.floats(0, 99_999), data=st.data())
def test_any_register_that_rolls_over_jitters_and_loses_reads_gives_back_the_energy_that_flowed(energies, begin, data):
    """The oracle is the energy put in: every known interval exactly, every gap as its sum."""
    jitter = data.draw(st.lists(st.integers(-30, 30), min_size=len(energies) + 1, max_size=len(energies) + 1))
    lost = data.draw(st.sets(st.integers(1, max(1, len(energies) - 1)), max_size=len(energies) // 2))
    total, rows = begin, []
    for slot in range(len(energies) + 1):
        if slot:
            total += energies[slot - 1]
        if slot not in lost or slot in {0, len(energies)}:
            rows.append((at(30 * slot, jitter[slot]), total % 100_000))
    found = energy_from_registers(reads(*rows), RegisterRules(digits=5))
    assert found.intervals.height == len(energies)
    for slot, energy in enumerate(found.intervals["energy_kwh"]):
        assert energy is None or energy == pytest.approx(energies[slot], abs=1e-6)
    known = (found.intervals["energy_kwh"].sum() or 0) + (found.gaps["energy_kwh"].sum() or 0)
    assert known == pytest.approx(sum(energies), abs=1e-5)


@settings(max_examples=60)
@given(values=st.lists(st.floats(0, 1e6), min_size=2, max_size=40))
def test_whatever_a_register_says_no_interval_is_negative_or_above_the_possible_power(values):
    found = energy_from_registers(
        reads(*((at(30 * slot), value) for slot, value in enumerate(values))), RegisterRules(digits=6)
    )
    known = found.intervals["energy_kwh"].drop_nulls()
    assert known.is_between(0, 50 + 1e-6).all()
    assert found.intervals.filter(pl.col("energy_kwh").is_null() != (pl.col("quality") == MISSING)).is_empty()
    assert found.intervals.filter((pl.col("quality") == MISSING) & (pl.col("reason") == "")).is_empty()
