"""The tables that ``energy run``, ``status`` and ``backtest`` print."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import polars as pl

from energy_platform.commands.output import console, print_table
from energy_platform.domain.forecasting.metrics import leaderboard
from energy_platform.flow import FlowRun
from energy_platform.serving.published import open_published
from energy_platform.serving.query import run_query
from energy_platform.settings import Settings
from energy_platform.status import status

STAGES = ("landing", "lake", "marts", "features", "models", "forecasts", "anomalies", "published", "reports")


def print_summary(settings: Settings, outcome: FlowRun, *, quiet: bool) -> bool:
    """What is there after a flow, and where to look. Returns whether any file could not be loaded."""
    found = status(settings)
    failed = found["failed_files"]
    if quiet:
        return bool(failed)
    if outcome.runs == 0:
        console.print("Nothing new has landed; everything is up to date.")
    totals = found["totals"]
    duplicates = sum(source["rows_duplicate"] for source in found["sources"].values())
    champion, skill = found["champion"], totals["skill"]
    if champion is None:
        issued = "naive is issued: see `energy models audit`"
    else:
        issued = f"{'not scored yet' if skill is None else f'{skill:+.1%}'} ({champion['model']})"
    rows: list[list[object]] = [
        ["files", totals["files"]],
        ["readings read", totals["readings_read"]],
        ["  of them duplicates", duplicates],
        ["  of them rejected", totals["rejected"]],
        ["meters", totals["meters"]],
        ["meter-days", totals["meter_days"]],
        ["forecast rows", totals["forecast_rows"]],
        ["skill against seasonal naive", issued],
        ["anomalies", totals["anomalies"]],
    ]
    rows += [[f"seconds: {stage}", outcome.seconds[stage]] for stage in STAGES if stage in outcome.seconds]
    print_table("Energy platform", ["", "value"], rows)
    print_sources(found)
    for file in failed:
        console.print(f"not loaded: {file['error']}", style="yellow", highlight=False)
    console.print(f"Report      {settings.reports_path / 'latest.html'}", highlight=False)
    console.print(
        "Dagster UI  http://127.0.0.1:3000   MLflow UI  http://127.0.0.1:5000   (start both: make ui)", highlight=False
    )
    return bool(failed)


def print_sources(found: dict[str, Any]) -> None:
    """One line a source."""
    header = ["source", "files", "read", "accepted", "rejected", "duplicate", "kWh", "meters", "newest reading (UTC)"]
    rows = [
        [
            name,
            item["files"],
            item["rows_read"],
            item["rows_accepted"],
            item["rows_rejected"],
            item["rows_duplicate"],
            item["energy_kwh"],
            item["meters"],
            f"{item['newest_reading_utc']:%Y-%m-%d %H:%M}" if item["newest_reading_utc"] else "–",
        ]
        for name, item in found["sources"].items()
    ]
    print_table("Sources", header, rows)


def print_status(found: dict[str, Any]) -> None:
    """``energy status`` for people."""
    print_sources(found)
    champion = found["champion"]
    if champion is None:
        console.print("Champion    none: no model has beaten seasonal naive, so seasonal naive is issued")
    else:
        console.print(
            f"Champion    {champion['model']} version {champion['model_version']}, cutoff {champion['cutoff_date']}"
        )
    last = found["last_run"]
    if last is not None:
        outcome = "succeeded" if last["succeeded"] else "failed"
        console.print(f"Last flow   {outcome} in {last['seconds']} s over {last['runs']} Dagster runs")
    for file in found["failed_files"]:
        console.print(f"not loaded: {file['error']}", style="yellow", highlight=False)


def print_leaderboard(settings: Settings, *, cutoffs: Sequence[date], source: str | None) -> None:
    """Scores by model and lead time over exactly the cutoffs of a backtest."""
    scores = run_query(open_published(settings), "SELECT * FROM forecasts.scores")
    chosen = scores.filter(
        pl.col("cutoff_date").is_in(list(cutoffs)), pl.lit(source is None) | (pl.col("source") == (source or ""))
    )
    frame = leaderboard(chosen, by=("source", "lead_days", "model"))
    print_table(
        f"Leaderboard of {len(cutoffs)} weekly cutoffs, {cutoffs[0]} to {cutoffs[-1]}", frame.columns, frame.rows()
    )
