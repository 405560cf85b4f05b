"""The tables of the report: header, cells as figures with their sources, caption.

Belongs here: which columns a table shows and how each is rounded. Does not belong here: queries
(content.py), HTML (report.html.j2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import polars as pl

from energy_platform.domain.insights.figures import Figure, count, day, energy, number, share, source
from energy_platform.serving.report.content import Content, Row

Cell: TypeAlias = str | Figure


@dataclass(frozen=True, slots=True)
class DataTable:
    """A table as the template takes it.

    Args:
        caption: what it shows.
        header: column headings.
        rows: cells in the order of the headings.
        empty: what to say instead of a table without rows.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str = ""


def key_figures(content: Content) -> tuple[tuple[str, Figure], ...]:
    """The handful of numbers that stand at the top."""
    totals = content.totals
    found: list[tuple[str, Figure]] = [
        ("meters", count(totals["meters"], source("marts.channel_summaries", "distinct.meter_id"))),
        ("meter-days", count(totals["meter_days"], source("marts.meter_days", "count"))),
    ]
    by_commodity = content.groups.group_by("commodity", maintain_order=True).agg(pl.col("energy_kwh").sum())
    for row in by_commodity.to_dicts():
        origin = source("marts.meter_days", "sum.energy_kwh", commodity=row["commodity"])
        found.append((row["commodity"], energy(row["energy_kwh"], origin)))
    found += [
        ("forecasts issued", count(totals["forecasts"], source("forecasts.meter_days", "count", is_issued=True))),
        ("anomalous intervals", count(totals["anomalies"], source("anomalies.scores", "count"))),
        ("rows rejected", count(totals["rows_rejected"], source("lake.files", "sum.rows_rejected"))),
    ]
    return tuple(found)


def groups(content: Content) -> DataTable:
    """One line a source and commodity, each with its own time span."""
    rows = []
    for row in content.groups.to_dicts():
        key = _columns(row, "source", "commodity")
        complete = {**key, "completeness": (">=", 1)}
        rows.append(
            (
                row["source"],
                row["commodity"],
                count(row["meters"], source("marts.channel_summaries", "count", **key)),
                day(row["first_day"], source("marts.meter_days", "min.local_date", **key)),
                day(row["last_day"], source("marts.meter_days", "max.local_date", **key)),
                energy(row["energy_kwh"], source("marts.meter_days", "sum.energy_kwh", **key)),
                energy(row["mean_kwh"], source("marts.meter_days", "mean.energy_kwh", **complete)),
                share(row["completeness"], source("marts.meter_days", "mean.completeness", **key), 1),
                share(row["estimated_share"], source("marts.meter_days", "mean.estimated_share", **key), 1),
            )
        )
    header = ("source", "commodity", "meters", "from", "to", "energy", "a complete meter-day", "complete", "estimated")
    return DataTable(
        "What each source holds. Sources end at different times; each stands in its own.",
        header,
        tuple(rows),
        "No meter has a day yet.",
    )


def anomalies(content: Content, *, shown: int) -> DataTable:
    """The strongest anomalies of each detector."""
    rows = []
    for row in content.anomalies.to_dicts():
        key = _columns(row, "detector", "meter_id", "channel", "interval_start_utc", "interval_minutes")

        def value(column: str, key: Row = key, row: Row = row) -> Figure:
            return energy(row[column], source("anomalies.scores", f"only.{column}", **key))

        rows.append(
            (
                row["meter_id"] if row["channel"] == "main" else f"{row['meter_id']}, {row['channel']}",
                f"{row['interval_start_utc']:%Y-%m-%d %H:%M}",
                _length(row["interval_minutes"]),
                row["detector"],
                value("energy_kwh"),
                value("expected_kwh"),
                value("threshold_kwh"),
                number(row["score"], source("anomalies.scores", "only.score", **key), 1),
                row["reason"],
            )
        )
    header = ("meter", "begins (UTC)", "length", "detector", "energy", "expected", "bound", "score", "reason")
    total = content.totals["anomalies"]
    caption = f"The strongest {min(shown, total)} of {total:,}, taken from each detector in turn. The score is the distance from expected in the detector's own standard deviations."
    return DataTable(caption, header, tuple(rows), "No detector has flagged anything.")


