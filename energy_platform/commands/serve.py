"""``energy serve``: the HTTP API, on loopback unless told otherwise."""

from typing import Annotated

import typer

from energy_platform.settings import get_settings

app = typer.Typer(help="Serve the HTTP API.")


@app.callback(invoke_without_command=True)
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every one of this machine.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65_535)] = 8080,
) -> None:
    """Serve the API until SIGTERM or Ctrl-C; requests in progress are finished first."""
    import uvicorn

    from energy_platform.serving.api.app import create_app

    uvicorn.run(create_app(get_settings()), host=host, port=port, log_level="info", server_header=False)
