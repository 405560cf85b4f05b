"""The report: whole, self-contained, safe, and every figure in it what the tables say."""

from __future__ import annotations

import re
from datetime import timedelta

import polars as pl
import pytest

from energy_platform.adapters.published import Published
from energy_platform.domain.columns import TABLES
from energy_platform.serving.report import build_report, summary_sentences
from energy_platform.serving.report.check import SECTIONS, read_report
from energy_platform.serving.report.content import METERS_SHOWN, windows
from energy_platform_tests.serving.report_faults import every_fault
from energy_platform_tests.serving.sample_warehouse import NOW


@pytest.fixture(scope="module")
def html(sample_generation) -> str:
    return build_report(sample_generation, now=NOW)


def test_every_section_is_there_nothing_is_fetched_and_every_figure_agrees(html: str, sample_generation) -> None:
    assert every_fault(html, sample_generation) == []
    found = read_report(html)
    assert found.sections == SECTIONS
    assert len(found.figures) > 200
    assert "http" not in html


def test_every_changed_figure_is_found(html: str, sample_generation) -> None:
    planted = re.sub(
        r'<data value="(-?\d+\.?\d*(?:e-?\d+)?)"',
        lambda match: f'<data value="{float(match[1]) * 1.001 + 0.01!r}"',
        html,
    )
    changed = {source for source, value in read_report(planted).figures} & {
        source
        for (source, value), (_, before) in zip(read_report(planted).figures, read_report(html).figures, strict=True)
        if value != before
    }
    found = {fault.split(": the report says")[0] for fault in every_fault(planted, sample_generation)}
    assert len(changed) > 200
    assert found == changed


def test_a_figure_whose_source_is_not_in_the_tables_is_found(html: str, sample_generation) -> None:
    planted = html.replace("marts.meter_days:count/", "marts.meter_days:mean.made_up/", 1)
    assert any("made_up" in fault for fault in every_fault(planted, sample_generation))


@pytest.mark.parametrize(
    "planted",
    [
        "<script>1</script>",
        '<link rel="stylesheet" href="a.css">',
        '<img src="//cdn/x.png">',
        '<img srcset="x.png 2x">',
        '<a href="https://example.org">x</a>',
        '<p style="background: url(x.png)">x</p>',
        "<style>@import 'x.css';</style>",
        "<style>p { background: url('x.png') }</style>",
        '<iframe srcdoc="x"></iframe>',
        '<svg><use xlink:href="other.svg#x"/></svg>',
    ],
)
def test_every_kind_of_request_to_another_place_is_found(html: str, planted: str) -> None:
    assert read_report(html).requests == ()
    assert read_report(html.replace("</main>", f"{planted}</main>")).requests != ()


def test_the_next_48_hours_of_every_fleet_are_drawn_with_who_forecasts_them_and_why(html: str) -> None:
    drawn = [label for label in read_report(html).charts if label.startswith("Forecast energy of ")]
    assert len(drawn) == 3
    assert html.count("Why this model: better than naive on earlier issues") == 3
    assert sum("forecasts.fleet_hours:sum.p50_kwh" in source for source, _ in read_report(html).figures) == 3


def test_a_missing_section_is_found(html: str, sample_generation) -> None:
    assert "section accuracy is missing" in every_fault(
        html.replace('<section id="accuracy"', "<section"), sample_generation
    )


def test_text_from_files_cannot_become_markup(html: str) -> None:
    assert "&lt;abc&gt;" in html
    assert "<abc>" not in html


def test_every_chart_says_what_it_shows_and_ids_are_unique(html: str) -> None:
    labels = read_report(html).charts
    assert len(labels) >= 10
    assert all(labels)
    assert len(set(labels)) == len(labels)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert all(f'id="{target}"' in html for target in re.findall(r"url\(#([^)]+)\)", html))


