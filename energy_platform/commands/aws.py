"""``energy aws up|status|down|policies|costs``: the platform's resources on AWS, or on a server in its place.

Exit codes: 0 done and complete; 2 refused, with the remedy; 3 ``status`` found something missing.
"""

import json
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="The platform's resources on AWS.")

Endpoint = Annotated[str | None, typer.Option("--endpoint-url", help="A server that speaks for AWS, http://host:port.")]
Region = Annotated[str | None, typer.Option(help="AWS region; default as AWS tools find it.")]
Prefix = Annotated[str, typer.Option(help="First part of all names; 3 to 24 small letters, digits, hyphens.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command()
def up(
    endpoint_url: Endpoint = None,
    region: Region = None,
    prefix: Prefix = "energy",
    shards: Annotated[int, typer.Option(min=1, max=200, help="Shards of each Kinesis stream.")] = 1,
    retention_hours: Annotated[int, typer.Option(min=24, max=8760, help="How long Kinesis keeps records.")] = 24,
    buffer_seconds: Annotated[int, typer.Option(min=0, max=900, help="Firehose writes an object this often.")] = 60,
    firehose_role_arn: Annotated[str | None, typer.Option(help="Role of Firehose; default <prefix>-firehose.")] = None,
    policies_folder: Annotated[Path, typer.Option("--policies", help="Folder for the IAM policies.")] = Path(
        "policies"
    ),
) -> None:
    """Make what is missing: bucket, prefixes, streams, Firehose, topic, tables; write the IAM policies.

    Running it again changes nothing. It makes nothing in IAM: an administrator makes the role of
    Firehose from firehose.json and firehose-trust.json first.
    """
    from energy_platform.adapters.aws import stack
    from energy_platform.adapters.aws.client import Aws
    from energy_platform.adapters.aws.policies import write_policies

    aws = Aws(region=region, endpoint_url=endpoint_url)
    plan = stack.plan_for(aws, prefix)
    for path in write_policies(plan, policies_folder):
        typer.echo(f"wrote {path}")
    options = stack.StackOptions(
        shards=shards,
        retention_hours=retention_hours,
        buffer_seconds=buffer_seconds,
        firehose_role_arn=firehose_role_arn,
    )
    stack.up(stack.resources(aws, plan, options), lambda found: typer.echo(f"{found.state}  {found.kind} {found.name}"))


@app.command()
def status(
    endpoint_url: Endpoint = None, region: Region = None, prefix: Prefix = "energy", as_json: AsJson = False
) -> None:
    """What is there; exit code 3 when anything is missing or not ready."""
    from energy_platform.adapters.aws import stack
    from energy_platform.adapters.aws.client import Aws
    from energy_platform.commands.output import print_table

    aws = Aws(region=region, endpoint_url=endpoint_url)
    found = stack.status(stack.resources(aws, stack.plan_for(aws, prefix)))
    if as_json:
        sys.stdout.write(json.dumps([asdict(item) for item in found], indent=2) + "\n")
    else:
        rows = [[item.kind, item.name, item.state, item.detail] for item in found]
        print_table(f"AWS, {aws.region}", ["kind", "name", "state", "detail"], rows)
    raise typer.Exit(0 if all(item.state == "active" for item in found) else 3)


@app.command()
def down(
    endpoint_url: Endpoint = None,
    region: Region = None,
    prefix: Prefix = "energy",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    delete_data: Annotated[bool, typer.Option("--delete-data", help="Also when bucket or tables hold data.")] = False,
) -> None:
    """Remove everything that ``up`` made; refused while bucket or tables hold data, unless told so."""
    from energy_platform.adapters.aws import stack
    from energy_platform.adapters.aws.client import Aws

    aws = Aws(region=region, endpoint_url=endpoint_url)
    plan = stack.plan_for(aws, prefix)
    if not yes:
        what = " WITH ALL DATA" if delete_data else ""
        typer.confirm(f"Remove {prefix}-* of account {plan.account}, {plan.region}{what}?", abort=True)
    count = stack.down(
        stack.resources(aws, plan),
        delete_data=delete_data,
        notify=lambda found: typer.echo(f"removed  {found.kind} {found.name}"),
    )
    typer.echo(f"{count} resources removed" if count else "nothing was there")


@app.command()
def policies(
    folder: Annotated[Path, typer.Argument(help="Folder to write to.")] = Path("policies"),
    account: Annotated[str | None, typer.Option(help="Account number; default that of the credentials.")] = None,
    endpoint_url: Endpoint = None,
    region: Region = None,
    prefix: Prefix = "energy",
) -> None:
    """Write the IAM policies, one file a role; with --account and --region without asking AWS."""
    from energy_platform.adapters.aws import stack
    from energy_platform.adapters.aws.client import Aws
    from energy_platform.adapters.aws.plan import AwsPlan
    from energy_platform.adapters.aws.policies import write_policies

    if account is not None and region is not None:
        plan = AwsPlan(prefix, account=account, region=region)
    else:
        plan = stack.plan_for(Aws(region=region, endpoint_url=endpoint_url), prefix)
    for path in write_policies(plan, folder):
        typer.echo(f"wrote {path}")


@app.command()
def costs(
    readings: Annotated[float, typer.Option(help="Readings a day.")] = 48_000.0,
    bytes_per_reading: Annotated[float, typer.Option(help="Bytes of one reading.")] = 200.0,
    peak_factor: Annotated[float, typer.Option(help="Busiest second over the mean one.")] = 10.0,
    uploads: Annotated[float, typer.Option(help="Files uploaded a day.")] = 10.0,
    stored_gb: Annotated[float, typer.Option(help="GB kept in the bucket.")] = 50.0,
    table_writes_per_reading: Annotated[float, typer.Option(help="Table rows written for each reading.")] = 1.0,
    dashboard_reads: Annotated[float, typer.Option(help="Table rows read a day.")] = 10_000.0,
    table_gb: Annotated[float, typer.Option(help="GB kept in tables.")] = 1.0,
    emails: Annotated[float, typer.Option(help="Alert mails a day.")] = 20.0,
    athena_gb: Annotated[float, typer.Option(help="GB scanned by queries a day.")] = 1.0,
    buffer_seconds: Annotated[float, typer.Option(help="Firehose writes an object this often.")] = 60.0,
    prices: Annotated[Path | None, typer.Option(help="Another table of prices (YAML).")] = None,
    as_json: AsJson = False,
) -> None:
    """A month's estimate from dated list prices; asks nobody and needs no account."""
    from energy_platform.adapters.aws.costs import PRICES_FILE, Assumptions, estimate, read_prices
    from energy_platform.commands.output import console, print_table

    values = locals()
    given = Assumptions(**{field.name: values[field.name] for field in fields(Assumptions)})
    table = read_prices(prices or PRICES_FILE)
    lines = estimate(given, table)
    total = sum(line.usd for line in lines)
    note = f"list prices of {table.region} as of {table.as_of}, check before relying on them"
    if as_json:
        content = {
            "as_of": str(table.as_of),
            "region": table.region,
            "currency": table.currency,
            "note": note,
            "assumptions": asdict(given),
            "lines": [asdict(line) for line in lines],
            "total": round(total, 2),
        }
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
        return
    assumed = [[name.replace("_", " "), f"{value:,.10g}"] for name, value in asdict(given).items()]
    print_table("Assumed (a day, unless it says otherwise)", ["", "value"], assumed)
    rows = [[line.item, f"{line.units:,.2f}", line.price.unit, f"{line.usd:,.2f}", line.reason] for line in lines]
    print_table("Estimate of a month", ["item", "units", "unit", f"{table.currency}", "because"], rows)
    console.print(f"Total {total:,.2f} {table.currency} a month: {note}.", highlight=False)
    console.print("No tax, support, discounts, free first year or data sent out. Price pages:", highlight=False)
    for page in sorted({line.price.source for line in lines}):
        console.print(f"  {page}", highlight=False)
