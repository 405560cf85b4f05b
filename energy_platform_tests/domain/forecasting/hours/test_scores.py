"""Which fleet forecasts are scored against what, with the arithmetic done by hand."""

from datetime import date, datetime, timedelta

import duckdb
import polars as pl
import pytest

from energy_platform.domain.columns.hours import FLEET_HOURS, FLEET_SCORES
from energy_platform.domain.forecasting.hours.scores import leaderboard, scorable_sql, score

START = datetime(2013, 6, 3)


def forecasts(model: str, p50: list[float], *, interval_minutes: int = 60, meters: float = 2.0) -> pl.DataFrame:
    starts = [START + timedelta(minutes=interval_minutes * at) for at in range(len(p50))]
    return pl.DataFrame(
        {
            "model": model, "cutoff_date": date(2013, 6, 3), "source": "homes", "commodity": "gas", "segment": "all",
            "interval_start_utc": starts, "interval_minutes": interval_minutes,
            "lead_hours": [at * interval_minutes / 60 for at in range(len(p50))], "meters": meters,
            "p10_kwh": [value - 1 for value in p50], "p50_kwh": p50, "p90_kwh": [value + 1 for value in p50],
            "is_issued": model != "seasonal_naive", "is_fallback": False, "reason": None, "issued_at_utc": START,
        }
    ).cast(FLEET_HOURS.polars_schema)  # fmt: skip


def half_hours(energy_kwh: list[float], meters: list[int]) -> pl.DataFrame:
    starts = [START + timedelta(minutes=30 * at) for at in range(len(energy_kwh))]
    return pl.DataFrame(
        {
            "source": "homes",
            "commodity": "gas",
            "interval_start_utc": starts,
            "energy_kwh": energy_kwh,
            "meters": meters,
        }
    )


def scorable(made: pl.DataFrame, happened: pl.DataFrame) -> pl.DataFrame:
    with duckdb.connect() as connection:
        connection.register("made", made)
        connection.register("happened", happened)
        return connection.execute(scorable_sql(forecasts="made", half_hours="happened")).pl().sort("lead_hours")


def test_an_hour_is_scored_when_both_its_halves_are_there_against_as_many_meters_as_were_forecast() -> None:
    made = forecasts("ridge", [4.0, 4.0, 4.0])
    rows = scorable(made, half_hours([1.0, 3.0, 6.0, 6.0, 9.0], [2, 2, 4, 4, 2]))
    assert rows["actual_kwh"].to_list() == [4.0, 6.0]


def test_half_hours_are_scored_one_by_one() -> None:
    rows = scorable(forecasts("ridge", [1.0, 2.0], interval_minutes=30), half_hours([1.0, 3.0, 6.0], [2, 2, 2]))
    assert rows["actual_kwh"].to_list() == [1.0, 3.0]


def test_scores_are_those_worked_out_by_hand() -> None:
    made = pl.concat([forecasts("ridge", [5.0] * 8), forecasts("seasonal_naive", [8.0] * 8)])
    happened = half_hours([2.0] * 12 + [3.5] * 4, [2] * 16)
    found = score(scorable(made, happened))
    assert found.columns == FLEET_SCORES.column_names
    first = found.filter(pl.col("model") == "ridge").row(0, named=True)
    assert (first["lead_hours_from"], first["intervals"], first["actual_kwh"]) == (0, 6, 4.0)
    assert (first["mae_kwh"], first["bias_kwh"], first["coverage"]) == (1.0, 1.0, 1.0)
    assert first["pinball_kwh"] == pytest.approx((0.9 * 0 + 0.5 * 1 + 0.1 * 2) / 3)
    assert first["skill"] == pytest.approx(1 - 1 / 4)
    second = found.filter(pl.col("model") == "ridge").row(1, named=True)
    assert (second["lead_hours_from"], second["intervals"], second["coverage"]) == (6, 2, 0.0)


def test_the_leaderboard_weighs_every_interval_alike_and_has_the_best_first() -> None:
    made = pl.concat([forecasts("ridge", [5.0] * 8), forecasts("seasonal_naive", [8.0] * 8)])
    board = leaderboard(score(scorable(made, half_hours([2.0] * 12 + [3.5] * 4, [2] * 16))))
    assert board["model"].to_list() == ["ridge", "seasonal_naive"]
    assert board["mae_kwh"].to_list() == pytest.approx([(6 * 1 + 2 * 2) / 8, (6 * 4 + 2 * 1) / 8])
    assert board["skill"].to_list() == pytest.approx([1 - 10 / 26, 0.0])
    assert board["intervals"].to_list() == [8, 8]


def test_nothing_to_score_gives_an_empty_table_of_the_contract() -> None:
    found = score(
        scorable(
            forecasts("ridge", [1.0]),
            half_hours([], []).cast(
                {"energy_kwh": pl.Float64, "meters": pl.Int64, "interval_start_utc": pl.Datetime("us")}
            ),
        )
    )
    assert found.is_empty()
    assert found.schema == FLEET_SCORES.polars_schema
