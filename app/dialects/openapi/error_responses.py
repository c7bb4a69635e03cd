"""The answers that every route of a kind may give beside its own success, for `/openapi.json`."""

from collections.abc import Iterator
from typing import Any

from app.dialects.openapi.schemas import Schema, schema_ref

JSON = "application/json"
FORM = "multipart/form-data"
ERROR_SCHEMAS = {"/api/v1/": "OpenRouterError", "/v1/messages": "AnthropicError"}
"""By how a path begins; any other has OpenAI's form."""
COMMON_ERRORS = {
    400: "A field is wrong; `param` names it",
    401: "No key, or an unknown one",
    403: "The key may not do this",
    404: "Not there, or somebody else's",
    429: "The key's limit or budget is reached; `retry-after` says when to come again",
    500: "Something went wrong here; the request id tells the operator what",
    503: "No account can serve it now, or the server restarts; `retry-after` says when to come again",
}
POST_ERRORS = {
    409: "The idempotency key was used with another body",
    413: "The body, or a file in it, is too large",
    502: "The upstream failed",
    504: "It takes longer than one may wait here; the task goes on",
}
DOWNLOAD_ERRORS = {410: "The file has expired", 416: "The range lies outside the file"}
DOWNLOAD_SUCCESSES = {
    "206": "The part that `Range` asked for",
    "304": "Unchanged since the `ETag` in `If-None-Match`",
}


def error_refs(path: str, method: str, *, is_download: bool) -> dict[str, Schema]:
    """References to the errors that ``method`` on ``path`` may answer with, by status."""
    form = _error_schema(path)
    able = (
        COMMON_ERRORS | (POST_ERRORS if method == "post" else {}) | (DOWNLOAD_ERRORS if is_download else {})
    )
    return {str(status): {"$ref": f"#/components/responses/{form}{status}"} for status in sorted(able)}


def partial_responses(success: Schema) -> dict[str, Schema]:
    """What a download may answer in place of ``success``."""
    whole = {"description": DOWNLOAD_SUCCESSES["206"], "content": success["content"]}
    return {"206": whole, "304": {"description": DOWNLOAD_SUCCESSES["304"]}}


def error_responses() -> dict[str, Any]:
    """``components.responses``."""
    return {
        f"{form}{status}": answer for form in _error_schemas() for status, answer in envelope_responses(form)
    }


def _error_schemas() -> Iterator[str]:
    yield "Error"
    yield from ERROR_SCHEMAS.values()


def envelope_responses(form: str) -> Iterator[tuple[int, Schema]]:
    """Every refusal there is, in one form."""
    for status, text in (COMMON_ERRORS | POST_ERRORS | DOWNLOAD_ERRORS).items():
        yield status, {"description": text, "content": {JSON: {"schema": schema_ref(form)}}}


def _error_schema(path: str) -> str:
    return next((name for prefix, name in ERROR_SCHEMAS.items() if path.startswith(prefix)), "Error")