def accuracy(scores: pl.DataFrame, name: str, commodity: str) -> DataTable:
    """Scores of one source and commodity by lead time and model."""
    rows = []
    ordered = scores.sort(pl.col("lead_days").fill_null(99), "model")
    for row in ordered.to_dicts():
        lead = row["lead_days"]
        key = {"source": name, "commodity": commodity, "model": row["model"]} | (
            {} if lead is None else {"lead_days": lead}
        )

        def score(column: str, digits: int | None = None, key: Row = key, row: Row = row) -> Figure:
            return number(row[column], source("forecasts.scores", f"weighted.{column}", **key), digits)

        is_baseline = row["model"] == "seasonal_naive"
        rows.append(
            (
                "all" if lead is None else str(lead),
                row["model"],
                count(row["meter_days"], source("forecasts.scores", "sum.meter_days", **key)),
                score("mae_kwh"),
                score("pinball_kwh"),
                score("mase", 2),
                share(row["coverage"], source("forecasts.scores", "weighted.coverage", **key)),
                "baseline"
                if is_baseline
                else share(row["skill"], source("forecasts.scores", "skill", **key), signed=True),
            )
        )
    header = ("days ahead", "model", "meter-days", "MAE, kWh", "pinball, kWh", "MASE", "P10–P90 held", "skill")
    first, last = min(scores["first_cutoff"].to_list()), max(scores["last_cutoff"].to_list())
    caption = (
        f"Forecasts really issued at cutoffs {first} to {last}, against what was measured. Skill is 1 − MAE / MAE of "
        "seasonal naive on the same days; at or below 0 % there is no skill over seasonal naive."
    )
    return DataTable(caption, header, tuple(rows))


def decisions(content: Content) -> DataTable:
    """The newest model decisions."""
    rows = []
    for row in content.decisions.to_dicts():
        key = _columns(row, "model", "cutoff_date")

        def value(column: str, key: Row = key, row: Row = row) -> Figure:
            return energy(row[column], source("models.decisions", f"only.{column}", **key))

        rows.append(
            (
                f"{row['cutoff_date']:%Y-%m-%d}",
                f"{row['model']} {row['model_version'] or ''}".strip(),
                "champion" if row["is_champion"] else "not issued",
                value("backtest_mae_kwh"),
                value("naive_mae_kwh"),
                row["reason"],
            )
        )
    header = ("cutoff", "model", "decision", "backtest MAE", "seasonal naive's", "why")
    return DataTable(
        "The newest decisions on which model is issued.",
        header,
        tuple(rows),
        "No model has been trained yet; seasonal naive is issued.",
    )


def ledger(content: Content) -> DataTable:
    """What became of the rows of each source."""
    rows = []
    for row in content.ledger.to_dicts():
        key = _columns(row, "source")

        def value(column: str, key: Row = key, row: Row = row) -> Figure:
            return count(row[column], source("lake.files", f"sum.{column}", **key))

        rows.append(
            (
                row["source"],
                count(row["files"], source("lake.files", "count", **key)),
                count(row["files_failed"], source("lake.files", "count", **key, status="failed")),
                *(value(f"rows_{word}") for word in ("read", "accepted", "rejected", "duplicate", "superseding")),
            )
        )
    header = ("source", "files", "failed", "rows read", "accepted", "rejected", "duplicate", "superseding")
    return DataTable(
        "Rows read = accepted + rejected + duplicate. Superseding rows are accepted ones that correct an earlier reading.",
        header,
        tuple(rows),
        "No file has been loaded yet.",
    )


def reasons(content: Content) -> DataTable:
    """Why rows were rejected, each reason with its first example."""
    rows = [
        (
            row["reason"],
            count(row["rows"], source("lake.rejected", "count", reason=row["reason"])),
            _file_name(row["uri"]),
            str(row["line_number"]),
            row["raw_text"][:120],
            row["detail"],
        )
        for row in content.reasons.to_dicts()
    ]
    header = ("reason", "rows", "first in", "line", "as it stood", "what is wrong")
    return DataTable(
        "Rejected rows by reason, with the first example of each.", header, tuple(rows), "No row was rejected."
    )


def failed(content: Content) -> DataTable:
    """Files that could not be loaded."""
    rows = tuple((_file_name(row["uri"]), row["error"] or "") for row in content.failed.to_dicts())
    return DataTable("Files that could not be loaded.", ("file", "error"), rows, "Every file was loaded.")


def published(content: Content) -> DataTable:
    """The tables behind this report and their rows."""
    rows = tuple((name, count(rows, source(name, "count"))) for name, rows in sorted(content.generation.tables.items()))
    return DataTable("Published tables of this generation.", ("table", "rows"), rows)


def _columns(row: Row, *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}


def _length(minutes: int) -> str:
    """An interval's length in the largest unit that is whole.

    Example:
        >>> _length(30), _length(60), _length(1440)
        ('30 min', '1 h', '1 d')
    """
    for size, unit in ((1440, "d"), (60, "h")):
        if minutes % size == 0:
            return f"{minutes // size} {unit}"
    return f"{minutes} min"


def _file_name(uri: str) -> str:
    return uri.rsplit("/", 1)[-1]


def numeric(cells: Sequence[Cell]) -> bool:
    """Whether a column holds figures, and so is set to the right."""
    return any(isinstance(cell, Figure) and cell.text[:1] in "+-–−0123456789" for cell in cells)
