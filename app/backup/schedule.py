"""Sends a backup away by itself, as often as the operator's document says; one process of all does it."""

import asyncio
import hashlib
import time

import structlog

from app.backup.backup import make
from app.backup.documents import BackupOptions
from app.backup.holdings import Holdings
from app.backup.places import upload
from app.db import marks
from app.db.session import DATABASE_AWAY
from app.errors import FilmgateError, InvalidRequest
from app.media.guard import OutboundGuard
from app.webhooks.notices import OperatorNotices

log = structlog.get_logger()
LOOK_SECONDS = 30.0
AGAIN_SECONDS = 900.0
"""After a failure, and as long as one may take."""
HOUR = 3600.0


class BackupSchedule:
    """One per worker."""

    def __init__(self, held: Holdings, guard: OutboundGuard, notices: OperatorNotices) -> None:
        self._held = held
        self._guard = guard
        self._notices = notices

    async def run(self) -> None:
        while True:
            try:
                await self.look()
            except (*DATABASE_AWAY, FilmgateError) as error:
                log.warning("backup.delayed", error=type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> bool:
        """Send one if it is time; whether it was, and it went. A failure is told to the operator."""
        wanted = await self._held.options.read(BackupOptions)
        if not wanted.usable:
            return False
        now, mark = time.time(), _mark(wanted)
        async with self._held.database.write() as connection:
            if not await marks.take(connection, mark, until=now + AGAIN_SECONDS, now=now):
                return False
        try:
            await send(self._held, self._guard, wanted)
        except FilmgateError as error:
            log.warning("backup.failed", error=error.message)
            self._notices.tell("backup_failed", {"reason": error.message})
            return False
        async with self._held.database.write() as connection:
            await marks.hold(connection, mark, until=now + wanted.every_hours * HOUR)
        log.info("backup.sent", with_secrets=wanted.with_secrets)
        return True


async def send(held: Holdings, guard: OutboundGuard, wanted: BackupOptions) -> None:
    """One backup to where the document says, now. Raises ``DeliveryFailed`` and ``InvalidRequest``."""
    if not wanted.url:
        raise InvalidRequest("url: say where the backup goes", param="url")
    passphrase = wanted.passphrase.get_secret_value()
    document = await make(held, secrets=wanted.with_secrets, passphrase=passphrase)
    headers = {header.name: header.value.get_secret_value() for header in wanted.headers}
    await upload(guard, wanted.url, document, method=wanted.method, headers=headers)


def _mark(wanted: BackupOptions) -> str:
    """Another address or another rhythm begins anew, at once."""
    place = hashlib.sha256(wanted.url.encode()).hexdigest()[:32]
    return f"backup/{place}/{wanted.every_hours}"
