"""What `/docs` and `/openapi.json` tell beyond what FastAPI finds: bodies, answers, errors, relayed routes."""

from typing import Any

from fastapi import FastAPI

from app.dialects.openapi.error_responses import (
    FORM,
    JSON,
    error_refs,
    error_responses,
    partial_responses,
)
from app.dialects.openapi.examples import EXAMPLES, TAGS
from app.dialects.openapi.foreign_schemas import FOREIGN_SCHEMAS
from app.dialects.openapi.manual_schemas import MANUAL_SCHEMAS
from app.dialects.openapi.relayed_routes import EVENT_STREAM, relayed_paths
from app.dialects.openapi.relayed_schemas import RELAYED_SCHEMAS
from app.dialects.openapi.schemas import SCHEMAS, Schema, schema_ref

KEY_PATHS = ("/v1/", "/v2/", "/sora/", "/api/")
"""Paths that need a key."""
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}


class DocumentedAPI(FastAPI):
    """FastAPI, with the description of what its routes read by hand and of those it knows nothing of."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = _complete_document(super().openapi())
        return self.openapi_schema


def operation_schema(
    *,
    body: str | None = None,
    answer: str | None = None,
    query: tuple[str, ...] = (),
    status: int = 200,
    streams: bool = False,
) -> Schema:
    """``openapi_extra`` of a route; ``body`` and ``answer`` name schemas. A body may be JSON or a form; an
    answer that ``streams`` may also come as events."""
    found: Schema = {}
    if body:
        content: Schema = {kind: {"schema": schema_ref(body)} for kind in (JSON, FORM)}
        if body in EXAMPLES:
            content[JSON]["example"] = EXAMPLES[body]
        found["requestBody"] = {"required": True, "content": content}
    if answer:
        told = {JSON: {"schema": schema_ref(answer)}} | (EVENT_STREAM if streams else {})
        found["responses"] = {str(status): {"content": told}}
    if query:
        found["parameters"] = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in query]
    return found


def download_schema(*kinds: str, query: tuple[str, ...] = ()) -> Schema:
    """``openapi_extra`` of a route that answers with a file of one of these media types."""
    content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in kinds}
    return operation_schema(query=query) | {"responses": {"200": {"content": content}}}


def _complete_document(document: dict[str, Any]) -> dict[str, Any]:
    document["paths"] |= relayed_paths()
    document["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    document["components"] = {
        "schemas": SCHEMAS | MANUAL_SCHEMAS | RELAYED_SCHEMAS | FOREIGN_SCHEMAS,
        "responses": error_responses(),
        "securitySchemes": SECURITY_SCHEMES,
    }
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            _complete_operation(told, path, method)
    return document


def _complete_operation(told: dict[str, Any], path: str, method: str) -> None:
    """Every answer there is, errors included; bad fields are answered 400 here, never 422."""
    answers = {status: answer for status, answer in told["responses"].items() if status != "422"}
    kinds = next(iter(answers.values())).get("content", {})
    is_download = any(kind.startswith(("video/", "image/")) for kind in kinds)
    if is_download:
        answers |= partial_responses(answers["200"])
    told["responses"] = answers | error_refs(path, method, is_download=is_download)
    if path.startswith(KEY_PATHS):
        told["security"] = [{way: []} for way in SECURITY_SCHEMES]
