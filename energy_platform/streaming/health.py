"""The health endpoint of a stream process: ``GET /health`` on loopback, answered by the standard library."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@contextmanager
def health_endpoint(snapshot: Callable[[], dict[str, Any]], *, host: str, port: int) -> Iterator[int]:
    """Serve ``snapshot`` while the block runs; 200 when its ``status`` is ``ok``, 503 otherwise.

    Yields:
        The port, chosen by the system when 0 was asked for.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/health":
                self.send_error(404)
                return
            state = snapshot()
            body = orjson.dumps(state)
            self.send_response(200 if state["status"] == "ok" else 503)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            """Say nothing: a probe every few seconds is no event."""

    server = ThreadingHTTPServer((host, port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
