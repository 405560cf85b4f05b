"""``energy convert IN OUT``: Firehose objects to the CSV data set, every record included.

Exit codes: 0 all records became rows; 2 nothing to convert, or no place to write; 3 done, but
some objects or records could not be used (they stand beside the data set, with the reason).
"""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Firehose objects to CSV.")


@app.callback(invoke_without_command=True)
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A Firehose object, gzip or not, or a folder of them.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="A .csv for one data set, or a folder: one a file.")],
) -> None:
    """Write sensor_id, timestamp, value (and whatever else the records carry) as CSV."""
    from energy_platform.adapters.firehose_objects import convert as convert_objects

    has_fault = False
    for done in convert_objects(source, target):
        typer.echo(f"{done.path}: {done.rows} rows of {done.records} records in {done.objects} objects")
        if done.rejected:
            typer.echo(f"  {done.rejected} records are no rows; see {done.path.name}.rejected.ndjson", err=True)
        for fault in done.faults:
            typer.echo(f"  {fault}", err=True)
        has_fault |= bool(done.rejected or done.faults)
    raise typer.Exit(3 if has_fault else 0)
