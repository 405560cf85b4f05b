from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_platform.domain.forecasting.metrics import leaderboard, pinball, score

KWH = st.floats(0, 1e4, allow_nan=False)


def forecasts(seed: int, *, meters: int = 12, cutoffs: int = 3) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for model, error in (("seasonal_naive", 2.0), ("lightgbm", 1.0)):
        for number in range(cutoffs):
            for meter in range(meters + number):
                for lead in (1, 2):
                    truth = np.random.default_rng(1000 * number + 10 * meter + lead).gamma(2, 5)
                    middle = max(truth + error * rng.normal(), 0)
                    rows.append(
                        {
                            "model": model,
                            "source": "s",
                            "commodity": "electricity",
                            "cutoff_date": date(2013, 1, 7 * (number + 1)),
                            "lead_days": lead,
                            "meter_id": f"m{meter}",
                            "channel": "main",
                            "p10_kwh": max(middle - 1, 0),
                            "p50_kwh": middle,
                            "p90_kwh": middle + 1,
                            "actual_kwh": truth,
                            "naive_scale_kwh": 2.0 if meter else None,
                        }
                    )
    return pl.DataFrame(rows)


@settings(deadline=None)
@given(KWH, KWH, st.sampled_from([0.1, 0.5, 0.9]))
def test_pinball_is_the_textbook_formula_and_never_negative(actual: float, forecast: float, quantile: float) -> None:
    frame = pl.DataFrame({"y": [actual], "q": [forecast]})
    found = frame.select(pinball(pl.col("y"), pl.col("q"), quantile=quantile)).item()
    expected = quantile * (actual - forecast) if actual >= forecast else (1 - quantile) * (forecast - actual)
    assert found == pytest.approx(expected)
    assert found >= 0


def test_scores_equal_those_of_numpy() -> None:
    rows = forecasts(1)
    for row in score(rows).iter_rows(named=True):
        part = rows.filter(
            (pl.col("model") == row["model"])
            & (pl.col("cutoff_date") == row["cutoff_date"])
            & (pl.col("lead_days") == row["lead_days"])
        )
        y, low, middle, high = (part[name].to_numpy() for name in ("actual_kwh", "p10_kwh", "p50_kwh", "p90_kwh"))
        loss = [
            np.where(y >= q, a * (y - q), (1 - a) * (q - y)).mean() for q, a in ((low, 0.1), (middle, 0.5), (high, 0.9))
        ]
        scaled = part.filter(pl.col("meter_id") != "m0")
        assert row["meter_days"] == len(y)
        assert row["mae_kwh"] == pytest.approx(np.abs(y - middle).mean())
        assert row["rmse_kwh"] == pytest.approx(np.sqrt(((y - middle) ** 2).mean()))
        assert row["pinball_kwh"] == pytest.approx(np.mean(loss))
        assert row["mase"] == pytest.approx((scaled["p50_kwh"] - scaled["actual_kwh"]).abs().mean() / 2)
        assert row["coverage"] == pytest.approx(((y >= low) & (y <= high)).mean())
        assert row["r2"] == pytest.approx(1 - ((y - middle) ** 2).sum() / ((y - y.mean()) ** 2).sum())


def test_skill_compares_with_the_baseline_on_the_same_rows_only() -> None:
    rows = forecasts(2)
    without = (pl.col("model") == "seasonal_naive") & (pl.col("meter_id") == "m3")
    found = score(rows.filter(~without)).filter(pl.col("model") == "lightgbm")["skill"]
    expected = score(rows.filter(pl.col("meter_id") != "m3")).filter(pl.col("model") == "lightgbm")["skill"]
    assert found.to_list() == pytest.approx(expected.to_list())


def test_the_baseline_has_no_skill_over_itself_and_without_it_skill_is_unknown() -> None:
    rows = forecasts(3)
    assert set(score(rows).filter(pl.col("model") == "seasonal_naive")["skill"]) == {0.0}
    alone = score(rows.filter(pl.col("model") == "lightgbm"))
    assert alone["skill"].null_count() == alone.height


def test_homes_that_stand_empty_are_left_out_of_mase_and_r2_is_null_without_variation() -> None:
    rows = forecasts(4, meters=1, cutoffs=1).with_columns(naive_scale_kwh=pl.lit(0.0))
    found = score(rows)
    assert found["mase"].null_count() == found.height
    assert found["r2"].null_count() == found.height


def test_the_leaderboard_weighs_cutoffs_by_their_meter_days() -> None:
    rows = forecasts(5)
    board = leaderboard(score(rows), by=("model",)).row(0, named=True)
    part = rows.filter(pl.col("model") == "lightgbm")
    error = (part["p50_kwh"] - part["actual_kwh"]).to_numpy()
    naive = rows.filter(pl.col("model") == "seasonal_naive")
    naive_error = (naive["p50_kwh"] - naive["actual_kwh"]).to_numpy()
    assert (board["model"], board["cutoffs"], board["meter_days"]) == ("lightgbm", 3, part.height)
    assert board["mae_kwh"] == pytest.approx(np.abs(error).mean())
    assert board["rmse_kwh"] == pytest.approx(np.sqrt((error**2).mean()))
    assert board["skill"] == pytest.approx(1 - np.abs(error).mean() / np.abs(naive_error).mean())


def test_a_cutoff_that_only_one_model_has_does_not_count_for_skill() -> None:
    rows = forecasts(6)
    early = (pl.col("model") == "lightgbm") & (pl.col("cutoff_date") == date(2013, 1, 7))
    board = leaderboard(score(rows.filter(~early)))
    late = leaderboard(score(rows.filter(pl.col("cutoff_date") > date(2013, 1, 7))))
    model = pl.col("model") == "lightgbm"
    assert board.filter(model)["skill"].to_list() == pytest.approx(late.filter(model)["skill"].to_list())
