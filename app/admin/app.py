"""The panel's API as an application of its own, with its own description at `/admin/api/openapi.json`."""

from typing import Any

from fastapi import APIRouter, FastAPI

from app import __version__
from app.admin import (
    accounts,
    admins,
    audit,
    backup,
    characters,
    keys,
    live,
    models,
    overview,
    playground,
    prices,
    providers,
    settings,
    sign_in,
    tasks,
    transfers,
    usage,
    webhooks,
)
from app.admin.description import PanelApp

ROUTERS: tuple[APIRouter, ...] = (
    sign_in.public_router,
    sign_in.own_router,
    admins.router,
    live.router,
    overview.router,
    tasks.router,
    transfers.router,  # before the accounts, whose paths take any name
    accounts.router,
    providers.router,
    models.router,
    webhooks.router,
    characters.router,
    playground.router,
    keys.router,
    prices.router,
    usage.router,
    audit.router,
    backup.router,  # before the settings, whose paths take any name
    settings.router,
)


def create_panel_app(**options: Any) -> FastAPI:
    """``app.state.panel`` must be set before it is asked anything. ``options`` go to FastAPI."""
    app = PanelApp(
        title="Filmgate Admin",
        version=__version__,
        summary="Everything that the admin panel does, for the panel and for automation.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        **options,
    )
    for router in ROUTERS:
        app.include_router(router, tags=["Admin"])
    return app
