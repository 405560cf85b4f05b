"""``energy sources``: list declarations, draft one from a file, try one on a file.

Exit codes of ``check``: 0 every row can be used; 2 the file cannot be read by the declaration; 3 some
rows are rejected, or something looks wrong.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from energy_platform.domain.errors import FileUnreadable, SourceError
from energy_platform.settings import get_settings

if TYPE_CHECKING:
    from energy_platform.adapters.lake_loader import SourceCheck
    from energy_platform.domain.inference import Sample

app = typer.Typer(no_args_is_help=True, help="Declared sources.")

_SAMPLE_ROWS = 20_000
_SHOWN_METERS = 20


@app.command("list")
def list_sources() -> None:
    """The declared sources: built in, and your own from ENERGY_SOURCES."""
    from energy_platform.adapters.declarations import load_declarations
    from energy_platform.commands.output import print_table

    found = load_declarations(get_settings().sources)
    rows = [[name, item.kind, "yes" if item.sample else "", item.description] for name, item in sorted(found.items())]
    print_table("Sources", ["name", "kind", "ships", "what it is"], rows)


@app.command()
def infer(
    file: Annotated[
        Path, typer.Argument(help="A file of the source: CSV, NDJSON, Firehose object, Parquet; .gz, .zip.")
    ],
    name: Annotated[
        str | None, typer.Option(help="Write <name>.yml into ENERGY_SOURCES instead of printing the draft.")
    ] = None,
) -> None:
    """Draft a declaration from a file; what it does not tell is marked EDIT."""
    from energy_platform.domain.source_draft import draft

    result = draft(_sample(file))
    if name is None:
        sys.stdout.write(result.yaml)
    else:
        typer.echo(f"wrote {_write(name, result.yaml)}")
    for line in result.to_edit:
        typer.echo(f"EDIT {line}", err=True)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A file of the source; it is not landed and nothing is kept.")],
    source: Annotated[str, typer.Option(help="Name of a declaration, or path of a .yml file.")],
) -> None:
    """Load a file into a store that is thrown away, and report what came of it."""
    from energy_platform.adapters.declarations import load_declaration, load_declarations
    from energy_platform.adapters.lake_loader import check_file
    from energy_platform.adapters.warehouse import Warehouse

    settings = get_settings()
    own = Path(source)
    declaration = load_declaration(own) if own.suffix == ".yml" else load_declarations(settings.sources)[source]
    now = datetime.now(UTC).replace(tzinfo=None)
    with tempfile.TemporaryDirectory(prefix="energy-check-") as folder:
        store = Warehouse(Path(folder) / "check.duckdb", memory_limit=settings.memory_limit, threads=settings.threads)
        found = check_file(file, declaration, store, now=now)
    if found.outcome.error is not None:
        raise SourceError(found.outcome.error)
    _report(found)
    raise typer.Exit(3 if found.outcome.rows.rejected or found.warnings else 0)


def _report(found: "SourceCheck") -> None:
    from energy_platform.commands.output import cell_text, print_table

    rows = found.outcome.rows
    counts = [rows.read, rows.accepted, rows.rejected, rows.duplicate]
    energy = found.outcome.energy_kwh
    print_table(
        found.outcome.file.path.name,
        ["rows read", "accepted", "rejected", "duplicate", "energy kWh", "meter-days", "complete"],
        [[*counts, energy, found.days, found.complete_days]],
    )
    if not found.reasons.is_empty():
        print_table("Rejected, with the first row of each reason", found.reasons.columns, found.reasons.rows())
    shown = found.meters.head(_SHOWN_METERS)
    if not shown.is_empty():
        print_table("Meters", shown.columns, shown.rows())
    if found.meters.height > shown.height:
        typer.echo(f"… and {cell_text(found.meters.height - shown.height)} more")
    for warning in found.warnings:
        typer.echo(f"! {warning}")


def _write(name: str, text: str) -> Path:
    """Put the draft among the user's own declarations; one that is there stays."""
    folder = get_settings().sources
    if folder is None:
        raise typer.BadParameter("set ENERGY_SOURCES to a folder for your own declarations", param_hint="--name")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yml"
    try:
        with path.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise typer.BadParameter(f"{path} exists; choose another name or remove it", param_hint="--name") from None
    return path


def _sample(file: Path) -> "Sample":
    """The first rows of a file, whatever its format."""
    from energy_platform.adapters.lake_loader.content import open_bytes
    from energy_platform.domain.concatenated_json import split_records
    from energy_platform.domain.inference import csv_sample, json_sample

    if not file.is_file():
        raise FileUnreadable(str(file), problem="is no file", remedy="Give one file of the source.")
    if file.suffix == ".parquet":
        return _parquet_sample(file)
    with open_bytes(file) as stream:
        lines = [line.decode("utf-8", errors="replace").rstrip("\r\n") for line in islice(stream, _SAMPLE_ROWS)]
    lines[:1] = [line.removeprefix("\ufeff") for line in lines[:1]]
    if not lines or not lines[0].lstrip().startswith("{"):
        return csv_sample(file.name, lines)
    records = list(_records(lines))
    if len(records) == len(lines):
        return json_sample(file.name, records, "ndjson")
    split = split_records("\n".join(lines).encode())
    return json_sample(file.name, split.records, "concatenated_json")


def _records(lines: list[str]) -> Iterator[object]:
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            continue


def _parquet_sample(file: Path) -> "Sample":
    import polars as pl

    from energy_platform.domain.inference import Sample

    try:
        frame = pl.scan_parquet(file).head(_SAMPLE_ROWS).collect()
    except pl.exceptions.ComputeError as error:
        raise FileUnreadable(str(file), problem=f"is no Parquet file: {error}", remedy="Fetch it again.") from None
    texts = frame.select(pl.all().cast(pl.String).fill_null(""))
    return Sample(file.name, {"type": "parquet"}, tuple(texts.columns), [list(row) for row in texts.iter_rows()])
