"""Opens the gateway's store for the commands that work on it directly."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.assembly import assemble_components
from app.components import Components
from app.db.session import DATABASE_AWAY
from app.errors import ServiceUnavailable
from app.settings import load_settings

Result = TypeVar("Result")


def with_store(action: Callable[[Components], Awaitable[Result]]) -> Result:
    """The result of ``action``, called with the opened store.

    Raises ``SettingsInvalid`` when the store can't be opened, ``ServiceUnavailable`` when the database is unreachable.
    """

    async def open_and_run() -> Result:
        components = await assemble_components(load_settings())
        try:
            return await action(components)
        finally:
            await components.close()

    try:
        return asyncio.run(open_and_run())
    except DATABASE_AWAY as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0][:200]
        raise ServiceUnavailable(
            f"The database does not answer ({reason}). `filmgate doctor` shows more."
        ) from error
