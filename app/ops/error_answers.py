"""Turns errors into responses: our own, and those of the framework's router."""

from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Match, Mount
from starlette.types import Scope

from app.errors import FilmgateError, InvalidRequest, MethodNotAllowed, NotFound
from app.ops.addresses import HINT
from app.ops.envelope import EnvelopesByPath, error_headers

METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")


def _methods_at(app: Starlette, scope: Scope) -> list[str]:
    """Of all routes at the address: the framework names those of the first."""
    routes = [route for route in app.routes if not isinstance(route, Mount)]

    def is_offered(method: str) -> bool:
        return any(route.matches({**scope, "method": method})[0] == Match.FULL for route in routes)

    return [method for method in METHODS if is_offered(method)]


def answer_errors(app: Starlette, envelopes: EnvelopesByPath) -> None:
    """Every error of ``app`` is sent in the envelope that the clients of its path read."""

    def error_body(request: Request, error: FilmgateError) -> dict[str, Any]:
        return envelopes.envelope_for(request.url.path).error_body(error)

    async def answer_own_error(request: Request, error: Any) -> JSONResponse:
        return JSONResponse(error_body(request, error), error.status, headers=error_headers(error))

    async def answer_http_exception(request: Request, error: Any) -> JSONResponse:
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

    app.add_exception_handler(FilmgateError, answer_own_error)
    app.add_exception_handler(HTTPException, answer_http_exception)
