"""The shapes of segments as a chart, for the report, for Dagster and for the benchmark.

Belongs here: marks and axes. Does not belong here: the shapes (domain/segments), the charts of the report
(serving/report/charts.py).
"""

from __future__ import annotations

import base64
from typing import Any

import polars as pl

PANEL_WIDTH, PANEL_HEIGHT = 132, 96


def shapes_chart(shapes: pl.DataFrame, *, title: str = "") -> Any:
    """One row a segment, one panel a season: the share of the day's energy in each hour, an even day in grey.

    Args:
        shapes: ``segment``, ``season``, ``is_weekend``, ``local_hour``, ``share``, ``homes`` of one refit.
        title: whose shapes; none where the words around it say so.
    """
    import altair as alt

    homes = dict(shapes.group_by("segment").agg(pl.col("homes").max()).iter_rows())
    order = [name for name, _ in sorted(homes.items(), key=lambda item: -item[1])]
    labels = {name: f"{name} ({homes[name]} homes)" for name in order}
    rows = shapes.select(
        pl.col("segment").replace_strict(labels).alias("segment"),
        "season",
        pl.when("is_weekend").then(pl.lit("weekend")).otherwise(pl.lit("weekday")).alias("day"),
        hour=pl.col("local_hour").cast(pl.Int32),
        percent=(100 * pl.col("share")).round(3),
    )
    # The step of the last hour needs an end to be seen.
    rows = pl.concat([rows, rows.filter(pl.col("hour") == 23).with_columns(pl.lit(24, pl.Int32).alias("hour"))])
    lines = (
        alt.Chart()
        .mark_line(interpolate="step-after", strokeWidth=1.6)
        .encode(
            x=alt.X(
                "hour:Q",
                title=None,
                axis=alt.Axis(values=[0, 6, 12, 18, 24], grid=False),
                scale=alt.Scale(domain=[0, 24]),
            ),
            y=alt.Y("percent:Q", title="% of the day", axis=alt.Axis(tickCount=4, grid=False)),
            color=alt.Color("day:N", title=None, scale=alt.Scale(range=["#1f5fa8", "#a85a00"])),
        )
    )
    even = alt.Chart().mark_rule(color="#9aa7b4", strokeDash=[3, 3]).encode(y=alt.datum(100 / 24))
    chart = (
        alt.layer(even, lines, data=alt.Data(values=rows.to_dicts()))
        .properties(width=PANEL_WIDTH, height=PANEL_HEIGHT)
        .facet(
            row=alt.Row("segment:N", title=None, sort=list(labels.values())),
            column=alt.Column("season:N", title=None, sort=["dec-feb", "mar-may", "jun-aug", "sep-nov"]),
        )
        .resolve_scale(y="independent")
    )
    return chart.properties(title=title) if title else chart


def shapes_png(shapes: pl.DataFrame, *, title: str) -> bytes:
    """The chart as a picture."""
    import vl_convert

    spec = shapes_chart(shapes, title=title).properties(background="white").to_dict(validate=False)
    picture: bytes = vl_convert.vegalite_to_png(spec, scale=1.5)
    return picture


def shapes_markdown(shapes: pl.DataFrame) -> str:
    """A picture for each source and commodity that has segments, as Markdown for the page of a materialization."""
    parts = []
    for (source, commodity), rows in shapes.group_by("source", "commodity", maintain_order=True):
        if rows["segment"].n_unique() > 1:
            title = f"{source}: {commodity}, hours of the day at the site"
            encoded = base64.b64encode(shapes_png(rows, title=title)).decode()
            parts.append(f"![{title}](data:image/png;base64,{encoded})")
    return "\n\n".join(parts) or "No source has homes that fall into segments; everybody is in one, `all`."
