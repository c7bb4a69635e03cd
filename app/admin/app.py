"""The panel's API: an application of its own, with its own description at `/admin/api/openapi.json`."""

from typing import Any

from fastapi import APIRouter, FastAPI

from app import __version__
from app.admin import (
    account_bulk,
    account_trial,
    accounts,
    admins,
    audit,
    characters,
    drafts,
    film_archive,
    keys,
    live,
    models,
    oidc_sign_in,
    overview,
    pauses,
    playground,
    projects,
    providers,
    readiness,
    replays,
    requests,
    second_factor,
    settings,
    sign_in,
    statements,
    takes,
    tasks,
    transfers,
    usage,
    webhooks,
)
from app.dialects.openapi.document import add_document_route
from app.dialects.openapi.operations import error_refs, error_responses
from app.dialects.openapi.schemas import ERROR_SCHEMA, Schema

ROUTERS: tuple[APIRouter, ...] = (
    sign_in.public_router,
    sign_in.own_router,
    oidc_sign_in.router,
    second_factor.router,
    admins.router,
    live.router,
    overview.router,
    readiness.router,
    film_archive.router,
    takes.router,  # before tasks, where /tasks/{name} matches any name
    replays.router,
    tasks.router,
    transfers.router,  # before accounts, where /accounts/{which} matches any name
    account_bulk.router,
    account_trial.router,
    accounts.router,
    providers.router,
    models.router,
    webhooks.router,
    characters.router,
    playground.router,
    drafts.router,
    pauses.router,
    keys.router,
    projects.router,
    projects.credit_router,
    statements.router,
    usage.router,
    requests.router,
    audit.router,
    settings.router,
)
SECURITY_SCHEMES: Schema = {
    "token": {"type": "http", "scheme": "bearer", "description": "FILMGATE_ADMIN_TOKEN"},
    "session": {"type": "apiKey", "in": "cookie", "name": "filmgate_session"},
}
UNUSED_SCHEMAS = ("HTTPValidationError", "ValidationError")
"""FastAPI describes a 422 for bad fields; we answer 400 with our own error body."""


class PanelApp(FastAPI):
    """Describes what FastAPI does not know: our error responses, and the two ways to authenticate."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = _completed_document(super().openapi())
        return self.openapi_schema


def create_panel_app(**options: Any) -> FastAPI:
    """``app.state.panel`` must be set before the first request. ``options`` are passed to FastAPI."""
    app = PanelApp(
        title="Filmgate Admin",
        version=__version__,
        summary="Everything that the admin panel does, for the panel and for automation.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        **options,
    )
    add_document_route(app)
    for router in ROUTERS:
        app.include_router(router, tags=["Admin"])
    return app


def _completed_document(document: dict[str, Any]) -> dict[str, Any]:
    parts = document["components"]
    for name in UNUSED_SCHEMAS:
        parts["schemas"].pop(name, None)
    parts["schemas"]["Error"] = ERROR_SCHEMA
    parts["responses"] = error_responses()
    parts["securitySchemes"] = SECURITY_SCHEMES
    for methods in document["paths"].values():
        for operation in methods.values():
            success = {
                status: response for status, response in operation["responses"].items() if status != "422"
            }
            operation["responses"] = success | error_refs("post")
            operation["security"] = [{name: []} for name in SECURITY_SCHEMES]
    return document
