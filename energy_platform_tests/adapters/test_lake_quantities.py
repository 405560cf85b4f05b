from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from energy_platform.domain.registers import RegisterRules, energy_from_registers
from energy_platform_tests.lake_files import Lake, half_hours, local_source

DAY = datetime(2026, 3, 1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def _source(lake: Lake, **said: object) -> None:
    lake.declarations["local"] = local_source(**said)


def _energies(lake: Lake) -> list[tuple[object, ...]]:
    """The readings in use: of each interval the newest version."""
    return lake.read(
        """SELECT meter_id, interval_start_utc, round(energy_kwh, 6), quality FROM lake.readings
           QUALIFY row_number() OVER (PARTITION BY meter_id, channel, interval_start_utc ORDER BY available_at_utc DESC) = 1
           ORDER BY ALL"""
    ).rows()


@pytest.mark.parametrize(
    ("unit", "kwh"),
    [
        ("kWh", 3.0),
        ("Wh", 0.003),
        ("MWh", 3000.0),
        ("MJ", 3 / 3.6),
        ("GJ", 3000 / 3.6),
        ("therm", 87.921321),
        ("W", 0.0015),
        ("kW", 1.5),
        ("MW", 1500.0),
    ],
)
def test_units_of_energy_and_mean_power_become_kwh(lake: Lake, unit: str, kwh: float) -> None:
    _source(lake, value={"column": "kwh", "unit": unit})
    lake.put("a.csv", f"meter,t,kwh\nM1,{DAY},3\n", source="local")
    lake.load()
    assert lake.read("SELECT energy_kwh FROM lake.readings").item() == pytest.approx(kwh)


@pytest.mark.parametrize(("unit", "kwh"), [("m3", 1116.38), ("100ft3", 3159.36), ("ft3", 31.5936)])
def test_gas_volumes_become_energy_by_their_calorific_value(lake: Lake, unit: str, kwh: float) -> None:
    gas = {"unit": unit, "column": "v", "calorific_value": {"mj_per_m3": 39.3}}
    _source(lake, value=gas, commodity="gas")
    lake.put("a.csv", f"meter,t,v\nG1,{DAY},100\n", source="local")
    lake.load()
    assert lake.read("SELECT energy_kwh FROM lake.readings").item() == pytest.approx(kwh, abs=0.005)


def test_a_calorific_value_that_changes_by_row_is_taken_from_its_column(lake: Lake) -> None:
    _source(lake, value={"unit": "m3", "column": "v", "calorific_value": {"column": "cv"}}, commodity="gas")
    rows = [(DAY, 39.3), (DAY + timedelta(minutes=30), 38.9), (DAY + timedelta(minutes=60), 10.9)]
    text = "\n".join(["meter,t,v,cv", *(f"G1,{stamp},100,{cv}" for stamp, cv in rows)])
    lake.put("a.csv", text, source="local")
    lake.load()
    found = (
        lake.read("SELECT round(energy_kwh, 2) FROM lake.readings ORDER BY interval_start_utc").to_series().to_list()
    )
    assert found == [1116.38, 1105.02]
    assert lake.read("SELECT reason, column_name FROM lake.rejected").rows() == [("BAD_CALORIFIC_VALUE", "cv")]


def test_power_over_an_interval_of_its_own_length(lake: Lake) -> None:
    _source(lake, value={"unit": "kW", "column": "kwh"}, interval_minutes_column="n")
    lake.put("a.csv", f"meter,t,kwh,n\nM1,{DAY},2,15\nM1,{DAY + timedelta(hours=1)},2,60\n", source="local")
    lake.load()
    assert lake.read("SELECT energy_kwh FROM lake.readings ORDER BY interval_start_utc").to_series().to_list() == [
        0.5,
        2.0,
    ]


def _samples(count: int, *, without: range = range(0)) -> list[str]:
    stamps = [DAY + timedelta(minutes=minute) for minute in range(count)]
    return [f"M1,{stamp},{1 + index % 3}" for index, stamp in enumerate(stamps) if index not in without]


def _of_samples(lake: Lake) -> None:
    _source(lake, value={"unit": "kW", "column": "kwh", "measures": "samples"})


def test_samples_of_power_become_energy_and_a_gap_none(lake: Lake) -> None:
    _of_samples(lake)
    lake.put("a.csv", "\n".join(["meter,t,kwh", *_samples(121, without=range(40, 55))]), source="local")
    rows = lake.load().rows
    assert (rows.read, rows.accepted) == (106, 106)
    found = _energies(lake)
    assert [start for _, start, _, _ in found] == [DAY, DAY + timedelta(minutes=60), DAY + timedelta(minutes=90)]
    assert found[0] == ("M1", DAY, 1.0, "measured")


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 150), max_size=4), seed=st.randoms(use_true_random=False))
def test_samples_in_many_files_in_any_order_give_what_one_file_does(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], seed: object
) -> None:
    whole, pieces = Lake(tmp_path_factory.mktemp("whole")), Lake(tmp_path_factory.mktemp("pieces"))
    lines = _samples(150)
    _of_samples(whole)
    _of_samples(pieces)
    whole.put("a.csv", "\n".join(["meter,t,kwh", *lines]), source="local")
    whole.load()
    edges = [0, *sorted(cuts), 150]
    parts = [lines[first:last] for first, last in pairwise(edges) if first < last]
    seed.shuffle(parts)  # type: ignore[attr-defined]
    for number, part in enumerate(parts):
        pieces.put(f"{number}.csv", "\n".join(["meter,t,kwh", *part]), source="local")
        if number % 2:
            pieces.load()
    pieces.load()
    assert _energies(pieces) == _energies(whole)
    counts = pieces.read("SELECT sum(rows_read), sum(rows_accepted), sum(rows_duplicate) FROM lake.files").row(0)
    assert counts == (150, 150, 0)


