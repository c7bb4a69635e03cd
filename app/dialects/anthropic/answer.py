"""The Messages API as a dialect, and its errors."""

from typing import Any

from app.dialects.anthropic.schemas import EXAMPLES, SCHEMAS, TAGS
from app.dialects.base import Dialect
from app.errors import FilmgateError
from app.ops.envelope import ErrorEnvelope

ERROR_TYPES = {
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


class AnthropicEnvelope(ErrorEnvelope):
    """https://docs.anthropic.com/en/api/errors. It has no ``param``, so the message names the field."""

    event_name = "error"
    """Anthropic's SDKs drop events without a name."""
    request_id_header = "request-id"

    def error_body(self, error: FilmgateError, *, request_id: str = "") -> dict[str, Any]:
        text = f"{error.param}: {error.message}" if error.param else error.message
        body = error_object(error.status, text)
        return body | {"request_id": request_id} if request_id else body


class AnthropicDialect(Dialect):
    """The Messages API: text only, so it creates no tasks."""

    name = "anthropic"
    error_envelope = AnthropicEnvelope()
    error_schema = "AnthropicError"
    error_prefixes = ("/v1/messages", "/api/v1/messages")
    tags = TAGS
    schemas = SCHEMAS
    examples = EXAMPLES


def error_object(status: int, message: str) -> dict[str, Any]:
    """An error in Anthropic's form, without a request id."""
    kind = ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}}
