"""Opens the gateway's own store for a command that changes it, and closes it again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.assembly import assemble
from app.db.session import DATABASE_AWAY
from app.errors import Unavailable
from app.parts import Parts
from app.settings import load

Answer = TypeVar("Answer")


def with_store(work: Callable[[Parts], Awaitable[Answer]]) -> Answer:
    """Raises ``SettingsInvalid`` when the store can't be opened, ``Unavailable`` when it goes away."""

    async def run() -> Answer:
        parts = await assemble(load())
        try:
            return await work(parts)
        finally:
            await parts.close()

    try:
        return asyncio.run(run())
    except DATABASE_AWAY as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0][:200]
        raise Unavailable(
            f"The database does not answer ({reason}). `filmgate doctor` looks closer."
        ) from error
