"""Sends scheduled backups; one worker of all does it."""

import asyncio
import hashlib

import structlog

from app import clock
from app.backup.archive import make_backup
from app.backup.places import upload_backup
from app.backup.schedule_options import BackupOptions
from app.backup.sections import BackupSources
from app.db import marks
from app.db.session import DATABASE_AWAY
from app.errors import FilmgateError, InvalidRequest
from app.media.guard import OutboundGuard
from app.webhooks.notices import OperatorNotices

log = structlog.get_logger()
CHECK_SECONDS = 30.0
RETRY_SECONDS = 900.0
"""The pause after a failure, and the longest time that sending may take."""
HOUR = 3600.0


class BackupSchedule:
    """One per worker."""

    def __init__(self, sources: BackupSources, guard: OutboundGuard, notices: OperatorNotices) -> None:
        self._sources = sources
        self._guard = guard
        self._notices = notices

    async def run(self) -> None:
        while True:
            try:
                await self.send_if_due()
            except (*DATABASE_AWAY, FilmgateError) as error:
                log.warning("backup.delayed", error=type(error).__name__)
            await asyncio.sleep(CHECK_SECONDS)

    async def send_if_due(self) -> bool:
        """Send a backup if it is due; True when one was sent. A failure becomes an operator notice."""
        options = await self._sources.options.read(BackupOptions)
        if not options.is_usable:
            return False
        now, mark = clock.now(), _schedule_mark(options)
        async with self._sources.database.write() as connection:
            if not await marks.claim_mark(connection, mark, until=now + RETRY_SECONDS, now=now):
                return False
        try:
            await send_backup(self._sources, self._guard, options)
        except FilmgateError as error:
            log.warning("backup.failed", error=error.message)
            self._notices.notify("backup_failed", {"reason": error.message})
            return False
        async with self._sources.database.write() as connection:
            await marks.extend_mark(connection, mark, until=now + options.every_hours * HOUR)
        log.info("backup.sent", with_secrets=options.with_secrets)
        return True


async def send_backup(sources: BackupSources, guard: OutboundGuard, options: BackupOptions) -> None:
    """Send one backup now. Raises ``DeliveryFailed`` or ``InvalidRequest``."""
    if not options.url:
        raise InvalidRequest("url: enter the address that backups are sent to", param="url", reason="missing")
    passphrase = options.passphrase.get_secret_value()
    document = await make_backup(sources, secrets=options.with_secrets, passphrase=passphrase)
    given = {header.name: header.value.get_secret_value() for header in options.headers}
    headers = {name: value for name, value in given.items() if value}
    await upload_backup(guard, options.url, document, method=options.method, headers=headers)


def _schedule_mark(options: BackupOptions) -> str:
    """The mark contains the URL and the interval, so that a change of either sends a backup at once."""
    place = hashlib.sha256(options.url.encode()).hexdigest()[:32]
    return f"backup/{place}/{options.every_hours}"
