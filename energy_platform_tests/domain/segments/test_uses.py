"""What segments are used for: comparisons with similar homes, and the hours of a young one."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_platform.domain.segments.choosing import EVIDENCE, Choice
from energy_platform.domain.segments.comparisons import comparisons
from energy_platform.domain.segments.expected import OWN_DAYS, expected_hours
from energy_platform.domain.segments.segmenting import segment_homes
from energy_platform_tests.domain.segments.planted import SHAPES, planted

DAY = date(2013, 7, 15)


def months_of(energies: dict[str, float], *, month: int = 1, completeness: float = 1.0) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "site_id": list(energies),
            "source": "homes",
            "commodity": "electricity",
            "local_month": date(2013, month, 1),
            "energy_kwh": list(energies.values()),
            "completeness": completeness,
        }
    )


def members_of(segments: dict[str, str]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "site_id": list(segments),
            "source": "homes",
            "commodity": "electricity",
            "segment": list(segments.values()),
        }
    )


@given(st.lists(st.floats(0, 1e4), min_size=6, max_size=40))
def test_quartiles_and_ranks_are_those_of_numpy(energies: list[float]) -> None:
    homes = {f"h{number}": energy for number, energy in enumerate(energies)}
    found = comparisons(months_of(homes), members_of(dict.fromkeys(homes, "night")))
    assert found.height == len(energies)
    quartiles = np.quantile(energies, [0.25, 0.5, 0.75])
    row = found.row(0, named=True)
    np.testing.assert_allclose(
        [row["lower_quartile_kwh"], row["median_kwh"], row["upper_quartile_kwh"]], quartiles, rtol=1e-9, atol=1e-9
    )
    for home, share in found.select("site_id", "share_below").iter_rows():
        below = sum(energy < homes[home] for energy in energies)
        assert share == pytest.approx(below / (len(energies) - 1))


def test_a_home_is_compared_with_its_own_segment_and_not_with_fewer_than_five_others() -> None:
    homes = {f"h{number}": float(number) for number in range(8)}
    segments = {home: "night" if number < 2 else "flat" for number, home in enumerate(homes)}
    found = comparisons(months_of(homes), members_of(segments))
    assert set(found["site_id"]) == {f"h{number}" for number in range(2, 8)}
    assert set(found["median_kwh"]) == {4.5}


def test_months_with_gaps_are_neither_compared_nor_compared_with() -> None:
    homes = {f"h{number}": float(number) for number in range(7)}
    broken = months_of({"h0": 900.0}, completeness=0.5)
    whole = months_of({home: energy for home, energy in homes.items() if home != "h0"})
    found = comparisons(pl.concat([whole, broken]), members_of(dict.fromkeys(homes, "flat")))
    assert "h0" not in found["site_id"]
    assert set(found["peers"]) == {5}


@pytest.fixture(scope="module")
def shapes() -> pl.DataFrame:
    profiles, _ = planted(homes_each=14, kinds=("evening-peak", "night", "midday"), seed=3, spread=0.05)
    three = Choice(3, "as planted", pl.DataFrame(schema=EVIDENCE))
    return segment_homes(profiles, seed=1, choice=three).shapes


def young(shape: np.ndarray, *, days: int, scale: float = 1.0, weekend: bool = False) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "site_id": "new",
            "is_weekend": weekend,
            "local_hour": range(24),
            "mean_kwh": scale * shape,
            "hours": float(days),
        }
    )


@pytest.mark.parametrize("kind", ["evening-peak", "night", "midday"])
def test_after_one_day_a_young_home_gets_the_shape_of_its_kind_at_its_own_level(shapes, kind: str) -> None:
    found = expected_hours(young(SHAPES[kind], days=1, scale=0.7), shapes, day=DAY)
    assert set(found["segment"]) == {kind}
    assert found.height == 48
    weekend = found.filter("is_weekend")
    # It has not been seen on a weekend: all of that is its segment's.
    assert weekend["own_weight"].to_list() == [0.0] * 24
    np.testing.assert_allclose(weekend["expected_kwh"], 0.7 * SHAPES[kind], rtol=0.2)


def test_its_own_hours_weigh_more_the_more_there_are(shapes) -> None:
    odd = np.roll(SHAPES["night"], 2)
    off = []
    for days in (1, 7, 20):
        weekdays = expected_hours(young(odd, days=days), shapes, day=DAY).filter(~pl.col("is_weekend"))
        assert weekdays["own_weight"][0] == pytest.approx(days / (days + OWN_DAYS))
        off.append(float((weekdays["expected_kwh"] - pl.Series(odd)).abs().sum()))
    assert off[0] > off[1] > off[2]


def test_a_home_that_uses_next_to_nothing_gets_no_expectation(shapes) -> None:
    assert expected_hours(young(SHAPES["night"] * 1e-4, days=3), shapes, day=DAY).is_empty()


def test_in_the_first_year_the_season_before_stands_in(shapes) -> None:
    spring = shapes.filter(pl.col("season") == "mar-may")
    assert set(expected_hours(young(SHAPES["night"], days=3), spring, day=DAY)["season"]) == {"mar-may"}
    assert expected_hours(young(SHAPES["night"], days=3), spring.clear(), day=DAY).is_empty()
