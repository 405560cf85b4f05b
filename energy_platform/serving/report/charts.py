"""The charts of the report: Altair specifications, rendered to inline SVG without a browser or network.

Belongs here: marks, axes, colours. Does not belong here: what is shown (content.py), the words
around it (report.html.j2, domain/insights).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Any, TypeAlias

import polars as pl

Chart: TypeAlias = Any  # Altair ships no types that mypy reads in reasonable time

# One colour a commodity everywhere; both keep 4.5:1 against white.
COMMODITY_COLOURS = {"electricity": "#1f5fa8", "gas": "#a85a00"}
OTHER_COLOUR = "#4a5a68"
ANOMALY_COLOUR = "#b3261e"
INK = "#1c2733"
WIDTH, HALF_WIDTH = 760, 350
FONT = "Helvetica, Arial, sans-serif"

_CONFIG: dict[str, Any] = {
    "font": FONT,
    "background": None,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "#475563",
        "titleColor": "#475563",
        "titleFontWeight": "normal",
        "labelFontSize": 11,
        "titleFontSize": 11,
        "domainColor": "#9aa7b4",
        "tickColor": "#9aa7b4",
        "gridColor": "#edf0f3",
        "titlePadding": 8,
    },
    "legend": {
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "orient": "top",
        "titleColor": "#475563",
    },
}


def usage_chart(daily: pl.DataFrame, *, commodity: str, marked: Sequence[date] = (), weekly: bool = False) -> Chart:
    """Daily energy as a thin line (gaps where a day is not complete), its weekly mean as a strong one.

    Args:
        daily: ``local_date``, ``energy_kwh``, ``is_complete`` of one meter or fleet, in order.
        commodity: decides the colour.
        marked: days to mark as anomalous.
        weekly: leave the daily line out, where there are too many days for it.
    """
    import altair as alt

    colour = COMMODITY_COLOURS.get(commodity, OTHER_COLOUR)
    days = daily.select("local_date", pl.when("is_complete").then("energy_kwh").alias("energy_kwh"))
    if not days.is_empty():
        days = days.upsample("local_date", every="1d")
    weeks = days.group_by_dynamic("local_date", every="1w", offset="3d").agg(pl.col("energy_kwh").mean())
    x = _days_axis()
    y = alt.Y("energy_kwh:Q", title="kWh a day", axis=alt.Axis(tickCount=4))
    layers = []
    if not weekly:
        layers.append(
            _over(days).mark_line(strokeWidth=0.8, opacity=0.55, color=colour, interpolate="linear").encode(x=x, y=y)
        )
    layers.append(_over(weeks).mark_line(strokeWidth=2, color=colour, interpolate="monotone").encode(x=x, y=y))
    points = days.filter(pl.col("local_date").is_in(list(marked)) & pl.col("energy_kwh").is_not_null())
    if not points.is_empty():
        layers.append(
            _over(points)
            .mark_point(shape="circle", size=42, color=ANOMALY_COLOUR, strokeWidth=1.6, filled=False)
            .encode(x=x, y=y)
        )
    return alt.layer(*layers).properties(width=WIDTH, height=170)


def profile_chart(profile: pl.DataFrame, *, commodity: str) -> Chart:
    """Mean energy by local hour, weekdays as a full line and weekends as a dashed one."""
    import altair as alt

    rows = profile.select(
        pl.col("local_hour").cast(pl.Int16),
        "mean_kwh",
        pl.when("is_weekend").then(pl.lit("weekend")).otherwise(pl.lit("weekday")).alias("day"),
    )
    # The step of the last hour needs an end to be seen.
    rows = pl.concat(
        [rows, rows.filter(pl.col("local_hour") == 23).with_columns(pl.lit(24, pl.Int16).alias("local_hour"))]
    )
    colour = COMMODITY_COLOURS.get(commodity, OTHER_COLOUR)
    return (
        _over(rows)
        .mark_line(interpolate="step-after", strokeWidth=1.8, color=colour)
        .encode(
            x=alt.X(
                "local_hour:Q",
                title="hour of the day, local time",
                scale=alt.Scale(domain=[0, 24], nice=False),
                axis=alt.Axis(values=[0, 3, 6, 9, 12, 15, 18, 21, 24], grid=False),
            ),
            y=alt.Y("mean_kwh:Q", title="kWh an hour", axis=alt.Axis(tickCount=4)),
            strokeDash=alt.StrokeDash(
                "day:N", title=None, scale=alt.Scale(domain=["weekday", "weekend"], range=[[1, 0], [4, 3]])
            ),
        )
        .properties(width=HALF_WIDTH - 50, height=170)
    )


def forecast_chart(actual: pl.DataFrame, forecasts: pl.DataFrame, *, commodity: str) -> Chart:
    """Actual days over the P10 to P90 band and median of what was issued for them and for the next days.

    Args:
        actual: ``local_date``, ``energy_kwh`` of complete days.
        forecasts: ``local_date``, ``p10_kwh``, ``p50_kwh``, ``p90_kwh``, one row a day.
        commodity: decides the colour.
    """
    import altair as alt

    colour = COMMODITY_COLOURS.get(commodity, OTHER_COLOUR)
    x = _days_axis(count=5)
    rows = forecasts.upsample("local_date", every="1d")
    measured = actual.filter("is_complete").select("local_date", "energy_kwh")
    y = alt.Y("p10_kwh:Q", title="kWh a day", axis=alt.Axis(tickCount=4), scale=alt.Scale(zero=True))
    band = _over(rows).mark_area(opacity=0.22, color=colour).encode(x=x, y=y, y2="p90_kwh:Q")
    median = _over(rows).mark_line(strokeWidth=1.8, color=colour).encode(x=x, y="p50_kwh:Q")
    dots = _over(measured).mark_point(filled=True, size=16, opacity=1, color=INK).encode(x=x, y="energy_kwh:Q")
    layers = [band, median, dots]
    ahead = (
        rows.filter(pl.col("local_date") > measured["local_date"].max()).head(1) if measured.height else rows.head(0)
    )
    if not ahead.is_empty():
        layers.insert(0, _over(ahead.select("local_date")).mark_rule(strokeDash=[3, 3], color="#7d8894").encode(x=x))
    return alt.layer(*layers).properties(width=HALF_WIDTH - 50, height=170)


def hours_chart(forecast: pl.DataFrame, measured: pl.DataFrame, *, commodity: str, unit: str) -> Chart:
    """The newest hours as a dark line, then the median of the hours ahead over its band from P10 to P90.

    Args:
        forecast: ``local_time``, ``p10_kwh``, ``p50_kwh``, ``p90_kwh``, in order; a rule marks where it begins.
        measured: ``local_time``, ``energy_kwh``, in order.
        commodity: decides the colour.
        unit: of the energies, such as "kWh an hour".
    """
    import altair as alt

    colour = COMMODITY_COLOURS.get(commodity, OTHER_COLOUR)
    wall_clock = pl.col("local_time").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    ahead, before = (_over(rows.with_columns(wall_clock)) for rows in (forecast, measured))
    start = _over(forecast.select(wall_clock).head(1))
    axis = alt.Axis(grid=False, labelOverlap=True, tickCount=10, format="%a %d %b %H:%M")
    x = alt.X("local_time:T", title=None, scale=alt.Scale(type="utc"), axis=axis)
    y = alt.Y("p10_kwh:Q", title=unit, axis=alt.Axis(tickCount=4), scale=alt.Scale(zero=True))
    layers = [
        ahead.mark_area(opacity=0.22, color=colour, interpolate="step-after").encode(x=x, y=y, y2="p90_kwh:Q"),
        before.mark_line(strokeWidth=1.2, color=INK, interpolate="step-after").encode(x=x, y="energy_kwh:Q"),
        ahead.mark_line(strokeWidth=1.8, color=colour, interpolate="step-after").encode(x=x, y="p50_kwh:Q"),
        start.mark_rule(strokeDash=[3, 3], color="#7d8894").encode(x=x),
    ]
    return alt.layer(*layers).properties(width=WIDTH, height=190)


def accuracy_chart(scores: pl.DataFrame) -> Chart:
    """Mean absolute error by lead time, one line a model.

    Args:
        scores: ``model``, ``lead_days``, ``mae_kwh`` of one source and commodity.
    """
    import altair as alt

    return (
        _over(scores.select("model", "lead_days", "mae_kwh"))
        .mark_line(point=alt.OverlayMarkDef(size=26, filled=True), strokeWidth=1.8)
        .encode(
            x=alt.X(
                "lead_days:Q",
                title="days ahead",
                axis=alt.Axis(values=list(range(1, 8)), format="d", grid=False),
                scale=alt.Scale(domain=[0.7, 7.3], nice=False),
            ),
            y=alt.Y(
                "mae_kwh:Q",
                title="mean absolute error, kWh a day",
                axis=alt.Axis(tickCount=4),
                scale=alt.Scale(zero=True),
            ),
            color=alt.Color(
                "model:N",
                title=None,
                scale=alt.Scale(range=["#2f7d5b", "#6d5a9c", "#a04668", "#8a7a2b"]),
                legend=alt.Legend(symbolStrokeWidth=2.5),
            ),
        )
        .properties(width=HALF_WIDTH - 50, height=170)
    )


def completeness_chart(weeks: pl.DataFrame) -> Chart:
    """One strip a meter, one cell a week: how much of what should be there is there.

    Args:
        weeks: ``meter``, ``week``, ``completeness`` of one source.
    """
    import altair as alt

    cells = weeks.with_columns(pl.col("week").dt.offset_by("7d").alias("week_end"))
    return (
        _over(cells)
        .mark_rect()
        .encode(
            x=alt.X(
                "week:T",
                title=None,
                scale=alt.Scale(type="utc"),
                axis=alt.Axis(grid=False, format="%Y-%m", labelOverlap=True, tickCount=8),
            ),
            x2="week_end:T",
            y=alt.Y("meter:N", title=None, axis=alt.Axis(ticks=False, domain=False, labelLimit=220)),
            color=alt.Color(
                "completeness:Q",
                title="share of readings present",
                scale=alt.Scale(domain=[0, 0.5, 0.95, 1], range=["#b3261e", "#e8a87c", "#f3e3c3", "#7fb89b"]),
                legend=alt.Legend(format=".0%", gradientLength=160, gradientThickness=8, values=[0, 0.5, 1]),
            ),
        )
        .properties(width=WIDTH - 170, height=alt.Step(22))
    )


def render(chart: Chart, *, label: str, name: str) -> str:
    """A chart as an inline ``<svg>`` that scales with its column and reads itself out.

    Args:
        chart: an Altair chart.
        label: what it shows, for those who do not see it.
        name: unique in the page; keeps the ids of its clip paths apart from other charts'.
    """
    import vl_convert

    spec = chart.to_dict(validate=False) | {"config": _CONFIG, "padding": 4}
    svg: str = vl_convert.vegalite_to_svg(spec)
    head, body = svg.split(">", maxsplit=1)
    width, height = (float(_attribute(head, name)) for name in ("width", "height"))
    # Inline in HTML the namespaces are implied, and a page without addresses is plainly self-contained.
    body = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", body).replace("xlink:href", "href")
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", body)
    body = re.sub(r'\bhref="#([^"]+)"', rf'href="#{name}-\1"', body)
    # Vega labels every mark for screen readers; one label a chart says it better and is a tenth of the bytes.
    body = re.sub(r'\s(?:aria-[a-z]+|role)="[^"]*"', "", body)
    box = (
        f'viewBox="{_attribute(head, "viewBox")}" style="max-width:{width:.0f}px;aspect-ratio:{width:.0f}/{height:.0f}"'
    )
    return f'<svg role="img" aria-label="{_escape(label)}" {box}>{body}'


def png(chart: Chart) -> bytes:
    """A chart as a picture, for pages that take no inline ``<svg>``."""
    import vl_convert

    picture: bytes = vl_convert.vegalite_to_png(
        chart.to_dict(validate=False) | {"config": _CONFIG, "padding": 4, "background": "white"}
    )
    return picture


def _attribute(head: str, name: str) -> str:
    """The value of an attribute in the SVG's opening tag."""
    return head.split(f' {name}="', maxsplit=1)[1].split('"', maxsplit=1)[0]


def _days_axis(count: int = 8) -> Any:
    import altair as alt

    return alt.X(
        "local_date:T",
        title=None,
        scale=alt.Scale(type="utc"),
        axis=alt.Axis(grid=False, labelOverlap=True, tickCount=count, format="%Y-%m-%d" if count < 8 else "%Y-%m"),
    )


def _over(frame: pl.DataFrame) -> Any:
    """A chart over rows as plain values: dates as 2014-01-24, which every zone reads alike; three decimals are enough."""
    import altair as alt
    import polars.selectors as cs

    rows = frame.with_columns(cs.date().dt.strftime("%Y-%m-%d"), cs.float().round(3))
    return alt.Chart(alt.Data(values=rows.to_dicts()))


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
