"""The panel's API as `/admin/api/openapi.json` tells of it: with the answers that FastAPI knows nothing of."""

from typing import Any

from fastapi import FastAPI

from app.dialects.answers import refusals, written_answers
from app.dialects.schemas import SCHEMAS, Schema

ACCESS: Schema = {
    "token": {"type": "http", "scheme": "bearer", "description": "FILMGATE_ADMIN_TOKEN"},
    "session": {"type": "apiKey", "in": "cookie", "name": "filmgate_session"},
}
FASTAPIS = ("HTTPValidationError", "ValidationError")
"""Bad fields are answered 400 in our own envelope, never 422."""


class DescribedPanel(FastAPI):
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = _completed(super().openapi())
        return self.openapi_schema


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    parts = document["components"]
    for name in FASTAPIS:
        parts["schemas"].pop(name, None)
    parts["schemas"]["Error"] = SCHEMAS["Error"]
    parts["responses"] = {f"Error{status}": answer for status, answer in written_answers("Error")}
    parts["securitySchemes"] = ACCESS
    for path, methods in document["paths"].items():
        for told in methods.values():
            answers = {status: answer for status, answer in told["responses"].items() if status != "422"}
            told["responses"] = answers | refusals(path, "post", is_download=False)
            told["security"] = [{way: []} for way in ACCESS]
    return document
