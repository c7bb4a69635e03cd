"""``openapi_extra`` for routes that read their bodies by hand: which schemas they take and answer with."""

from app.dialects.openapi.schemas import EVENT_STREAM, FORM, JSON, Schema, schema_ref


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
