"""Errors of the API as ``application/problem+json`` (RFC 9457): a title, a status and what to do; never a trace."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

logger = logging.getLogger(__name__)


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
        return JSONResponse(self.content(), self.status, self.headers, media_type="application/problem+json")


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
