"""Reads and writes option documents in the database, with a short cache."""

import json
import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.operator_tables import options
from app.db.session import DATABASE_AWAY, Database
from app.errors import FilmgateError
from app.options.document import (
    DocumentType,
    OptionsDocument,
    masked_values,
    opened_values,
    read_document,
    sealed_values,
    with_kept_secrets,
)
from app.vault import Vault, options_document_place

log = structlog.get_logger()
CACHE_SECONDS = 3.0
"""How long another process may use the old values after a change."""


class OptionsRepository:
    """One row for each ``OptionsDocument`` class."""

    def __init__(self, database: Database, vault: Vault, *, seconds: float = CACHE_SECONDS) -> None:
        self._database = database
        self._vault = vault
        self._seconds = seconds
        self._cache: dict[str, tuple[float, OptionsDocument]] = {}

    async def read(self, kind: type[DocumentType]) -> DocumentType:
        """The document with its secrets. Raises ``SettingsInvalid`` when they were sealed with another root key."""
        found = self._cache.get(kind.document)
        if found is None or found[0] < time.monotonic():
            async with self._database.read() as connection:
                return await self._load_document(connection, kind)
        assert isinstance(found[1], kind)
        return found[1]

    async def read_if_possible(self, kind: type[DocumentType]) -> DocumentType:
        """Never raises: while the database can't be read, the last read document or the defaults."""
        try:
            return await self.read(kind)
        except (*DATABASE_AWAY, FilmgateError) as error:
            log.warning("options.unreadable", document=kind.document, error=type(error).__name__)
        known = self._cache.get(kind.document)
        return known[1] if known is not None and isinstance(known[1], kind) else kind()

    async def read_masked(self, kind: type[OptionsDocument]) -> dict[str, Any]:
        """Every field; a secret as ``MASK``, or empty where there is none."""
        return masked_values(await self.read(kind))

    async def write(self, kind: type[DocumentType], wanted: Mapping[str, Any]) -> DocumentType:
        """Replace a document; secrets that ``wanted`` leaves out stay. Raises ``InvalidRequest``."""
        async with self._database.write() as connection:
            return await self.write_within(connection, kind, wanted)

    async def write_within(
        self, connection: AsyncConnection, kind: type[DocumentType], wanted: Mapping[str, Any]
    ) -> DocumentType:
        """Like ``write``, in the caller's transaction."""
        old = await self._load_document(connection, kind)
        new = read_document(kind, with_kept_secrets(wanted, old))
        place = options_document_place(kind.document)
        text = json.dumps(sealed_values(new, lambda secret: self._vault.seal(secret, place=place)))
        await put_row(connection, kind.document, text)
        self._cache.pop(kind.document, None)
        return new

    async def _load_document(self, connection: AsyncConnection, kind: type[DocumentType]) -> DocumentType:
        query = sa.select(options.c.value).where(options.c.name == kind.document)
        text = (await connection.execute(query)).scalar()
        place = options_document_place(kind.document)
        stored = opened_values(json.loads(text or "{}"), lambda box: self._vault.unseal(box, place=place))
        found = read_document(kind, stored)
        self._cache[kind.document] = (time.monotonic() + self._seconds, found)
        return found


async def put_row(connection: AsyncConnection, name: str, text: str) -> None:
    """Insert or update one row, in the caller's transaction."""
    values = {"value": text, "updated_at": time.time()}
    changed = await connection.execute(sa.update(options).where(options.c.name == name).values(**values))
    if changed.rowcount == 0:
        await connection.execute(sa.insert(options), {"name": name, **values})
