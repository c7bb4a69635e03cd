"""`/openapi.json`: the document of FastAPI, completed from the dialects."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.routing import Route

from app.dialects.base import Dialect, RelayedRoute
from app.dialects.openapi.operations import error_refs, error_responses, partial_responses
from app.dialects.openapi.schemas import ERROR_SCHEMA, JSON, Schema, schema_ref

SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}


class DocumentedAPI(FastAPI):
    """FastAPI with a document that also describes bodies, errors, examples and relayed routes."""

    def __init__(self, dialects: Sequence[Dialect], **options: Any) -> None:
        super().__init__(**options)
        self._dialects = dialects

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = DocumentCompletion(self._dialects).complete(super().openapi())
        return self.openapi_schema


def add_document_route(app: FastAPI) -> None:
    """`/openapi.json`, written once: whoever asks for it costs no more than the bytes."""

    @cache
    def document_bytes() -> bytes:
        return json.dumps(app.openapi(), ensure_ascii=False, separators=(",", ":")).encode()

    async def send_document(_: Request) -> Response:
        return Response(document_bytes(), media_type="application/json")

    app.router.routes.append(Route("/openapi.json", send_document, include_in_schema=False))


class DocumentCompletion:
    """Adds schemas, examples, errors and relayed routes to FastAPI's document."""

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        self._dialects = dialects
        self._examples = {name: body for dialect in dialects for name, body in dialect.examples.items()}

    def complete(self, document: dict[str, Any]) -> dict[str, Any]:
        relayed = [route for dialect in self._dialects for route in dialect.routes.relayed]
        document["paths"] |= {f"/v1/{route.path}": {"post": _relayed_operation(route)} for route in relayed}
        tags = {name: text for dialect in self._dialects for name, text in dialect.tags.items()}
        document["tags"] = [
            {"name": name, "description": text}
            for name, text in sorted(tags.items(), key=lambda tag: tag[0].casefold())
        ]
        document["components"] = self._components()
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                self._complete_operation(operation, path, method)
        return document

    def _components(self) -> Schema:
        schemas = {"Error": ERROR_SCHEMA}
        for dialect in self._dialects:
            schemas |= dialect.schemas
        envelopes = dict.fromkeys(["Error", *(dialect.error_schema for dialect in self._dialects)])
        responses: Schema = {}
        for schema in envelopes:
            responses |= error_responses(schema)
        return {"schemas": schemas, "responses": responses, "securitySchemes": SECURITY_SCHEMES}

    def _complete_operation(self, operation: dict[str, Any], path: str, method: str) -> None:
        """Adds the errors, the example and the security of one operation. Bad fields are answered with 400, never 422."""
        answers = {status: answer for status, answer in operation["responses"].items() if status != "422"}
        content = next(iter(answers.values())).get("content", {})
        is_download = any(media_type.startswith(("video/", "image/")) for media_type in content)
        if is_download:
            answers |= partial_responses(answers["200"])
        refs = error_refs(method, schema=self._error_schema(path), is_download=is_download)
        operation["responses"] = answers | refs
        if all(dialect.needs_key(path) for dialect in self._dialects):
            operation["security"] = [{name: []} for name in SECURITY_SCHEMES]
        self._add_example(operation)

    def _add_example(self, operation: dict[str, Any]) -> None:
        content = operation.get("requestBody", {}).get("content", {})
        schema = content.get(JSON, {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
        if schema in self._examples:
            content[JSON]["example"] = self._examples[schema]

    def _error_schema(self, path: str) -> str:
        for dialect in self._dialects:
            if dialect.error_prefixes and path.startswith(dialect.error_prefixes):
                return dialect.error_schema
        return "Error"


def _relayed_operation(route: RelayedRoute) -> Schema:
    content: Schema = {media_type: {"schema": schema_ref(route.body)} for media_type in route.content_types}
    return {
        "tags": [route.tag],
        "summary": route.summary,
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "Successful Response", "content": route.answer}},
    }
