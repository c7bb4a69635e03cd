"""Parts of operations in `/openapi.json`: bodies, answers, downloads, errors."""

from app.dialects.openapi.schemas import EVENT_STREAM, FORM, JSON, Schema, schema_ref

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


def operation_schema(
    *,
    body: str | None = None,
    answer: str | None = None,
    query: tuple[str, ...] = (),
    status: int = 200,
    streams: bool = False,
) -> Schema:
    """``body`` and ``answer`` name schemas, ``query`` names parameters. A body may be JSON or a form; an answer that
    ``streams`` may also come as server-sent events."""
    operation: Schema = {}
    if body:
        content: Schema = {media_type: {"schema": schema_ref(body)} for media_type in (JSON, FORM)}
        operation["requestBody"] = {"required": True, "content": content}
    if answer:
        content = {JSON: {"schema": schema_ref(answer)}} | (EVENT_STREAM if streams else {})
        operation["responses"] = {str(status): {"content": content}}
    if query:
        operation["parameters"] = [
            {"name": name, "in": "query", "schema": {"type": "string"}} for name in query
        ]
    return operation


def download_schema(*media_types: str, query: tuple[str, ...] = ()) -> Schema:
    """For a route that answers with a file of one of ``media_types``."""
    content = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in media_types}
    return operation_schema(query=query) | {"responses": {"200": {"content": content}}}


def error_refs(method: str, *, schema: str = "Error", is_download: bool = False) -> dict[str, Schema]:
    """References to the errors that a route may answer with, by status. ``schema`` names the envelope's schema."""
    statuses = set(COMMON_ERRORS)
    if method == "post":
        statuses |= set(POST_ERRORS)
    if is_download:
        statuses |= set(DOWNLOAD_ERRORS)
    return {str(status): {"$ref": f"#/components/responses/{schema}{status}"} for status in sorted(statuses)}


def partial_responses(success: Schema) -> dict[str, Schema]:
    """What a download may answer in place of ``success``."""
    partial = {"description": DOWNLOAD_SUCCESSES["206"], "content": success["content"]}
    return {"206": partial, "304": {"description": DOWNLOAD_SUCCESSES["304"]}}


def error_responses(schema: str = "Error") -> dict[str, Schema]:
    """``components.responses`` of one envelope: each error status with its meaning."""
    return {
        f"{schema}{status}": {"description": text, "content": {JSON: {"schema": schema_ref(schema)}}}
        for status, text in (COMMON_ERRORS | POST_ERRORS | DOWNLOAD_ERRORS).items()
    }