def test_samples_said_again_change_nothing_and_a_corrected_one_makes_a_new_version(lake: Lake) -> None:
    _of_samples(lake)
    lines = _samples(61)
    lake.put("a.csv", "\n".join(["meter,t,kwh", *lines]), source="local")
    lake.load()
    lake.put("b.csv", "\n".join(["meter,t,kwh", *lines[:30]]), source="local")
    assert lake.load().rows.duplicate == 30
    assert lake.read("SELECT count(*) FROM lake.readings").item() == 2
    lake.put("c.csv", f"meter,t,kwh\nM1,{DAY + timedelta(minutes=10)},61\n", source="local")
    rows = lake.load().rows
    assert (rows.accepted, rows.superseding) == (1, 1)
    assert _energies(lake)[0][2] == pytest.approx(1.0 + (61 - 2) / 60, abs=1e-6)
    assert lake.read("SELECT count(*) FROM lake.readings").item() == 3


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.integers(0, 40_000), min_size=2, max_size=40),
    start=st.integers(0, 99_999_999),
    cut=st.integers(1, 39),
)
def test_a_register_with_rollover_jitter_and_a_cut_file_gives_its_steps(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], start: int, cut: int
) -> None:
    lake = Lake(tmp_path_factory.mktemp("register"))
    register = {"digits": 8, "max_power_kw": 100}
    _source(lake, value={"column": "r", "unit": "Wh", "measures": "register", "register": register})
    shown, lines = start, [f"M1,{DAY + timedelta(seconds=20)},{start}"]
    for number, step in enumerate(steps, start=1):
        shown = (shown + step) % 10**8
        lines.append(f"M1,{DAY + timedelta(minutes=30 * number, seconds=-20 if number % 2 else 15)},{shown}")
    cut = min(cut, len(lines) - 1)
    for name, part in (("a", lines[:cut]), ("b", lines[cut:])):
        lake.put(f"{name}.csv", "\n".join(["meter,t,r", *part]), source="local")
        lake.load()
    assert [row[1:3] for row in _energies(lake)] == [
        (stamp, round(step / 1000, 6)) for stamp, step in zip(half_hours(DAY, len(steps)), steps, strict=True)
    ]


