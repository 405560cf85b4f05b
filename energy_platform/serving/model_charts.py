"""The leaderboard of a training as a picture, for the training's page in MLflow.

Belongs here: what is drawn and in which file format. Does not belong here: the charts of the report
(serving/report/charts.py), where the picture goes (adapters/registry.py).
"""

from __future__ import annotations

import polars as pl

from energy_platform.domain.forecasting.forecasters.seasonal_naive import NAME as BASELINE

WIDTH, BAR_HEIGHT = 420, 26


def leaderboard_files(board: pl.DataFrame, *, title: str) -> dict[str, bytes]:
    """The error of every model as bars, best first, the baseline in grey: ``leaderboard.png``; nothing without rows.

    Args:
        board: ``model``, ``mae_kwh``, one row a model.
        title: what the errors are of, such as "backtest before 2013-07-01".
    """
    if board.is_empty():
        return {}
    import altair as alt
    import vl_convert

    rows = board.select("model", pl.col("mae_kwh").round(4)).sort("mae_kwh").to_dicts()
    bars = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("mae_kwh:Q", title="mean absolute error, kWh a day", axis=alt.Axis(tickCount=5)),
        y=alt.Y("model:N", title=None, sort=[row["model"] for row in rows]),
    )
    colour = alt.condition(alt.datum.model == BASELINE, alt.value("#9aa7b4"), alt.value("#1f5fa8"))
    chart = alt.layer(
        bars.mark_bar().encode(color=colour), bars.mark_text(align="left", dx=4).encode(text="mae_kwh:Q")
    ).properties(width=WIDTH, height=alt.Step(BAR_HEIGHT), title=title, background="white")
    return {"leaderboard.png": vl_convert.vegalite_to_png(chart.to_dict(validate=False), scale=2)}
