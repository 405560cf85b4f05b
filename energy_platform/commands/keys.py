"""``energy keys create|list|revoke``: who may use the API, and for what."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from energy_platform.domain.access import Role
from energy_platform.settings import get_settings

if TYPE_CHECKING:
    from energy_platform.adapters.operations import Operations

app = typer.Typer(no_args_is_help=True, help="Keys of the API.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who or what will use it.")],
    role: Annotated[Role, typer.Option(help="What it may do: read, change state, or send readings.")],
    sites: Annotated[
        list[str] | None, typer.Option("--site", help="Only for this site; may be given several times.")
    ] = None,
) -> None:
    """Make a key and print it: this is the only time that it is shown."""
    from energy_platform.adapters.operations.key_sites import create_key_for

    with _operations() as operations:
        key, text = create_key_for(operations, name, role, sites or [], now_utc=_now())
    where = ", ".join(sites) if sites else "every site"
    typer.echo(f"identifier {key.key_id}, role {key.role.value}, for {where}. The key, shown once:", err=True)
    typer.echo(text)


@app.command("list")
def list_() -> None:
    """Print every key: identifier, role, name, sites, when it was made and revoked."""
    from energy_platform.adapters.operations.key_sites import sites_of

    with _operations() as operations:
        for key in operations.list_keys():
            sites = ", ".join(sites_of(operations, key.key_id).names or ["every site"])
            ended = f"revoked {key.revoked_at_utc:%Y-%m-%d %H:%M}" if key.revoked_at_utc else "valid"
            typer.echo(
                f"{key.key_id}  {key.role.value:8}  {key.created_at_utc:%Y-%m-%d %H:%M}  {ended}  {key.name}  ({sites})"
            )


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="Identifier, as `energy keys list` prints it.")]) -> None:
    """End a key at once."""
    with _operations() as operations:
        key = operations.revoke_key(key_id, now_utc=_now())
    typer.echo(f"{key.key_id} ({key.name}) is revoked")


def _operations() -> "Operations":
    from energy_platform.adapters.operations import Operations

    return Operations.open(get_settings().operations_address)


def _now() -> datetime:
    return datetime.now(tz=UTC).replace(tzinfo=None)
