"""How commands speak: tables and progress on a terminal, plain lines in a pipe, nothing with --quiet."""

import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from energy_platform.flow import Notify

# In a pipe there is no width to respect: tables keep one line a row.
_PIPE_WIDTH = 200
console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
errors = Console(stderr=True, soft_wrap=True)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Notify]:
    """A ``Notify`` that draws a bar on a terminal and writes one line a run elsewhere."""
    if quiet:
        yield lambda _label, _done, _total: None
        return
    if not sys.stderr.isatty():

        def line(label: str, done: int, _total: int) -> None:
            if done == 0:
                errors.print(f"running {label}", highlight=False)

        yield line
        return
    columns = (
        TextColumn("{task.description:<40}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task("starting", total=1)

        def draw(label: str, done: int, total: int) -> None:
            bar.update(task, description=label, completed=done, total=total)

        yield draw


@contextmanager
def engines(*, verbose: bool) -> Iterator[None]:
    """What Dagster, dbt and MLflow say while they work: to stderr when asked for, else errors only.

    Nothing is lost: Dagster's event log and dbt's log file keep all of it.
    """
    level = logging.INFO if verbose else logging.ERROR
    handler = logging.StreamHandler()
    handler.setLevel(level)  # on the handler: Dagster and dbt set the levels of their own loggers
    logging.basicConfig(level=level, handlers=[handler], format="%(levelname)s %(name)s: %(message)s")
    with redirect_stdout(sys.stderr if verbose else StringIO()), warnings.catch_warnings():
        if not verbose:
            warnings.simplefilter("ignore")
        yield


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A titled table; numbers to the right, thousands separated."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for position, name in enumerate(header):
        numeric = any(isinstance(row[position], int | float) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell_text(cell) for cell in row))
    console.print(table)


def cell_text(cell: object) -> str:
    """One value as people read it.

    Example:
        >>> cell_text(16878.262), cell_text(69552), cell_text(None)
        ('16,878.262', '69,552', '–')
    """
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:,.3f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
