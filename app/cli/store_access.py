"""Opens the gateway's own store for a command that changes it, and closes it again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.assembly import assemble_components
from app.components import Components
from app.db.session import DATABASE_AWAY
from app.errors import ServiceUnavailable
from app.settings import load_settings

Answer = TypeVar("Answer")


def with_store(work: Callable[[Components], Awaitable[Answer]]) -> Answer:
    """Raises ``SettingsInvalid`` when the store can't be opened, ``Unavailable`` when it goes away."""

    async def run() -> Answer:
        components = await assemble_components(load_settings())
        try:
            return await work(components)
        finally:
            await components.close()

    try:
        return asyncio.run(run())
    except DATABASE_AWAY as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0][:200]
        raise ServiceUnavailable(
            f"The database does not answer ({reason}). `filmgate doctor` looks closer."
        ) from error
