"""Turns errors into responses: our own errors, the framework's, and invalid parameters."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount
from starlette.types import Scope

from app.errors import FilmgateError, InvalidRequest, MethodNotAllowed, NotFound
from app.ops.addresses import HINT
from app.ops.envelope import EnvelopesByPath, error_headers
from app.validation import describe_problem, problem_reason

METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")


def _methods_at(app: FastAPI, scope: Scope) -> list[str]:
    """Of all routes at the address: the framework names those of the first."""
    routes = [route for route in app.routes if not isinstance(route, Mount)]

    def is_offered(method: str) -> bool:
        return any(route.matches({**scope, "method": method})[0] == Match.FULL for route in routes)

    return [method for method in METHODS if is_offered(method)]


def answer_errors(app: FastAPI, envelopes: EnvelopesByPath) -> None:
    """Every error of ``app`` is sent in the envelope that the clients of its path read."""

    def error_body(request: Request, error: FilmgateError) -> dict[str, Any]:
        return envelopes.envelope_for(request.url.path).error_body(error)

    @app.exception_handler(FilmgateError)
    async def answer_own_error(request: Request, error: FilmgateError) -> JSONResponse:
        return JSONResponse(error_body(request, error), error.status, headers=error_headers(error))

    @app.exception_handler(HTTPException)
    async def answer_http_exception(request: Request, error: HTTPException) -> JSONResponse:
        answer: FilmgateError
        if error.status_code == 404:
            path = request.url.path[:200]
            hint = "" if path.startswith("/admin") else f". {HINT}"
            answer = NotFound(f"There is nothing at {request.method} {path}{hint}")
        elif error.status_code == 405:
            answer = MethodNotAllowed(f"{request.method} is not offered at {request.url.path[:200]}")
        else:
            answer = InvalidRequest(str(error.detail))
        headers: dict[str, Any] = dict(error.headers or {})
        if error.status_code == 405:
            headers = {"allow": ", ".join(_methods_at(app, request.scope))}
        return JSONResponse(error_body(request, answer), error.status_code, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def answer_validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field, text = describe_problem(
            {**first, "loc": first["loc"][1:]}
        )  # the first part says "body" or "query"
        where = field or str(first["loc"][0])
        answer = InvalidRequest(f"{where}: {text}", param=where, reason=problem_reason(first))
        return JSONResponse(error_body(request, answer), answer.status)
