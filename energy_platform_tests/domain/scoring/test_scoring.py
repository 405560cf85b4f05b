"""Events to scores: what goes in comes out with its own time, together where it belongs together, never filled in."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_platform.domain.errors import DetectorInput
from energy_platform.domain.events import parse_events
from energy_platform.domain.scoring.bundle import OF_A_CHANNEL, OF_A_PANEL, Scoring, learn
from energy_platform.domain.scoring.panels import EVENTS, Assembler, Panel, events_of

START = datetime(2018, 7, 2)
INPUTS = (("floor", "ac", "energy_kwh"), ("floor", "light", "energy_kwh"), ("floor", "plug", "energy_kwh"))


def events(values: np.ndarray, *, start: datetime = START) -> pl.DataFrame:
    """One row a minute and input; values of shape (minutes, inputs), NaN: not sent."""
    rows = [
        (meter, channel, start + timedelta(minutes=minute), quantity, float(values[minute, place]))
        for minute in range(len(values))
        for place, (meter, channel, quantity) in enumerate(INPUTS)
        if not np.isnan(values[minute, place])
    ]
    return pl.DataFrame(rows, schema=EVENTS, orient="row")


def usual(minutes: int, seed: int = 0) -> np.ndarray:
    level = 1 + np.random.default_rng(seed).random((minutes, 1))
    return level * np.array([1.0, 0.5, 0.2]) + np.random.default_rng(seed + 1).normal(0, 0.05, (minutes, 3))


@pytest.fixture(scope="module")
def models():
    return learn(events(usual(1_500)), {})


def test_every_event_comes_out_with_the_time_it_went_in_with(models) -> None:
    sent = events(usual(50, seed=5), start=datetime(2018, 8, 1, 23, 50))
    scored = Scoring(models).score(sent)
    single = scored.filter(detector=OF_A_CHANNEL)
    assert single.select("meter_id", "channel", "event_at_utc", "quantity").equals(
        sent.select("meter_id", "channel", "event_at_utc", "quantity")
    )
    instants = sent["event_at_utc"].unique().sort()
    for name in OF_A_PANEL:
        assert scored.filter(detector=name)["event_at_utc"].to_list() == instants.to_list()


@pytest.mark.parametrize("name", OF_A_PANEL)
def test_all_four_models_call_a_planted_fault_anomalous_and_most_usual_minutes_not(models, name: str) -> None:
    minutes = usual(400, seed=9)
    faults = np.arange(20, 400, 40)
    minutes[faults] = [6.0, 0.0, 3.0]
    scored = Scoring(models).score(events(minutes)).filter(detector=name)
    called = scored["is_anomalous"].to_numpy()
    assert called[faults].all()
    assert np.delete(called, faults).mean() < 0.05
    assert all("/" in reason for reason in scored.filter("is_anomalous")["reason"])


def test_a_cluster_number_is_no_answer(models) -> None:
    scored = Scoring(models).score(events(usual(300, seed=2))).filter(detector="k_means_2")
    assert scored["score"].n_unique() > 200
    assert scored["is_anomalous"].dtype == pl.Boolean


def test_an_instant_without_an_input_is_passed_on_and_not_judged(models) -> None:
    minutes = usual(10, seed=3)
    minutes[4, 1] = np.nan
    scored = Scoring(models).score(events(minutes)).filter(detector="isolation_forest")
    assert scored.height == 10
    assert scored["score"].is_null().to_list() == [minute == 4 for minute in range(10)]
    assert not scored["is_anomalous"][4]


@given(st.permutations(range(30)), st.integers(1, 30))
def test_in_whatever_pieces_and_order_inputs_come_an_instant_is_put_together_once(order: list[int], size: int) -> None:
    values = np.arange(30, dtype=float).reshape(10, 3)
    shuffled = events(values)[list(order)]
    assembler = Assembler(Panel("floor", INPUTS), patience=10)
    parts = [assembler.add(shuffled[at : at + size]) for at in range(0, 30, size)]
    whole = pl.concat([*parts, assembler.drain()]).sort("event_at_utc")
    assert whole["event_at_utc"].to_list() == [START + timedelta(minutes=minute) for minute in range(10)]
    np.testing.assert_array_equal(whole.select(Panel("floor", INPUTS).columns).to_numpy(), values)


def test_a_repeated_message_does_not_bring_an_instant_up_again() -> None:
    sent = events(usual(20))
    assembler = Assembler(Panel("floor", INPUTS))
    assert assembler.add(sent).height == 20
    assert assembler.add(sent).is_empty()
    assert assembler.late == 60


def test_an_instant_is_waited_for_until_two_later_ones_have_come() -> None:
    minutes = usual(3)
    minutes[0, 2] = np.nan
    assembler = Assembler(Panel("floor", INPUTS))
    sent = events(minutes)
    assert assembler.add(sent.filter(pl.col("event_at_utc") == START)).is_empty()
    second = assembler.add(sent.filter(pl.col("event_at_utc") == START + timedelta(minutes=1)))
    assert second["event_at_utc"].to_list() == [START + timedelta(minutes=1)]
    late = pl.DataFrame([(*INPUTS[2][:2], START, "energy_kwh", 0.7)], schema=EVENTS, orient="row")
    assert assembler.add(late)["value"].to_list() == [3.0]


def test_memory_of_unfinished_instants_is_bounded() -> None:
    assembler = Assembler(Panel("floor", INPUTS))
    only_one = events(usual(500)).filter(pl.col("channel") == "ac")
    passed = assembler.add(only_one)
    assert passed.height == 498
    assert passed["value"].to_list() == [1.0] * 498


def test_all_three_shapes_of_events_become_rows_with_their_own_time() -> None:
    reading = {
        "meter_id": "m",
        "interval_start": "2024-01-01T00:30:00+01:00",
        "interval_minutes": 30,
        "energy_kwh": 0.5,
    }
    sensor = {"sensor_id": "gas-1", "timestamp": 1_704_067_200.25, "data": {"value": 3.5}}
    esp32 = dict.fromkeys("abcdefghi", "1.00") | {"timestamp": 1_704_067_200, "device_id": "esp"}
    batch = parse_events([orjson.dumps(one) for one in (reading, sensor, esp32)], received_at_utc=datetime(2024, 1, 2))
    found = events_of(batch)
    assert found.schema == EVENTS
    assert found.row(0) == ("m", "main", datetime(2023, 12, 31, 23, 30), "energy_kwh", 0.5)
    assert found.row(1) == ("gas-1", "main", datetime(2024, 1, 1, 0, 0, 0, 250_000), "value", 3.5)
    assert found.height == 2 + 9
    assert events_of(parse_events([b"no"], received_at_utc=datetime(2024, 1, 2))).equals(pl.DataFrame(schema=EVENTS))


def test_a_history_of_nothing_is_refused_and_a_short_one_says_what_it_leaves_out() -> None:
    with pytest.raises(DetectorInput, match="nothing to learn from"):
        learn(pl.DataFrame(schema=EVENTS), {})
    short = learn(events(usual(4)), {})
    assert short.panels == ()
    assert sum("is left out" in note for note in short.notes) == 4


def test_meters_of_one_site_are_judged_together() -> None:
    rows = events(usual(60))
    split = rows.with_columns(meter_id=pl.col("channel"), channel=pl.lit("main"))
    found = learn(split, {"ac": "office", "light": "office", "plug": "office"})
    assert [fitted.panel.name for fitted in found.panels] == ["office"]
    assert learn(split, {}).panels == ()
