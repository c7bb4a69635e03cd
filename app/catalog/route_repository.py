"""The operator's routes: stored in the database and read from memory."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import IntegrityError

from app import clock
from app.catalog.route_documents import RouteDocument, read_route, route_json
from app.db.changes import announce_change
from app.db.connection import AsyncConnection
from app.db.session import DATABASE_AWAY, Database
from app.db.tables import routes
from app.errors import IN_FILE, InvalidRequest, NotFound
from app.shared_reads import SharedRead

log = structlog.get_logger()
CACHE_SECONDS = 2.0
MAX_NOTE_LENGTH = 10_000
Source = Literal["store", "file"]


@dataclass(frozen=True, slots=True)
class StoredRoute:
    """``updated_at`` in UTC seconds. A route whose ``source`` is the configuration file is changed only there."""

    document: RouteDocument
    source: Source
    updated_at: float

    @property
    def model(self) -> str:
        return self.document.model


class RouteRepository:
    """Raises ``NotFound`` for an unknown route, and ``InvalidRequest`` with ``param`` for an invalid change."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.documents: dict[str, RouteDocument] = {}
        """Every route by model, as it was read last; for the relay's hot path."""
        self._reads = SharedRead(self._read_documents, seconds=CACHE_SECONDS, away=DATABASE_AWAY)
        self.revision = 0
        """Changes whenever ``documents`` does."""

    async def list(self) -> list[StoredRoute]:
        """Every route from the database, by model."""
        async with self._database.read_few() as connection:
            rows = await connection.execute(sa.select(routes).order_by(routes.c.model))
            return [route for row in rows if (route := _route_of_row(row)) is not None]

    async def get(self, model: str) -> StoredRoute:
        async with self._database.read_few() as connection:
            row = (await connection.execute(sa.select(routes).where(routes.c.model == model))).first()
        route = _route_of_row(row) if row is not None else None
        if route is None:
            raise NotFound(f"There is no route {model}. `filmgate routes list` shows them.")
        return route

    async def put(self, document: RouteDocument, *, source: Source = "store") -> StoredRoute:
        """Store a route; it replaces the one for the same model."""
        row = _route_row(document) | {"source": source}
        where = routes.c.model == document.model
        async with self._database.write() as connection:
            await self._check_source(connection, document.model, source)
            done = await connection.execute(sa.update(routes).where(where).values(row))
            if done.rowcount == 0 and not await _insert_row(connection, row):
                await connection.execute(sa.update(routes).where(where).values(row))
            await announce_change(connection, "routes")
        log.info("route.written", model=document.model, source=source)
        await self.refresh()
        return StoredRoute(document, source, row["updated_at"])

    async def delete(self, model: str, *, source: Source = "store") -> None:
        async with self._database.write() as connection:
            await self._check_source(connection, model, source)
            done = await connection.execute(sa.delete(routes).where(routes.c.model == model))
            await announce_change(connection, "routes")
        if done.rowcount == 0:
            raise NotFound(f"There is no route {model}. `filmgate routes list` shows them.")
        log.info("route.removed", model=model)
        await self.refresh()

    async def release_from_file(self, model: str, *, reason: str) -> None:
        """Disable a route that the configuration file no longer declares; the operator may change or remove it."""
        route = await self.get(model)
        note = f"{route.document.note}\n{reason}".strip()[-MAX_NOTE_LENGTH:]
        row = _route_row(route.document.model_copy(update={"enabled": False, "note": note})) | {
            "source": "store"
        }
        async with self._database.write() as connection:
            await connection.execute(sa.update(routes).where(routes.c.model == model).values(row))
            await announce_change(connection, "routes")
        await self.refresh()

    async def current_documents(self) -> Mapping[str, RouteDocument]:
        """Every route by model, at most two seconds old."""
        return await self._reads.get()

    @property
    def is_fresh(self) -> bool:
        """Whether ``documents`` is what ``current_documents`` would return."""
        return self._reads.is_fresh

    def invalidate_cache(self) -> None:
        """The next read of the documents goes to the database."""
        self._reads.expire()

    async def refresh(self) -> None:
        """Read every route anew, also if that was done just now."""
        await self._reads.read_anew()

    async def close(self) -> None:
        await self._reads.close()

    async def _read_documents(self) -> Mapping[str, RouteDocument]:
        documents = {route.model: route.document for route in await self.list()}
        if documents != self.documents:
            self.documents = documents
            self.revision += 1
        return documents

    async def _check_source(self, connection: AsyncConnection, model: str, source: Source) -> None:
        """Only the file changes what it declares; it may take over stored routes. Raises ``InvalidRequest``."""
        query = sa.select(routes.c.source).where(routes.c.model == model)
        if source == "store" and (await connection.execute(query)).scalar() == "file":
            raise InvalidRequest(f"The route {model} {IN_FILE}", param="model", reason="declared_in_file")


async def _insert_row(connection: AsyncConnection, row: dict[str, Any]) -> bool:
    """False when another process has inserted the row first."""
    try:
        async with connection.begin_nested():
            await connection.execute(sa.insert(routes), row)
    except IntegrityError:
        return False
    return True


def _route_row(document: RouteDocument) -> dict[str, Any]:
    written = route_json(document)
    return {
        "model": document.model,
        "alias_of": document.alias_of,
        "candidates": json.dumps(written.get("candidates", [])),
        "retry": None if document.retry is None else document.retry.model_dump_json(),
        "enabled": document.enabled,
        "note": document.note,
        "updated_at": clock.now(),
    }


def _route_of_row(row: Any) -> StoredRoute | None:
    """None for a route that this version can't read; it must not stop the others."""
    stored = {
        "model": row.model,
        "alias_of": row.alias_of,
        "candidates": json.loads(row.candidates),
        "retry": json.loads(row.retry) if row.retry else None,
        "enabled": row.enabled,
        "note": row.note,
    }
    try:
        return StoredRoute(read_route(stored), row.source, row.updated_at)
    except InvalidRequest as error:
        log.error("route.refused", model=row.model, reason=error.message)
        return None