def test_a_register_agrees_with_the_arithmetic_it_is_computed_by(lake: Lake) -> None:
    values = [100.0, 100.5, 101.0, 3.0, 3.5, None, 5.0, 5.25]
    stamps = half_hours(DAY, len(values))
    _source(lake, value={"column": "r", "measures": "register"})
    rows = [f"M1,{stamp},{'' if value is None else value}" for stamp, value in zip(stamps, values, strict=True)]
    lake.put("a.csv", "\n".join(["meter,t,r", *rows]), source="local")
    counts = lake.load().rows
    assert (counts.read, counts.accepted, counts.rejected) == (8, 7, 1)
    reads = pl.DataFrame({"meter_id": "M1", "channel": "main", "read_at_utc": stamps, "register_kwh": values})
    expected = energy_from_registers(reads, RegisterRules()).intervals.drop_nulls("energy_kwh")
    assert [row[1:3] for row in _energies(lake)] == expected.select("interval_start_utc", "energy_kwh").rows()


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    case=st.sampled_from(
        [("Europe/London", datetime(2026, 10, 24, 20)), ("America/New_York", datetime(2026, 11, 1, 1))]
    ),
    minutes=st.sampled_from([15, 30, 60]),
    marks=st.sampled_from(["start", "end", "hour_ending"]),
)
def test_local_stamps_in_the_doubled_hour_are_told_apart_by_their_order(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[str, datetime], minutes: int, marks: str
) -> None:
    zone, first = case
    lake = Lake(tmp_path_factory.mktemp("doubled"))
    _source(lake, timestamp={"column": "t", "zone": zone, "marks": marks}, interval_minutes=minutes)
    count = 10 * 60 // minutes
    moments = [first + timedelta(minutes=minutes * number) for number in range(count)]
    shift = timedelta(minutes=minutes if marks == "end" else 0)
    local = pl.Series([moment + shift for moment in moments]).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    if marks == "hour_ending":
        starts = pl.Series(moments).dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.replace_time_zone(None)
        local = starts + timedelta(minutes=minutes)
    lines = [f"M1,{stamp},{number}" for number, stamp in enumerate(local.dt.strftime("%Y-%m-%d %H:%M"))]
    lake.put("a.csv", "\n".join(["meter,t,kwh", *lines]), source="local")
    assert lake.load().rows.accepted == count
    found = lake.read("SELECT interval_start_utc, energy_kwh FROM lake.readings ORDER BY ALL").rows()
    assert found == [(moment, float(number)) for number, moment in enumerate(moments)]


def test_a_local_time_that_the_clocks_skipped_is_rejected_with_its_reason(lake: Lake) -> None:
    _source(lake, timestamp={"column": "t", "zone": "Europe/London"})
    lake.put(
        "a.csv", "meter,t,kwh\nM1,2026-03-29 00:30,1\nM1,2026-03-29 01:30,1\nM1,2026-03-29 02:00,1\n", source="local"
    )
    lake.load()
    assert lake.read("SELECT line_number, reason FROM lake.rejected").rows() == [(3, "NONEXISTENT_TIME")]


def test_labels_of_ended_hours_are_whole_on_the_days_when_the_clocks_change(lake: Lake) -> None:
    said = {"column": "t", "zone": "America/New_York", "marks": "hour_ending"}
    _source(lake, timestamp=said, interval_minutes=60)
    spring = [f"2026-03-08 0{hour}:00" for hour in (1, 2, 4)]
    autumn = [f"2026-11-01 0{hour}:00" for hour in (1, 2, 2, 3)]
    lake.put("a.csv", "\n".join(["meter,t,kwh", *(f"M1,{t},1" for t in [*spring, *autumn])]), source="local")
    assert lake.load().rows.accepted == 7
    found = lake.read("SELECT interval_start_utc FROM lake.readings ORDER BY ALL").to_series().to_list()
    assert found == [
        *(datetime(2026, 3, 8, hour) for hour in (5, 6, 7)),
        *(datetime(2026, 11, 1, hour) for hour in (4, 5, 6, 7)),
    ]
