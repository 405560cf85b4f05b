"""Segments: planted shapes are found, noise is not, names tell the numbers, few homes stay together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from energy_platform.domain.segments import choosing, clustering, naming, refits
from energy_platform.domain.segments.drift import drift
from energy_platform.domain.segments.segmenting import ALL, UNKNOWN, segment_homes
from energy_platform.domain.segments.shapes import BLOCK_DAYS, CELLS, HOURS, HomeProfiles, as_shares, profiles_sql
from energy_platform_tests.domain.segments.planted import SHAPES, as_blocks, planted

CUTOFF = date(2013, 12, 30)
THREE = choosing.Choice(3, "as planted", pl.DataFrame(schema=choosing.EVIDENCE))


@pytest.fixture(scope="module", autouse=True)
def few_resamples() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choosing, "RESAMPLES", 12)
        patch.setattr(choosing, "REFERENCES", 4)
        yield


@pytest.fixture(scope="module")
def three_kinds(few_resamples):
    profiles, truth = planted(homes_each=14, kinds=("evening-peak", "night", "midday"), seed=3)
    return profiles, truth, segment_homes(profiles, seed=1)


def read(blocks: pl.DataFrame, meters: pl.DataFrame, cutoff: date) -> HomeProfiles:
    sql = profiles_sql(cutoff=cutoff, blocks="blocks", meters="meters")
    with duckdb.connect() as connection:
        connection.register("blocks", blocks)
        connection.register("meters", meters)
        return HomeProfiles.of(connection.execute(sql, ["homes", "electricity"]).pl())


def test_planted_kinds_of_home_are_found_and_named_after_their_shape(three_kinds) -> None:
    profiles, truth, found = three_kinds
    assert adjusted_rand_score(truth, found.members["segment"].to_list()) >= 0.9
    assert set(found.members["segment"]) == {"evening-peak", "night", "midday"}
    by_home = dict(zip(profiles.site_ids, truth, strict=True))
    named = {by_home[home]: segment for home, segment in found.members.select("site_id", "segment").iter_rows()}
    assert named == {0: "evening-peak", 1: "night", 2: "midday"}


def test_as_many_segments_are_chosen_as_were_planted_and_the_evidence_is_kept(three_kinds) -> None:
    _, _, found = three_kinds
    chosen = found.choices.filter("is_chosen")
    assert chosen["k"].to_list() == [3]
    assert chosen["subsample_ari"][0] > 0.95
    assert chosen["heldout_gain"][0] > 0.5
    assert found.choices["k"].to_list() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert found.reason == chosen["reason"][0]


def test_homes_of_one_kind_are_not_taken_apart() -> None:
    profiles, _ = planted(homes_each=16, kinds=("evening-peak",), seed=5)
    found = segment_homes(profiles, seed=1)
    assert set(found.members["segment"]) == {ALL}
    assert found.choices.filter("is_chosen")["k"].to_list() == [1]
    assert "no grouping of 16 homes" in found.reason


@pytest.mark.parametrize("homes", [0, 1, choosing.LEAST_HOMES - 1])
def test_few_homes_are_all_in_one_segment_and_it_says_why(homes: int) -> None:
    profiles, _ = planted(homes_each=20, kinds=("evening-peak", "night"), seed=2)
    found = segment_homes(profiles.only(np.arange(homes)), seed=1)
    assert found.members["segment"].to_list() == [ALL] * homes
    assert f"too few homes to group: {homes} with every season known, and 12 are needed" == found.reason


def test_equal_homes_give_equal_segments() -> None:
    profiles, _ = planted(homes_each=6, kinds=("evening-peak", "night"), seed=2)
    one, two = (segment_homes(profiles, seed=4) for _ in range(2))
    assert one.members.equals(two.members)
    assert one.choices.equals(two.choices)


def test_a_home_that_knows_one_season_is_put_to_its_kind_and_one_that_knows_none_is_unknown(three_kinds) -> None:
    profiles, truth, _ = three_kinds
    mean, hours = profiles.mean_kwh.copy(), profiles.hours.copy()
    partial = [int(np.flatnonzero(truth == kind)[0]) for kind in range(3)]
    hours[partial, :, 2:] = 0
    silent = int(np.flatnonzero(truth == 0)[1])
    hours[silent] = 0
    shortened = HomeProfiles(profiles.site_ids, np.where(hours > 0, mean, np.nan), hours)
    members = segment_homes(shortened, seed=1, choice=THREE).members
    assert members["segment"].to_numpy()[partial].tolist() == ["evening-peak", "night", "midday"]
    assert members["known_cells"].to_numpy()[partial].tolist() == [2, 2, 2]
    assert members["segment"][silent] == UNKNOWN
    assert members["distance"][silent] is None


@given(st.floats(0.05, 500), st.integers(0, 10_000))
def test_a_shape_knows_nothing_of_size(scale: float, seed: int) -> None:
    days = np.random.default_rng(seed).gamma(1.0, 1.0, (3, len(CELLS), HOURS)) + 1e-3
    np.testing.assert_allclose(as_shares(days * scale), as_shares(days), rtol=1e-9)
    np.testing.assert_allclose(as_shares(days).sum(axis=2), 1.0, rtol=1e-9)


def test_ten_times_the_energy_is_the_same_segment(three_kinds) -> None:
    profiles, _, found = three_kinds
    larger = HomeProfiles(profiles.site_ids, profiles.mean_kwh * 10, profiles.hours)
    assert segment_homes(larger, seed=1, choice=THREE).members["segment"].equals(found.members["segment"])


def test_what_comes_at_or_after_the_cutoff_changes_nothing() -> None:
    profiles, _ = planted(homes_each=2, kinds=("evening-peak", "night"), seed=7)
    blocks, meters = as_blocks(profiles, cutoff=CUTOFF)
    last = int(blocks["block_number"].max())  # type: ignore[arg-type]
    ahead = pl.concat(
        [
            blocks.filter(pl.col("block_number") == last).with_columns(
                block_number=pl.col("block_number") + shift, energy_kwh=pl.col("energy_kwh") * 50
            )
            for shift in (1, 2)
        ]
    )
    alone, beside = read(blocks, meters, CUTOFF), read(pl.concat([blocks, ahead]), meters, CUTOFF)
    np.testing.assert_array_equal(alone.mean_kwh, beside.mean_kwh)
    later = CUTOFF + timedelta(days=BLOCK_DAYS)
    assert not np.array_equal(read(pl.concat([blocks, ahead]), meters, later).mean_kwh, alone.mean_kwh)


def test_clock_changes_do_not_shift_a_shape() -> None:
    shape, first = SHAPES["evening-peak"] / SHAPES["evening-peak"].sum(), datetime(2012, 12, 10)
    utc = pl.Series("utc", [first + timedelta(minutes=30 * step) for step in range(48 * 386)])
    local = utc.dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/London").dt.replace_time_zone(None)
    readings = pl.DataFrame({"utc": utc, "local": local}).with_columns(
        hour=pl.col("local").dt.hour(), energy_kwh=pl.lit(0.0)
    )
    readings = readings.with_columns(energy_kwh=pl.Series(10 * shape[readings["hour"].to_numpy()] / 2))

    def blocks_of(clock: str) -> pl.DataFrame:
        day = (pl.col(clock).dt.date() - date(1969, 12, 29)).dt.total_days()
        hours = pl.col("utc").dt.truncate("1h").n_unique()
        return (
            readings.group_by(
                meter_no=pl.lit(1),
                block_number=day // BLOCK_DAYS,
                is_weekend=pl.col(clock).dt.weekday() >= 6,
                local_hour=pl.col(clock).dt.hour(),
            )
            .agg(energy_kwh=pl.col("energy_kwh").sum(), hours=hours)
            .sort("block_number")
        )

    meters = pl.DataFrame(
        {"meter_no": [1], "site_id": ["a"], "source": ["homes"], "commodity": ["electricity"], "is_in_site_total": True}
    )
    on_the_wall = read(blocks_of("local"), meters, CUTOFF).shares()[0]
    assert not np.isnan(on_the_wall).any()
    np.testing.assert_allclose(on_the_wall, np.tile(shape, (len(CELLS), 1)), atol=1e-12)
    by_utc = read(blocks_of("utc"), meters, CUTOFF).shares()[0]
    assert np.abs(by_utc - shape).max() > 0.02  # what it would be without the site's clock


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_a_shape_is_called_what_its_numbers_say(kind: str) -> None:
    assert naming.kind(SHAPES[kind] / SHAPES[kind].sum()) == kind


@given(st.lists(st.lists(st.floats(0.001, 1), min_size=24, max_size=24), min_size=2, max_size=8))
def test_no_two_segments_have_the_same_name(shapes: list[list[float]]) -> None:
    shares = as_shares(np.array(shapes + shapes[:1]))
    found = naming.names(shares)
    assert len(set(found)) == len(found)


def test_two_of_a_kind_are_told_apart_by_their_hours() -> None:
    early, late = np.roll(SHAPES["evening-peak"], -2), np.roll(SHAPES["evening-peak"], 1)
    assert naming.names(as_shares(np.stack([early, late]))) == ["evening-peak-17h", "evening-peak-20h"]


def test_drift_counts_homes_that_moved_and_energy_that_did(three_kinds) -> None:
    _, _, found = three_kinds
    same = drift(found.members, found.members, shapes_before=found.shapes, shapes_after=found.shapes)
    assert same is not None
    assert (same.changed_share, same.movement) == (0.0, 0.0)
    # New names alone are no drift; two homes that change places are.
    renamed = pl.col("segment").replace({"night": "cheap-rate"})
    night = found.members.filter(segment="night")["site_id"].head(2)
    moved = found.members.with_columns(
        segment=pl.when(pl.col("site_id").is_in(night.to_list())).then(pl.lit("midday")).otherwise(renamed)
    )
    changed = drift(found.members, moved, shapes_before=found.shapes, shapes_after=found.shapes.with_columns(renamed))
    assert changed is not None
    assert changed.changed_share == pytest.approx(2 / 42)
    assert changed.movement == pytest.approx(0.0)
    assert "night → cheap-rate" in changed.became


def test_the_same_refit_again_changes_nothing_and_the_next_one_keeps_the_last(three_kinds) -> None:
    _, _, found = three_kinds
    tables = {name: pl.DataFrame(schema=schema) for name, schema in EMPTY.items()}
    first = refits.Group("homes", "electricity", date(2013, 12, 23))
    once = refits.with_refit(tables, first, found)
    assert all(table.equals(refits.with_refit(once, first, found)[name]) for name, table in once.items())
    second = refits.with_refit(once, refits.Group("homes", "electricity", date(2013, 12, 30)), found)
    third = refits.with_refit(second, refits.Group("homes", "electricity", date(2014, 1, 6)), found)
    assert sorted(third["members"]["cutoff_date"].unique()) == [date(2013, 12, 30), date(2014, 1, 6)]
    assert third["drift"].select("before_date", "changed_share").rows() == [
        (date(2013, 12, 23), 0.0),
        (date(2013, 12, 30), 0.0),
    ]
    assert third["choices"]["cutoff_date"].n_unique() == 3
    again = refits.earlier_choice(third["choices"], first, homes=42)
    assert again is not None
    assert again.groups == 3
    assert refits.earlier_choice(third["choices"], first, homes=43) is None


EMPTY = {
    name: table.polars_schema
    for name, table in (
        ("members", refits.SEGMENT_MEMBERS),
        ("shapes", refits.SEGMENT_SHAPES),
        ("choices", refits.SEGMENT_CHOICES),
        ("drift", refits.SEGMENT_DRIFT),
    )
}


def test_blocks_are_as_long_as_dbt_makes_them() -> None:
    project = Path(__file__).resolve().parents[3] / "dbt_project" / "dbt_project.yml"
    assert yaml.safe_load(project.read_text())["vars"]["hour_block_days"] == BLOCK_DAYS


def test_points_of_whole_homes_are_their_projections(three_kinds) -> None:
    profiles, _, _ = three_kinds
    shares = profiles.shares()
    fitted = clustering.fit(shares, groups=3, seed=1)
    features = clustering.as_features(shares[:, fitted.cells])
    np.testing.assert_allclose(fitted.points(shares), (features - fitted.mean) @ fitted.axes.T, atol=1e-9)
