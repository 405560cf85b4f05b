from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from energy_platform.adapters.control_files import load_intent
from energy_platform.domain.errors import ReplayImpossible
from energy_platform.domain.intents.declaration import Intent
from energy_platform.domain.intents.expected import expected_of
from energy_platform.domain.intents.loads import site_days
from energy_platform.domain.intents.outcome import replay
from energy_platform.domain.intents.replay import run_day
from energy_platform_tests.domain.intents.builders import intent, most_in_an_hour
from energy_platform_tests.domain.intents.test_declaration import SHIPPED

DAY = date(2024, 6, 3)


def readings(*rows) -> pl.DataFrame:
    names = ["channel", "local_date", "local_minute", "interval_minutes", "energy_kwh"]
    return pl.DataFrame(rows, schema=names, orient="row")


def test_slots_are_the_sums_of_their_readings_and_the_whole_load_is_that_of_its_channel():
    rows = [
        (channel, DAY, minute, 5, kwh)
        for channel, kwh in (("main", 1.0), ("heater", 0.25), ("fridge", 0.1))
        for minute in (0, 5, 10, 15)
    ]
    found = site_days(readings(*rows), intent(total_channel="main"))
    assert found.dates == (DAY,)
    assert found.total_kwh[0, 0] == pytest.approx(3.0)
    assert np.isnan(found.total_kwh[0, 1]), "five minutes of fifteen are no slot"
    assert found.device_kwh["heater"][0, 0] == pytest.approx(0.75)
    summed = site_days(readings(*rows), intent())
    assert summed.total_kwh[0, 0] == pytest.approx(3 * 1.35)


def test_without_a_channel_of_the_whole_load_a_slot_needs_every_channel():
    rows = [(channel, DAY, minute, 15, 1.0) for channel in ("heater", "fridge") for minute in (0, 15)]
    found = site_days(readings(*rows[:-1]), intent())
    assert found.total_kwh[0, 0] == 2.0
    assert np.isnan(found.total_kwh[0, 1])


def test_the_hour_that_a_clock_change_repeats_is_no_slot():
    rows = [(channel, DAY, 120, 15, 1.0) for channel in ("heater", "fridge")] * 2
    assert np.isnan(site_days(readings(*rows), intent()).total_kwh).all()


def test_a_channel_that_is_not_there_and_readings_that_are_too_coarse_are_errors():
    with pytest.raises(ReplayImpossible, match="no readings of 'fridge'"):
        site_days(readings(("heater", DAY, 0, 15, 1.0)), intent())
    with pytest.raises(ReplayImpossible, match="give slot_minutes: 30"):
        site_days(readings(*((name, DAY, 0, 30, 1.0) for name in ("heater", "fridge"))), intent())


def uci_days(path, goal: Intent):
    """The UCI house as a second way reads it: polars alone, no lake."""
    raw = pl.read_csv(
        path, separator=";", null_values=["?", ""], schema_overrides={"Date": pl.String, "Time": pl.String}
    )
    start = (pl.col("Date") + " " + pl.col("Time")).str.to_datetime("%d/%m/%Y %H:%M:%S") + timedelta(hours=1)
    channels = {"main": pl.col("Global_active_power").cast(pl.Float64, strict=False) / 60} | {
        f"Sub_metering_{n}": pl.col(f"Sub_metering_{n}").cast(pl.Float64, strict=False) / 1000 for n in (1, 2, 3)
    }
    long = pl.concat(
        raw.select(
            channel=pl.lit(name),
            local_date=start.dt.date(),
            local_minute=start.dt.hour().cast(pl.Int32) * 60 + start.dt.minute(),
            interval_minutes=pl.lit(1),
            energy_kwh=kwh,
        )
        for name, kwh in channels.items()
    )
    return site_days(long.drop_nulls(), goal)


@pytest.mark.shared_data
def test_on_a_real_home_the_shipped_intent_takes_from_evenings_and_says_where_it_fails(shared_data):
    goal = load_intent(next(path for path in SHIPPED if path.stem == "house_evenings"))
    load = uci_days(next((shared_data / "uci_household_power").glob("*.txt.gz")), goal)
    outcome = replay(load, goal, first=load.dates[0], last=load.dates[-1])
    total = outcome.summary()
    assert (outcome.days[0].day, outcome.days[-1].day, total["days"]) == (date(2006, 12, 21), date(2007, 1, 10), 15)
    assert total["days_met_without"] < total["days_met"] < total["days"]
    assert total["removed_kwh"] > 10
    assert total["day_saved_kwh"] == pytest.approx(0, abs=1e-6), "a water heater heats later"
    assert total["day_saved_pence"] == pytest.approx(total["removed_kwh"] * (24 - 18), rel=0.01)
    assert all(day.why_failed for day in outcome.failed)
    # An independent count of what the file holds of the first evening: sums of the column itself.
    evening = load.total_kwh[load.dates.index(date(2006, 12, 21))][17 * 12 : 21 * 12].sum()
    assert outcome.days[0].without_kwh == pytest.approx(evening)
    for at, day in enumerate(load.dates):
        expected = expected_of(load, at, goal)
        if expected is not None and goal.when.holds_on(day) and not np.isnan(load.total_kwh[at][204:]).any():
            assert most_in_an_hour(run_day(load, at, expected, goal), goal) <= 2
