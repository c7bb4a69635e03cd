"""That all processes of one database keep their files in one store.

With a store each, a film is `completed` and can't be read by the process that is asked for it. Each store holds an id of its
own, and each process that serves or works leaves a mark of that id in the database, for as long as it lives. SQLite needs
none of it: one process at a time has it.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import sqlalchemy as sa
import structlog

from app import clock
from app.db.marks import claim_mark, extend_mark
from app.db.operator_tables import marks
from app.db.session import DATABASE_AWAY, Database
from app.errors import NotFound, ServiceUnavailable, SettingsInvalid
from app.media.store import MediaStore

log = structlog.get_logger()
ID_KEY = "store-id"
"""Where a store holds its id."""
PREFIX = "store/"
CREATING = "store-id/creating"
CREATING_SECONDS = 60.0
KEPT_SECONDS = 90.0
"""A process that was killed is forgotten after so long."""
RENEW_SECONDS = 30.0
LOCK = 727_005  # of PostgreSQL's advisory locks: two that start together must see each other
TURN_SECONDS = 0.5


class StoreMark:
    """The mark of one process."""

    def __init__(self, database: Database, store: MediaStore) -> None:
        self._database = database
        self._store = store
        self._store_id = ""
        self._process = secrets.token_hex(8)

    @property
    def _name(self) -> str:
        return f"{PREFIX}{self._store_id}/{self._process}"

    async def take(self) -> None:
        """Raises ``SettingsInvalid`` while another process works on another store, ``ServiceUnavailable``."""
        self._store_id = await self._read_id()
        now = clock.now()
        alike = marks.c.name.startswith(f"{PREFIX}{self._store_id}/", autoescape=True)
        others = (
            sa.select(sa.func.count())
            .select_from(marks)
            .where(marks.c.name.startswith(PREFIX, autoescape=True), ~alike, marks.c.until > now)
        )
        async with self._database.write() as connection:
            await connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({LOCK})"))
            found = int((await connection.execute(others)).scalar_one())
            if not found:
                await claim_mark(connection, self._name, until=now + KEPT_SECONDS, now=now)
        if found:
            raise SettingsInvalid(
                f"FILMGATE_STORAGE_URL: another process of this database ({found} in all) keeps its files elsewhere, so "
                "films made there could not be read here. Give all of them the same FILMGATE_STORAGE_URL "
                "(s3://bucket/prefix), or the same folder FILMGATE_DATA_DIR. If that process was just killed, wait "
                f"{KEPT_SECONDS:g} seconds."
            )

    async def keep(self) -> None:
        """Renew the mark until cancelled."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            with suppress(*DATABASE_AWAY, ServiceUnavailable):
                await (self._renew() if self._store_id else self._take_late())

    async def _renew(self) -> None:
        now = clock.now()
        async with self._database.write() as connection:
            await claim_mark(connection, self._name, until=now + KEPT_SECONDS, now=now)
            await extend_mark(connection, self._name, until=now + KEPT_SECONDS)

    async def _take_late(self) -> None:
        """Of a process whose store could not be used when it started."""
        try:
            await self.take()
        except SettingsInvalid as error:
            log.error("store.differs", text=error.message)

    async def give_back(self) -> None:
        if not self._store_id:
            return
        with suppress(*DATABASE_AWAY):
            async with self._database.write() as connection:
                await connection.execute(sa.delete(marks).where(marks.c.name == self._name))

    async def _read_id(self) -> str:
        """The store's id, which one process at a time may make where there is none."""
        while True:
            with suppress(NotFound):
                return (await self._store.get(ID_KEY)).decode("ascii", "replace")[:32]
            now = clock.now()
            async with self._database.write() as connection:
                mine = await claim_mark(connection, CREATING, until=now + CREATING_SECONDS, now=now)
            if mine:
                await self._make_id()
            else:
                await asyncio.sleep(TURN_SECONDS)

    async def _make_id(self) -> None:
        try:
            with suppress(NotFound):
                await self._store.get(ID_KEY)
                return  # by the one before
            await self._store.put(ID_KEY, secrets.token_hex(16).encode())
        finally:
            async with self._database.write() as connection:
                await connection.execute(sa.delete(marks).where(marks.c.name == CREATING))


@asynccontextmanager
async def one_store(database: Database, store: MediaStore) -> AsyncIterator[None]:
    """For as long as the process serves or works. Raises ``SettingsInvalid``."""
    if not database.is_postgres:
        yield
        return
    mark = StoreMark(database, store)
    try:
        await mark.take()
    except ServiceUnavailable:  # requests that need no file are served all the same
        log.warning("store.unmarked", advice="The file store can't be used: filmgate doctor")
    keeping = asyncio.create_task(mark.keep(), name="store-mark")
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await mark.give_back()
