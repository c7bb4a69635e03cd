"""What advances batches beside the routes. It needs none of these, so it runs before the first request."""

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

import structlog

from app.db.session import DATABASE_AWAY

if TYPE_CHECKING:
    from app.dialects.http.gateway import Gateway

log = structlog.get_logger()
LOOK_SECONDS = 1.0


async def run_batches(services: "Gateway") -> None:
    """Advance batches until cancelled. What does that is loaded with the first of them."""
    is_needed = False
    while not is_needed:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            is_needed = await services.batches.has_open()
        except DATABASE_AWAY as error:
            log.warning("batches.delayed", error=type(error).__name__)
    await import_module("app.dialects.openai_videos.batch_runner").BatchRunner(services).run()
