"""Errors of the API as ``application/problem+json`` (RFC 9457): a title, a status and what to do; never a trace."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was found, and what to do."},
    },
}
_MEANINGS = {
    400: "The request is not HTTP as it should be.",
    401: "There is no valid key in `Authorization: Bearer`.",
    403: "The key's role or sites do not allow this.",
    404: "There is no such thing, or none that the key may see.",
    405: "The path is there, the method is not.",
    409: "It contradicts what stands: see `rule` where there is one.",
    411: "The body does not say its length.",
    413: "The body is too large.",
    415: "The body is in no known form.",
    422: "The request says something that cannot be.",
    429: "Too often; `Retry-After` says when again.",
    500: "The server failed; its log says why.",
    503: "There is nothing to answer from yet; `Retry-After` says when to ask again.",
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of an endpoint for its OpenAPI document; 500 is always among them."""
    content = {MEDIA_TYPE: {"schema": _SCHEMA}}
    return {status: {"description": _MEANINGS[status], "content": content} for status in (*statuses, 500)}


class Problem(Exception):
    """An answer that is not a success.

    Args:
        status: HTTP status.
        detail: what was found and what to do.
        headers: to send along.
        members: further members of the JSON object.
    """

    def __init__(self, status: int, detail: str, *, headers: dict[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.members = status, detail, headers, members

    def content(self) -> dict[str, Any]:
        """The JSON object."""
        title = HTTPStatus(self.status).phrase
        return {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail, **self.members}

    def response(self) -> JSONResponse:
        """The answer."""
        return JSONResponse(self.content(), self.status, self.headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error of an app as a problem."""

    @app.exception_handler(Problem)
    def _problem(_: Request, problem: Problem) -> JSONResponse:
        return problem.response()

    @app.exception_handler(HTTPException)
    def _http(_: Request, problem: HTTPException) -> JSONResponse:
        return Problem(problem.status_code, str(problem.detail), headers=dict(problem.headers or {})).response()

    @app.exception_handler(RequestValidationError)
    def _invalid(_: Request, problem: RequestValidationError) -> JSONResponse:
        errors = [{"where": ".".join(map(str, error["loc"])), "what": error["msg"]} for error in problem.errors()]
        return Problem(422, "the request is not valid", errors=errors).response()

    @app.exception_handler(Exception)
    def _bug(request: Request, problem: Exception) -> JSONResponse:
        logger.error("%s %s failed", request.method, request.url.path, exc_info=problem)
        return Problem(500, "the server failed; its log says why").response()


class SmallBodies:
    """Refuses large bodies before they are read, on all paths but those that bound their own.

    Args:
        app: the application.
        most_bytes: what a body may have.
        but: paths that look to it themselves.
    """

    def __init__(self, app: ASGIApp, *, most_bytes: int, but: frozenset[str]) -> None:
        self._app, self._most_bytes, self._but = app, most_bytes, but

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer that its body is too large or of unknown length."""
        problem = None
        if scope["type"] == "http" and scope["path"] not in self._but:
            headers = dict(scope["headers"])
            length = headers.get(b"content-length", b"0")
            if b"transfer-encoding" in headers:
                problem = Problem(411, "say the length of the body: Content-Length")
            elif not length.isdigit() or int(length) > self._most_bytes:
                problem = Problem(413, f"a body has at most {self._most_bytes} bytes here")
        answer = self._app if problem is None else problem.response()
        await answer(scope, receive, send)
