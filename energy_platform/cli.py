"""The ``energy`` command: thin over the same functions that the assets call.

Exit codes: 0 done; 1 a bug (with its trace); 2 something the user can mend (one clear message);
3 done, but some files could not be loaded.
"""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from energy_platform.commands import (
    alerts,
    anomalies,
    aws,
    convert,
    devices,
    forecast,
    intents,
    keys,
    models,
    restatements,
    serve,
    simulate,
    sources,
    stream,
)
from energy_platform.domain.errors import EnergyError
from energy_platform.settings import get_settings, quiet_telemetry

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Energy data-and-ML platform.")
for part in (alerts, anomalies, aws, convert, devices, intents, keys, models, serve, simulate, sources, stream):
    app.add_typer(part.app, name=part.__name__.rsplit(".", maxsplit=1)[-1])

app.command()(restatements.restatements)
app.command()(forecast.forecast)

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print what the engines log, too.")]


@app.command()
def run(
    source: Annotated[str | None, typer.Option(help="Declaration to read PATH by; see `energy sources list`.")] = None,
    path: Annotated[Path | None, typer.Option(help="File or folder to land.")] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Land new files and bring tables, models, forecasts, anomalies and the report up to date.

    Without options: the real sample homes that ship with the installation.
    """
    if path is not None and source is None:
        raise typer.BadParameter("--path needs --source: the declaration to read it by")
    from energy_platform.commands.output import engines, progress
    from energy_platform.commands.summary import print_summary
    from energy_platform.flow import run_flow

    settings = get_settings()
    with progress(quiet=quiet) as notify, engines(verbose=verbose):
        outcome = run_flow(settings, source=source, path=path, notify=notify)
    failed = print_summary(settings, outcome, quiet=quiet)
    raise typer.Exit(3 if failed else 0)


@app.command()
def backtest(
    weeks: Annotated[int, typer.Option(min=1, max=104, help="Past weekly cutoffs, counted back from the newest.")] = 8,
    source: Annotated[str | None, typer.Option(help="The source whose newest day counts.")] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train and issue at past weekly cutoffs and print the leaderboard by lead time."""
    from energy_platform.commands.output import engines, progress
    from energy_platform.commands.summary import print_leaderboard
    from energy_platform.flow import backtest as run_backtest
    from energy_platform.status import backtest_cutoffs

    settings = get_settings()
    cutoffs = backtest_cutoffs(settings, weeks=weeks, source=source)
    with progress(quiet=quiet) as notify, engines(verbose=verbose):
        run_backtest(settings, cutoffs=cutoffs, notify=notify)
    if not quiet:
        print_leaderboard(settings, cutoffs=cutoffs, source=source)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as one JSON object.")] = False,
) -> None:
    """What has been loaded, trained, forecast and run."""
    from energy_platform.status import status as read_status

    settings = get_settings()
    found = read_status(settings)
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2, default=str) + "\n")
        return
    from energy_platform.commands.summary import print_status

    print_status(found)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="One SELECT over the published tables, e.g. marts.meter_days.")],
    output: Annotated[str, typer.Option("--format", "-f", help="table, csv or json.")] = "table",
) -> None:
    """Run one read-only query over the published tables."""
    from energy_platform.commands.output import print_table
    from energy_platform.serving.published import open_published
    from energy_platform.serving.query import run_query

    if output not in {"table", "csv", "json"}:
        raise typer.BadParameter("table, csv or json", param_hint="--format")
    frame = run_query(open_published(get_settings()), sql)
    if output == "csv":
        sys.stdout.write(frame.write_csv())
    elif output == "json":
        sys.stdout.write(json.dumps(frame.to_dicts(), default=str) + "\n")
    else:
        print_table(f"{frame.height:,} rows", frame.columns, frame.rows())


@app.command()
def ui(
    dagster_port: Annotated[int, typer.Option(help="Port of the Dagster UI.")] = 3000,
    mlflow_port: Annotated[int, typer.Option(help="Port of the MLflow UI.")] = 5000,
) -> None:
    """Serve the Dagster UI (with its daemon) and the MLflow UI on this machine until Ctrl-C."""
    from energy_platform.commands.ui import serve

    raise typer.Exit(serve(get_settings(), dagster_port=dagster_port, mlflow_port=mlflow_port))


def main() -> None:
    """Entry point: turns the platform's own errors into one message and exit code 2."""
    quiet_telemetry()
    try:
        app()
    except EnergyError as error:
        sys.stderr.write(f"energy: {error}\n")
        raise SystemExit(2) from None
