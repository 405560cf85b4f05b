"""``energy anomalies list|records|acknowledge|evaluate``: what looks wrong, how far to trust it, who says so."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from energy_platform.domain.errors import FileUnreadable
from energy_platform.settings import get_settings

if TYPE_CHECKING:
    import polars as pl

    from energy_platform.adapters.operations import Operations
    from energy_platform.domain.anomalies.evaluation import Evaluation

app = typer.Typer(no_args_is_help=True, help="Anomalies: what looks wrong, how far to trust it.")

AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
_LABEL_COLUMNS = ("meter_id", "first_date", "last_date")


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Print the newest episodes: what is the matter, since when, how seldom a good day looks so."""
    from energy_platform.commands.output import print_table

    rows = _published(
        "SELECT episode_id, meter_id, channel, cause, first_date, last_date, anomalous_days, severity, may_page, reason "
        "FROM anomalies.episodes ORDER BY last_date DESC, severity DESC LIMIT ?",
        [limit],
    )
    if as_json:
        sys.stdout.write(json.dumps(rows.to_dicts(), default=str) + "\n")
        return
    columns = ["episode_id", "meter_id", "cause", "first_date", "last_date", "severity", "reason"]
    print_table(f"{rows.height} episodes", columns, rows.select(columns).rows())


@app.command()
def records(
    fault: Annotated[str, typer.Option(help="Of which planted fault.")] = "all", as_json: AsJson = False
) -> None:
    """Print how well each detector finds planted faults, at the newest cutoff; who may page."""
    from energy_platform.commands.output import print_table

    rows = _published(
        "SELECT detector, cutoff_date, events, recall, precision, f1, false_alarms_per_meter_week, median_days_to_detect, "
        "may_page FROM anomalies.records WHERE fault = ? AND magnitude = 0 "
        "QUALIFY cutoff_date = max(cutoff_date) OVER () ORDER BY f1 DESC NULLS LAST, detector",
        [fault],
    )
    if as_json:
        sys.stdout.write(json.dumps(rows.to_dicts(), default=str) + "\n")
        return
    print_table(f"records on planted faults: {fault}", rows.columns, rows.rows())


@app.command()
def acknowledge(
    episode_id: Annotated[str, typer.Argument(help="Identifier, as `energy anomalies list` prints it.")],
    is_real: Annotated[bool, typer.Option("--real/--not-real", help="Whether something was the matter.")],
    note: Annotated[str, typer.Option(help="In your words.")] = "",
    by: Annotated[str | None, typer.Option("--by", help="Who says so; default the user of this machine.")] = None,
) -> None:
    """Say whether an episode was real; the next training and `evaluate` go by it."""
    from energy_platform.adapters.operations import feedback

    found = _published(
        "SELECT episode_id, meter_id, channel, first_date, last_date FROM anomalies.episodes WHERE episode_id = ?",
        [episode_id],
    )
    if found.is_empty():
        raise typer.BadParameter(f"no episode is named '{episode_id}'. See `energy anomalies list`.")
    said = feedback.Verdict(
        **found.row(0, named=True),
        is_real=is_real,
        said_by=by or getuser(),
        note=note,
        said_at_utc=datetime.now(UTC).replace(tzinfo=None),
    )
    with _operations() as operations:
        feedback.acknowledge(operations, said)
    effect = "no detector learns from its days" if is_real else "its days count as good days from the next training on"
    typer.echo(f"{episode_id}: {'real' if is_real else 'not real'}, said by {said.said_by}; {effect}.")


@app.command()
def evaluate(
    labels: Annotated[
        Path | None, typer.Option(help="CSV with meter_id, first_date, last_date and, if not main, channel.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare alarms with labels, by day and by event; without --labels with what people acknowledged as real."""
    from energy_platform.commands.output import print_table
    from energy_platform.domain.anomalies.evaluation import evaluate as compare
    from energy_platform.domain.anomalies.evaluation import labels_of_verdicts

    known = labels_of_verdicts(_verdicts()) if labels is None else read_labels(labels)
    severities = _published("SELECT * FROM anomalies.severities", [])
    days = _published(
        "SELECT meter_id, channel, local_date FROM marts.meter_days AS d WHERE local_date >= "
        "(SELECT min(local_date) FROM anomalies.severities AS s WHERE s.source = d.source)",
        [],
    )
    found = compare(days, severities, known)
    rows = _rows(found)
    if as_json:
        sys.stdout.write(json.dumps(dict(rows)) + "\n")
        return
    print_table(f"{known.height} labels", ["figure", ""], rows)
    if found.unused_labels:
        typer.echo(f"{found.unused_labels} labels are of meters or days that were not judged; they are not counted.")


def read_labels(path: Path) -> "pl.DataFrame":
    """Labels from a CSV file.

    Raises:
        FileUnreadable: a column is missing, or a line has no dates.
    """
    import polars as pl

    from energy_platform.domain.anomalies.planting import LABELS

    try:
        rows = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise FileUnreadable(str(path), problem=str(error).splitlines()[0], remedy="Give a CSV file.") from None
    missing = [name for name in _LABEL_COLUMNS if name not in rows.columns]
    if missing:
        needed = ", ".join(_LABEL_COLUMNS)
        raise FileUnreadable(
            str(path), problem=f"there is no column {', '.join(missing)}", remedy=f"It needs {needed}.", line=1
        )
    dates = [pl.col(name).str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False) for name in _LABEL_COLUMNS[1:]]
    rows = rows.with_columns(
        *dates,
        channel=pl.col("channel") if "channel" in rows.columns else pl.lit("main"),
        fault=pl.col("fault") if "fault" in rows.columns else pl.lit("labelled"),
        magnitude=pl.lit(None, dtype=pl.Float64),
    )
    wrong = rows.with_row_index("line", offset=2).filter(
        pl.any_horizontal(pl.col(_LABEL_COLUMNS).is_null()) | (pl.col("last_date") < pl.col("first_date"))
    )
    if wrong.height:
        raise FileUnreadable(
            str(path),
            problem="it has no meter, no first or last date, or the last is before the first",
            remedy="Write dates as 2013-07-01; both days are included.",
            line=int(wrong["line"][0]),
        )
    return rows.select(LABELS.names())


def _rows(found: "Evaluation") -> list[tuple[str, float | None]]:
    names = (
        "judged_days", "labelled_days", "alarm_days", "hit_days", "point_precision", "point_recall", "events", "detected",
        "false_alarms", "event_precision", "event_recall", "false_alarms_per_meter_week", "pr_auc", "unused_labels",
    )  # fmt: skip
    return [(name, getattr(found, name)) for name in names]


def _verdicts() -> "pl.DataFrame":
    import polars as pl

    from energy_platform.adapters.operations import feedback

    names = ("meter_id", "channel", "first_date", "last_date", "is_real")
    with _operations() as operations:
        said = [tuple(getattr(one, name) for name in names) for one in feedback.verdicts(operations)]
    types = (pl.String, pl.String, pl.Date, pl.Date, pl.Boolean)
    return pl.DataFrame(said, schema=dict(zip(names, types, strict=True)), orient="row")


def _published(sql: str, params: list[object]) -> "pl.DataFrame":
    from energy_platform.serving.published import open_published

    with open_published(get_settings()).current().connect() as connection:
        frame: pl.DataFrame = connection.execute(sql, params).pl()
        return frame


@contextmanager
def _operations() -> "Iterator[Operations]":
    from energy_platform.adapters.operations import Operations

    with Operations.open(get_settings().operations_address) as operations:
        yield operations
