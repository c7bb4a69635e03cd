"""The answers that every route of a kind may give beside its own success, for `/openapi.json`."""

from collections.abc import Iterator
from typing import Any

from app.dialects.schemas import Schema, ref

JSON = "application/json"
FORM = "multipart/form-data"
ERROR_FORMS = {"/api/v1/": "OpenRouterError", "/v1/messages": "AnthropicError"}
"""By how a path begins; any other has OpenAI's form."""
ANY = {
    400: "A field is wrong; `param` names it",
    401: "No key, or an unknown one",
    403: "The key may not do this",
    404: "Not there, or somebody else's",
    429: "The key's limit or budget is reached; `retry-after` says when to come again",
    500: "Something went wrong here; the request id tells the operator what",
    503: "No account can serve it now, or the server restarts; `retry-after` says when to come again",
}
SENDING = {
    409: "The idempotency key was used with another body",
    413: "The body, or a file in it, is too large",
    502: "The upstream failed",
    504: "It takes longer than one may wait here; the task goes on",
}
FILE = {410: "The file has expired", 416: "The range lies outside the file"}
PARTIAL = {
    "206": "The part that `Range` asked for",
    "304": "Unchanged since the `ETag` in `If-None-Match`",
}


def refusals(path: str, method: str, *, is_download: bool) -> dict[str, Schema]:
    """References to the errors that ``method`` on ``path`` may answer with, by status."""
    form = _form(path)
    able = ANY | (SENDING if method == "post" else {}) | (FILE if is_download else {})
    return {str(status): {"$ref": f"#/components/responses/{form}{status}"} for status in sorted(able)}


def partial_answers(success: Schema) -> dict[str, Schema]:
    """What a download may answer in place of ``success``."""
    whole = {"description": PARTIAL["206"], "content": success["content"]}
    return {"206": whole, "304": {"description": PARTIAL["304"]}}


def error_responses() -> dict[str, Any]:
    """``components.responses``."""
    return {f"{form}{status}": answer for form in _forms() for status, answer in written_answers(form)}


def _forms() -> Iterator[str]:
    yield "Error"
    yield from ERROR_FORMS.values()


def written_answers(form: str) -> Iterator[tuple[int, Schema]]:
    """Every refusal there is, in one form."""
    for status, text in (ANY | SENDING | FILE).items():
        yield status, {"description": text, "content": {JSON: {"schema": ref(form)}}}


def _form(path: str) -> str:
    return next((name for prefix, name in ERROR_FORMS.items() if path.startswith(prefix)), "Error")
