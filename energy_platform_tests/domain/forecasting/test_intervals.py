from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_platform.domain.forecasting.intervals import MIN_RESIDUALS, ResidualBands, residual_bands, with_band

FIRST = date(2013, 7, 1)


def backtest(seed: int, *, rows: int, commodity: str = "electricity", sd: float = 1.0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.5, 20, rows)
    return pl.DataFrame(
        {
            "commodity": commodity,
            "lead": np.tile(np.arange(1, 8), rows // 7 + 1)[:rows].astype(np.int8),
            "cutoff_date": [FIRST + timedelta(days=int(day)) for day in rng.integers(0, 4, rows)],
            "local_date": [FIRST + timedelta(days=int(day)) for day in rng.integers(0, 28, rows)],
            "target_kwh": 100 + spread * sd * rng.normal(size=rows),
            "p50_kwh": 100.0,
            "spread_kwh": spread,
            "least_kwh": 90.0,
            "largest_kwh": 110.0,
        }
    )


def test_bands_hold_80_percent_of_days_like_the_backtest() -> None:
    bands = residual_bands(backtest(1, rows=7_000))
    tested = with_band(backtest(2, rows=7_000), bands)
    inside = ((tested["target_kwh"] >= tested["p10_kwh"]) & (tested["target_kwh"] <= tested["p90_kwh"])).mean()
    assert inside == pytest.approx(0.8, abs=0.02)


def test_few_residuals_give_wider_bands_rather_than_narrower_ones() -> None:
    shares = []
    for seed in range(200):
        tested = with_band(backtest(10_000 + seed, rows=70), residual_bands(backtest(seed, rows=MIN_RESIDUALS)))
        shares.append(
            ((tested["target_kwh"] >= tested["p10_kwh"]) & (tested["target_kwh"] <= tested["p90_kwh"])).mean()
        )
    assert np.mean(shares) >= 0.8


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.floats(0, 1e4), st.floats(1e-4, 1e3)), min_size=1, max_size=20),
    st.floats(-5, 5),
    st.floats(-5, 5),
)
def test_quantiles_are_ordered_finite_and_never_negative(
    days: list[tuple[float, float]], low: float, high: float
) -> None:
    frame = pl.DataFrame(
        {
            "commodity": "gas",
            "lead": 1,
            "local_date": FIRST,
            "p50_kwh": [middle for middle, _ in days],
            "spread_kwh": [spread for _, spread in days],
            "least_kwh": 0.0,
            "largest_kwh": 1.0,
        }
    )
    found = with_band(frame, ResidualBands({"": (low, high)}))
    assert (found["p10_kwh"] >= 0).all()
    assert (found["p10_kwh"] <= found["p50_kwh"]).all()
    assert (found["p50_kwh"] <= found["p90_kwh"]).all()
    assert found["p90_kwh"].is_finite().all()


def test_each_commodity_has_its_own_band_where_it_has_residuals() -> None:
    both = pl.concat([backtest(3, rows=700), backtest(4, rows=700, commodity="gas", sd=5.0)])
    bands = residual_bands(both)
    assert bands.of("gas", 3)[1] > 3 * bands.of("electricity", 3)[1]
    assert bands.of("heat", 3) == bands.bands[""]


def test_a_lead_with_few_residuals_takes_the_band_of_all_leads() -> None:
    bands = residual_bands(backtest(5, rows=7 * 10))
    assert bands.of("electricity", 1) == bands.bands["electricity"]


def test_without_residuals_the_band_is_the_range_of_the_last_four_weeks() -> None:
    found = with_band(backtest(6, rows=7), residual_bands(backtest(6, rows=7)))
    assert found["p10_kwh"].to_list() == [90.0] * 7
    assert found["p90_kwh"].to_list() == [110.0] * 7


def test_bands_survive_being_written_and_read() -> None:
    bands = residual_bands(backtest(7, rows=700))
    assert ResidualBands.from_json(bands.to_json()) == bands


def test_a_weekday_that_is_harder_to_tell_has_a_wider_band_at_every_lead() -> None:
    def with_wild_sundays(seed: int) -> pl.DataFrame:
        rows = backtest(seed, rows=140_000)
        sunday = pl.col("local_date").dt.weekday() == 7
        off = pl.col("target_kwh") - 100
        return rows.with_columns(target_kwh=pl.when(sunday).then(100 + 2 * off).otherwise("target_kwh"))

    bands = residual_bands(with_wild_sundays(8))
    assert bands.weekdays[6] == pytest.approx(2 * bands.weekdays[0], rel=0.15)
    tested = with_band(with_wild_sundays(9), bands)
    held = tested.with_columns(
        inside=(pl.col("target_kwh") >= pl.col("p10_kwh")) & (pl.col("target_kwh") <= pl.col("p90_kwh")),
        weekday=pl.col("local_date").dt.weekday(),
    )
    assert held.group_by("weekday").agg(pl.col("inside").mean())["inside"].to_list() == pytest.approx(
        [0.8] * 7, abs=0.05
    )


def test_of_a_few_days_no_weekday_is_said_to_be_wider() -> None:
    few = residual_bands(backtest(10, rows=49))
    assert max(few.weekdays) < 1.15
    assert min(few.weekdays) > 0.85


def test_bands_of_weeks_that_differ_are_as_wide_as_it_takes_to_hold_80_percent_of_other_weeks() -> None:
    def shifting(seed: int) -> pl.DataFrame:
        rng = np.random.default_rng(seed)
        rows = backtest(seed, rows=14_000)
        moved = dict(zip([FIRST + timedelta(days=day) for day in range(4)], rng.normal(0, 0.8, 4), strict=True))
        shift = pl.col("cutoff_date").replace_strict(moved, return_dtype=pl.Float64) * pl.col("spread_kwh")
        return rows.with_columns(target_kwh=pl.col("target_kwh") + shift)

    def held(bands: ResidualBands, rows: pl.DataFrame) -> float:
        tested = with_band(rows, bands)
        return ((tested["target_kwh"] >= tested["p10_kwh"]) & (tested["target_kwh"] <= tested["p90_kwh"])).mean()

    shares = [held(residual_bands(shifting(seed)), shifting(seed + 1000)) for seed in range(20)]
    plain = [
        held(residual_bands(shifting(seed).with_columns(cutoff_date=pl.lit(FIRST))), shifting(seed + 1000))
        for seed in range(20)
    ]
    assert np.mean(plain) < np.mean(shares) <= 0.9
