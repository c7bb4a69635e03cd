"""The error envelope of each family of dialects, and the headers that tell SDKs what to do next."""

import json
import math
from collections.abc import Callable
from typing import Any

from app.errors import FilmgateError, PayloadTooLarge, RangeNotSatisfiable


def error_body(error: FilmgateError, *, path: str = "") -> dict[str, Any]:
    """In the form that clients of ``path`` read; OpenAI's unless the path is another family's."""
    for prefix, written in ENVELOPES.items():
        if path.startswith(prefix):
            return written(error)
    return _openai_body(error)


def _openai_body(error: FilmgateError) -> dict[str, Any]:
    return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}


def _openrouter_body(error: FilmgateError) -> dict[str, Any]:
    """OpenRouter's codes are numbers; ours go beside them."""
    told = {"type": error.type, "param": error.param, "code": error.code}
    return {"error": {"code": error.status, "message": error.message, "metadata": told}}


def _anthropic_body(error: FilmgateError) -> dict[str, Any]:
    """Anthropic has no ``param``: the message names the field."""
    kind = ANTHROPIC_TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    text = f"{error.param}: {error.message}" if error.param else error.message
    return {"type": "error", "error": {"type": kind, "message": text}}


ANTHROPIC_PATH = "/v1/messages"
ENVELOPES: dict[str, Callable[[FilmgateError], dict[str, Any]]] = {
    "/api/v1/": _openrouter_body,
    ANTHROPIC_PATH: _anthropic_body,
}
"""By how a path begins."""
ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_headers(error: FilmgateError) -> dict[str, str]:
    """``retry-after`` is whole seconds, at least one; ``x-should-retry`` where the status alone misleads.

    After too large a body the connection closes, so that nobody waits for the rest of it.
    """
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
        headers["retry-after-ms"] = str(max(1, math.ceil(error.retry_after * 1000)))
    if error.should_retry is not None:
        headers["x-should-retry"] = "true" if error.should_retry else "false"
    if isinstance(error, RangeNotSatisfiable):
        headers["content-range"] = f"bytes */{error.size}"
    if isinstance(error, PayloadTooLarge):
        headers["connection"] = "close"
    return headers


def error_bytes(error: FilmgateError, *, path: str = "", request_id: str = "") -> bytes:
    body = error_body(error, path=path)
    if request_id and path.startswith(ANTHROPIC_PATH):
        body["request_id"] = request_id
    return json.dumps(body, ensure_ascii=False).encode()


def error_event(error: FilmgateError, *, path: str = "") -> bytes:
    """The news in the midst of a stream: OpenAI's SDKs want it nested and without a name, Anthropic's drop
    what has no name."""
    name = b"event: error\n" if path.startswith(ANTHROPIC_PATH) else b""
    return b"%bdata: %b\n\n" % (name, error_bytes(error, path=path))
