"""Who becomes champion: how often chance decides, what is refused, what the audit says."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_platform.domain.columns.promotions import PROMOTIONS, VERDICTS
from energy_platform.domain.errors import ContractBroken
from energy_platform.domain.forecasting.paired import compare
from energy_platform.domain.forecasting.promotion import (
    Candidates,
    Decision,
    Seat,
    by_person,
    champion_at,
    decide,
    promotion_rows,
)

CUTOFF = date(2013, 7, 1)
NOW = datetime(2026, 1, 1)
HASH = "abc"


def make_folds(
    rng: np.random.Generator,
    *,
    homes: int = 55,
    weeks: int = 8,
    errors: dict[str, float],
    own_noise: float = 0.15,
    week_noise: float = 0.03,
    home_noise: float = 0.05,
) -> pl.DataFrame:
    """Folds of forecasters whose errors are this multiple of a common one, which homes and weeks share.

    Sizes of homes differ by ten and errors have long tails. Two models with the same multiple are equal in
    expectation, yet each has its own noise, its good and bad weeks and the homes that it happens to suit.
    """
    shape = (homes, weeks, 7)
    size = np.exp(rng.normal(0, 0.8, homes))[:, None, None]
    common = rng.standard_t(4, shape) * (1 + 0.3 * np.abs(rng.normal(size=(1, weeks, 7))))
    home, week, lead = (axis.ravel() for axis in np.meshgrid(*map(np.arange, shape), indexing="ij"))
    first = CUTOFF - timedelta(days=7 * weeks)
    keys = pl.DataFrame({"home": home, "week": week, "lead": lead}).select(
        source=pl.lit("homes"),
        commodity=pl.lit("electricity"),
        cutoff_date=first + pl.duration(days=7 * pl.col("week")),
        lead_days=(pl.col("lead") + 1).cast(pl.Int8),
        meter_id=pl.format("home-{}", "home"),
        channel=pl.lit("main"),
        local_date=first + pl.duration(days=7 * pl.col("week") + pl.col("lead")),
        actual_kwh=pl.Series((10 * np.broadcast_to(size, shape)).ravel()),
    )
    parts = []
    for model, multiple in errors.items():
        suits = 1 + rng.normal(0, home_noise, (homes, 1, 1)) + rng.normal(0, week_noise, (1, weeks, 1))
        error = (common * suits + rng.normal(0, own_noise, shape)) * multiple * size
        parts.append(keys.with_columns(p50_kwh=pl.col("actual_kwh") + pl.Series(error.ravel()), model=pl.lit(model)))
    return pl.concat(parts)


def share_below_level(*, runs: int, seed: int, errors: dict[str, float], **options: float) -> float:
    """How often ``new`` beats ``old`` by the test."""
    rng = np.random.default_rng(seed)
    found = [compare(make_folds(rng, errors=errors, **options), model="new", reference="old") for _ in range(runs)]
    return float(np.mean([one.p_value < 0.05 for one in found]))


@pytest.mark.parametrize(("homes", "weeks", "home_noise"), [(55, 8, 0.05), (55, 4, 0.05), (3, 8, 0.0)])
def test_of_two_equal_models_one_is_promoted_in_at_most_one_of_twenty_folds(
    homes: int, weeks: int, home_noise: float
) -> None:
    share = share_below_level(
        runs=250, seed=5, errors={"old": 1.0, "new": 1.0}, homes=homes, weeks=weeks, home_noise=home_noise
    )
    assert share <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 250)


def test_a_model_that_is_three_percent_better_on_55_homes_and_8_weeks_is_mostly_promoted() -> None:
    # Two models that differ by 2 % from home to home and week to week, as blends of weekday means do on London homes.
    share = share_below_level(runs=100, seed=6, errors={"old": 1.0, "new": 0.97}, home_noise=0.02, week_noise=0.02)
    assert share > 0.5


def test_errors_that_homes_and_weeks_share_do_not_count_as_evidence() -> None:
    folds = make_folds(np.random.default_rng(7), errors={"old": 1.0, "new": 0.97}, weeks=4)
    found = compare(folds, model="new", reference="old")
    rows = folds.filter(pl.col("model") != "naive").pivot(
        on="model", index=["meter_id", "local_date", "actual_kwh"], values="p50_kwh"
    )
    gain = ((rows["old"] - rows["actual_kwh"]).abs() - (rows["new"] - rows["actual_kwh"]).abs()).to_numpy()
    naive_low = gain.mean() - 1.645 * gain.std() / np.sqrt(gain.size)
    assert found.difference_kwh == pytest.approx(gain.mean())
    assert found.low_kwh < naive_low


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), weeks=st.integers(4, 10), homes=st.integers(1, 20), unit=st.floats(0.01, 100))
def test_the_test_knows_no_unit_no_order_of_rows_and_is_antisymmetric(
    seed: int, weeks: int, homes: int, unit: float
) -> None:
    folds = make_folds(np.random.default_rng(seed), homes=homes, weeks=weeks, errors={"old": 1.0, "new": 0.95})
    one = compare(folds, model="new", reference="old")
    scaled = folds.sample(fraction=1.0, shuffle=True, seed=seed).with_columns(pl.col("actual_kwh", "p50_kwh") * unit)
    other = compare(scaled, model="new", reference="old")
    turned = compare(folds, model="old", reference="new")
    assert other.p_value == pytest.approx(one.p_value, abs=1e-6)
    assert other.difference_kwh == pytest.approx(one.difference_kwh * unit)
    assert turned.p_value == pytest.approx(1 - one.p_value, abs=1e-9)
    assert (one.low_kwh > 0) == (one.p_value < 0.05)


def test_a_forecast_compared_with_itself_is_no_evidence() -> None:
    folds = make_folds(np.random.default_rng(1), errors={"old": 1.0})
    twin = pl.concat([folds, folds.with_columns(model=pl.lit("new"))])
    assert compare(twin, model="new", reference="old").p_value == 1.0


def test_three_weeks_are_too_few_to_tell_and_rows_of_one_model_alone_do_not_count() -> None:
    folds = make_folds(np.random.default_rng(1), weeks=3, errors={"old": 1.0, "new": 0.5})
    assert compare(folds, model="new", reference="old").p_value is None
    lacking = folds.filter((pl.col("model") == "old") | (pl.col("meter_id") == "home-1"))
    assert compare(lacking, model="new", reference="old").rows == 21
    assert compare(folds, model="nobody", reference="old").mae_kwh is None
    with pytest.raises(ContractBroken, match="p50_kwh"):
        compare(folds.drop("p50_kwh"), model="new", reference="old")


def decision(errors: dict[str, float], *, seat: Seat | None, seed: int = 2, **options: object) -> Decision:
    """The decision over folds of these forecasters; all but the naive ones are candidates."""
    weeks = int(options.pop("weeks", 8))
    folds = make_folds(np.random.default_rng(seed), weeks=weeks, errors=errors)
    naive = tuple(name for name in errors if name in {"seasonal_naive", "recent_mean"})
    versions = {name: str(number) for number, name in enumerate(errors) if name not in naive}
    leakage = options.pop("leakage", ())
    return decide(
        folds,
        Candidates(versions, HASH, leakage=leakage, naive=naive),
        grain="meter-day",
        cutoff=CUTOFF,
        decided_at_utc=NOW,
        seat=seat,
        **options,
    )


def test_the_first_model_with_skill_becomes_champion() -> None:
    made = decision({"seasonal_naive": 1.0, "ridge": 0.9, "lightgbm": 0.8}, seat=None)
    assert (made.verdict, made.champion) == ("promoted", Seat("lightgbm", "2"))
    assert made.skill == pytest.approx(0.2, abs=0.04)
    assert made.p_value < 0.01
    assert "seasonal_naive" in made.reason
    assert (made.fold_rows, made.fold_weeks, made.fold_meters) == (55 * 8 * 7, 8, 55)
    assert (made.first_fold_day, made.last_fold_day) == (CUTOFF - timedelta(days=56), CUTOFF - timedelta(days=1))


def test_without_skill_naive_is_issued_and_it_is_said() -> None:
    made = decision({"seasonal_naive": 1.0, "lightgbm": 0.99}, seat=None)
    assert (made.verdict, made.champion) == ("no_skill", None)
    assert "no skill over naive" in made.reason


def test_what_only_beats_last_weeks_day_but_not_a_mean_has_no_skill() -> None:
    made = decision({"seasonal_naive": 1.0, "recent_mean": 0.75, "lightgbm": 0.745}, seat=None)
    assert (made.verdict, made.champion) == ("no_skill", None)
    assert "recent_mean" in made.reason


def test_a_clearly_better_challenger_takes_over() -> None:
    made = decision({"seasonal_naive": 1.0, "lightgbm": 0.85, "combination": 0.75}, seat=Seat("lightgbm", "0"))
    assert (made.verdict, made.champion) == ("promoted", Seat("combination", "2"))
    assert (made.champion_before, made.version_before, made.challenger) == ("lightgbm", "0", "combination")
    assert made.difference_kwh == pytest.approx(made.champion_mae_kwh - made.challenger_mae_kwh)


def test_an_equal_challenger_does_not_and_the_champions_new_fit_goes_on() -> None:
    made = decision({"seasonal_naive": 1.0, "lightgbm": 0.8, "combination": 0.8}, seat=Seat("lightgbm", "0"))
    assert (made.verdict, made.champion) == ("kept", Seat("lightgbm", "1"))
    assert "not better by more than the noise" in made.reason


def test_a_champion_that_is_worse_than_naive_steps_down() -> None:
    made = decision({"seasonal_naive": 1.0, "lightgbm": 1.1}, seat=Seat("lightgbm", "0"))
    assert (made.verdict, made.champion) == ("no_skill", None)
    assert "steps down" in made.reason


def test_a_champion_alone_stays_and_one_that_is_no_longer_trained_goes() -> None:
    assert decision({"seasonal_naive": 1.0, "lightgbm": 0.9}, seat=Seat("lightgbm", "0")).verdict == "kept"
    gone = decision({"seasonal_naive": 1.0, "lightgbm": 0.8}, seat=Seat("prophet", "4"))
    assert (gone.verdict, gone.champion) == ("promoted", Seat("lightgbm", "1"))
    assert "prophet is no longer trained" in gone.reason


def test_leakage_refuses_the_training_and_the_champion_stays_as_it_was() -> None:
    seat = Seat("lightgbm", "0")
    made = decision({"seasonal_naive": 1.0, "lightgbm": 0.01}, seat=seat, leakage=["avg_hourly_energy alone gives it"])
    assert (made.verdict, made.champion) == ("refused_leakage", seat)
    assert "avg_hourly_energy" in made.reason


def test_a_champion_with_other_features_is_refused() -> None:
    seat = Seat("lightgbm", "0")
    replaced = decision({"seasonal_naive": 1.0, "lightgbm": 0.8}, seat=seat, seat_feature_hash="old")
    assert (replaced.verdict, replaced.champion) == ("promoted", Seat("lightgbm", "1"))
    assert "expects features old, the code makes abc" in replaced.reason
    alone = decision({"seasonal_naive": 1.0, "lightgbm": 1.0}, seat=seat, seat_feature_hash="old")
    assert (alone.verdict, alone.champion) == ("refused_features", None)


def test_too_few_weeks_are_said() -> None:
    made = decision({"seasonal_naive": 1.0, "lightgbm": 0.5}, seat=None, weeks=2)
    assert made.verdict == "no_skill"
    assert "4 weeks are needed" in made.reason


def test_no_folds_at_all_issue_naive() -> None:
    empty = make_folds(np.random.default_rng(1), errors={"seasonal_naive": 1.0}).clear()
    made = decide(
        empty, Candidates({"lightgbm": "1"}, HASH), grain="meter-day", cutoff=CUTOFF, decided_at_utc=NOW, seat=None
    )
    assert (made.verdict, made.champion, made.fold_rows) == ("no_skill", None, 0)


def test_the_audit_has_the_contract_and_says_who_was_champion_when() -> None:
    first = decision({"seasonal_naive": 1.0, "lightgbm": 0.8}, seat=None)
    week = timedelta(days=7)
    back = by_person(
        "rolled_back",
        grain="meter-day",
        cutoff=CUTOFF + week,
        decided_at_utc=NOW + week,
        before=Seat("lightgbm", "2"),
        after=None,
        reason="looks odd",
    )
    rows = promotion_rows([first, back])
    assert rows.schema == PROMOTIONS.polars_schema
    assert set(rows["verdict"]) <= set(VERDICTS)
    assert champion_at(rows, grain="meter-day", before=CUTOFF) is None
    assert champion_at(rows, grain="meter-day", before=CUTOFF + week) == Seat("lightgbm", "1")
    assert champion_at(rows, grain="meter-day", before=CUTOFF + 2 * week) is None
    assert champion_at(rows, grain="fleet-hour", before=CUTOFF + 2 * week) is None
    assert champion_at(rows.clear(), grain="meter-day", before=CUTOFF) is None


def test_twelve_weekly_cutoffs_leave_twelve_rows_and_a_backfill_decides_the_same_again() -> None:
    # The combination is a little worse than the trees at first, and a tenth better in the folds of the later weeks.
    def errors(week: int) -> dict[str, float]:
        return {"seasonal_naive": 1.0, "lightgbm": 0.85, "combination": 0.89 if week < 6 else 0.76}

    def decide_all(known: pl.DataFrame) -> pl.DataFrame:
        for week in range(12):
            cutoff = CUTOFF + timedelta(days=7 * week)
            made = decide(
                make_folds(np.random.default_rng(week), errors=errors(week)),
                Candidates(dict.fromkeys(("lightgbm", "combination"), str(week + 1)), HASH),
                grain="meter-day",
                cutoff=cutoff,
                decided_at_utc=NOW + timedelta(seconds=known.height),
                seat=champion_at(known, grain="meter-day", before=cutoff),
            )
            known = pl.concat([known, promotion_rows([made])])
        return known

    once = decide_all(pl.DataFrame(schema=PROMOTIONS.polars_schema))
    assert once["verdict"].to_list() == ["promoted", *["kept"] * 5, "promoted", *["kept"] * 5]
    assert once["champion_after"].to_list() == [*["lightgbm"] * 6, *["combination"] * 6]
    assert once["version_after"].to_list() == [str(week + 1) for week in range(12)]
    assert once["champion_before"].to_list() == [None, *once["champion_after"][:-1]]
    again = decide_all(once).tail(12)
    assert again.drop("decided_at_utc").equals(once.drop("decided_at_utc"))
