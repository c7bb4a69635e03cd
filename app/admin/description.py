"""The panel's API as `/admin/api/openapi.json` tells of it: with the answers that FastAPI knows nothing of."""

from typing import Any

from fastapi import FastAPI

from app.dialects.openapi.operations import error_refs, error_responses
from app.dialects.openapi.schemas import ERROR_SCHEMA, Schema

SECURITY_SCHEMES: Schema = {
    "token": {"type": "http", "scheme": "bearer", "description": "FILMGATE_ADMIN_TOKEN"},
    "session": {"type": "apiKey", "in": "cookie", "name": "filmgate_session"},
}
UNUSED_SCHEMAS = ("HTTPValidationError", "ValidationError")
"""Bad fields are answered 400 in our own envelope, never 422."""


class PanelApp(FastAPI):
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = _completed_document(super().openapi())
        return self.openapi_schema


def _completed_document(document: dict[str, Any]) -> dict[str, Any]:
    parts = document["components"]
    for name in UNUSED_SCHEMAS:
        parts["schemas"].pop(name, None)
    parts["schemas"]["Error"] = ERROR_SCHEMA
    parts["responses"] = error_responses()
    parts["securitySchemes"] = SECURITY_SCHEMES
    for methods in document["paths"].values():
        for told in methods.values():
            answers = {status: answer for status, answer in told["responses"].items() if status != "422"}
            told["responses"] = answers | error_refs("post")
            told["security"] = [{way: []} for way in SECURITY_SCHEMES]
    return document
