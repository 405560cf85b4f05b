import polars as pl

from energy_platform.serving.model_charts import leaderboard_files


def test_a_leaderboard_is_a_picture_and_an_empty_one_is_none() -> None:
    board = pl.DataFrame({"model": ["lightgbm", "seasonal_naive"], "mae_kwh": [1.5, 2.0]})
    files = leaderboard_files(board, title="backtest before 2013-07-01")
    assert files["leaderboard.png"].startswith(b"\x89PNG")
    assert leaderboard_files(board.clear(), title="nothing") == {}