def test_figures_agree_with_an_independent_reading_of_the_files(html: str, sample_generation) -> None:
    days = pl.read_parquet(sample_generation.root / "marts" / "meter_days.parquet").filter(
        (pl.col("meter_id") == "uk-home-2-electricity") & (pl.col("readings") == 48)
    )
    newest = days["local_date"].max()
    recent = days.filter(pl.col("local_date") > newest - timedelta(days=30))["energy_kwh"].mean()
    before = days.filter(pl.col("local_date").is_between(newest - timedelta(days=59), newest - timedelta(days=30)))[
        "energy_kwh"
    ].mean()
    word = "more" if recent > before else "less"
    expected = f"uk-home-2-electricity used {recent:.1f} kWh a day in the 30 days to {newest}, {abs(100 * (recent / before - 1)):.0f} % {word} than in the 30 days before"
    assert any(expected in sentence for sentence in summary_sentences(html)), expected
    errors = _errors(sample_generation)
    for (source, commodity), group in errors.group_by("source", "commodity"):
        mae = dict(group.group_by("model").agg(pl.col("error").mean()).iter_rows())
        shown = _figure(html, f"forecasts.scores:skill/source={source}&commodity={commodity}&model=lightgbm")
        assert shown == pytest.approx(1 - mae["lightgbm"] / mae["seasonal_naive"], abs=1e-9)


def _errors(generation) -> pl.DataFrame:
    days = pl.read_parquet(generation.root / "marts" / "meter_days.parquet").filter(
        pl.col("readings") >= pl.col("expected_readings")
    )
    forecasts = pl.read_parquet(generation.root / "forecasts" / "meter_days.parquet")
    joined = forecasts.join(
        days.select("meter_id", "channel", "local_date", "energy_kwh"), on=["meter_id", "channel", "local_date"]
    )
    return joined.with_columns((pl.col("p50_kwh") - pl.col("energy_kwh")).abs().alias("error"))


def _figure(html: str, source: str) -> float:
    return float(next(value for found, value in read_report(html).figures if found == source))


def test_a_model_without_skill_is_reported_so(sample_warehouse, tmp_path) -> None:
    with sample_warehouse.connect() as connection:
        connection.begin()
        connection.execute("UPDATE forecasts.scores SET skill = -0.5, mae_kwh = mae_kwh * 3 WHERE model = 'lightgbm'")
        generation = Published(tmp_path).publish(connection, TABLES, facts={}, now=NOW)
        connection.rollback()
    text = " ".join(summary_sentences(build_report(generation, now=NOW)))
    assert text.count("no skill over seasonal naive (its error is 50 % larger)") == 3


def test_nothing_at_all_still_makes_a_whole_report(empty_generation) -> None:
    html = build_report(empty_generation, now=NOW)
    assert every_fault(html, empty_generation) == []
    assert "No meter has readings yet." in html


def test_of_many_meters_the_largest_of_each_group_are_shown_and_the_rule_is_said(sample_warehouse, tmp_path) -> None:
    with sample_warehouse.connect() as connection:
        connection.begin()
        for table in ("marts.meter_days", "marts.channel_summaries", "marts.meter_hour_profiles"):
            connection.execute(
                f"INSERT INTO {table} SELECT t.* REPLACE (meter_id || '-' || i AS meter_id) FROM {table} AS t, range(4) AS copies(i)"
            )
        generation = Published(tmp_path).publish(connection, TABLES, facts={}, now=NOW)
        connection.rollback()
    html = build_report(generation, now=NOW)
    assert html.count('<article class="meter') == METERS_SHOWN
    assert f"{METERS_SHOWN} of 15 meters and channels are shown" in html
    assert "all meters" in html
    assert every_fault(html, generation) == []


def test_a_window_with_too_few_complete_days_is_not_compared() -> None:
    days = pl.DataFrame(
        {"local_date": pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 3, 30), eager=True)}
    ).with_columns(pl.lit(2.0).alias("energy_kwh"), (pl.col("local_date").dt.month() != 2).alias("is_complete"))
    recent, before, year_ago = windows(days)
    assert recent is not None
    assert (recent.days, recent.mean_kwh) == (30, 2.0)
    assert before is None
    assert year_ago is None
    assert windows(days.head(0)) == (None, None, None)
