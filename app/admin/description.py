"""The panel's API as `/admin/api/openapi.json` tells of it: with the answers that FastAPI knows nothing of."""

from typing import Any

from fastapi import FastAPI

from app.dialects.openapi.error_responses import envelope_responses, error_refs
from app.dialects.openapi.schemas import SCHEMAS, Schema

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
    parts["schemas"]["Error"] = SCHEMAS["Error"]
    parts["responses"] = {f"Error{status}": answer for status, answer in envelope_responses("Error")}
    parts["securitySchemes"] = SECURITY_SCHEMES
    for path, methods in document["paths"].items():
        for told in methods.values():
            answers = {status: answer for status, answer in told["responses"].items() if status != "422"}
            told["responses"] = answers | error_refs(path, "post", is_download=False)
            told["security"] = [{way: []} for way in SECURITY_SCHEMES]
    return document
