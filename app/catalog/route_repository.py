"""The operator's routes: kept in the store, read from memory, changed by whoever may."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog.route_documents import RouteDocument, read_route, route_json
from app.db.session import Database
from app.db.tables import routes
from app.errors import InvalidRequest, NotFound

log = structlog.get_logger()
CACHE_SECONDS = 2.0
MAX_NOTE_LENGTH = 10_000
Source = Literal["store", "file"]


@dataclass(frozen=True, slots=True)
class StoredRoute:
    """``updated_at`` in UTC seconds. One from the configuration file (``source``) is changed there."""

    document: RouteDocument
    source: Source
    updated_at: float

    @property
    def model(self) -> str:
        return self.document.model


class RouteRepository:
    """Raises ``NotFound`` for a route that there is not, and ``InvalidRequest`` with ``param`` for what can't be."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.documents: dict[str, RouteDocument] = {}
        self.fresh_until = 0.0
        self.revision = 0
        """Changes whenever ``remembered`` says something new."""

    async def list(self) -> list[StoredRoute]:
        """From the store, by name."""
        async with self._database.read() as connection:
            rows = await connection.execute(sa.select(routes).order_by(routes.c.model))
            return [route for row in rows if (route := _route_of_row(row)) is not None]

    async def get(self, model: str) -> StoredRoute:
        async with self._database.read() as connection:
            row = (await connection.execute(sa.select(routes).where(routes.c.model == model))).first()
        route = _route_of_row(row) if row is not None else None
        if route is None:
            raise NotFound(f"There is no route {model}. `filmgate routes list` shows them.")
        return route

    async def put(self, document: RouteDocument, *, source: Source = "store") -> StoredRoute:
        """Write it, in place of the one of the same name."""
        row = _route_row(document) | {"source": source}
        where = routes.c.model == document.model
        async with self._database.write() as connection:
            await self._check_source(connection, document.model, source)
            done = await connection.execute(sa.update(routes).where(where).values(row))
            if done.rowcount == 0 and not await _insert_row(connection, row):
                await connection.execute(sa.update(routes).where(where).values(row))
        log.info("route.written", model=document.model, source=source)
        await self.refresh()
        return StoredRoute(document, source, row["updated_at"])

    async def delete(self, model: str, *, source: Source = "store") -> None:
        async with self._database.write() as connection:
            await self._check_source(connection, model, source)
            done = await connection.execute(sa.delete(routes).where(routes.c.model == model))
        if done.rowcount == 0:
            raise NotFound(f"There is no route {model}. `filmgate routes list` shows them.")
        log.info("route.removed", model=model)
        await self.refresh()

    async def release_from_file(self, model: str, *, reason: str) -> None:
        """Out of use and out of the file's hands: the operator may change or remove it from now on."""
        route = await self.get(model)
        note = f"{route.document.note}\n{reason}".strip()[-MAX_NOTE_LENGTH:]
        row = _route_row(route.document.model_copy(update={"enabled": False, "note": note})) | {
            "source": "store"
        }
        async with self._database.write() as connection:
            await connection.execute(sa.update(routes).where(routes.c.model == model).values(row))
        await self.refresh()

    async def current_documents(self) -> Mapping[str, RouteDocument]:
        """Every route, from memory when it was read in the last two seconds."""
        if time.monotonic() > self.fresh_until:
            await self.refresh()
        return self.documents

    async def refresh(self) -> None:
        found = {route.model: route.document for route in await self.list()}
        if found != self.documents:
            self.documents = found
            self.revision += 1
        self.fresh_until = time.monotonic() + CACHE_SECONDS

    async def _check_source(self, connection: AsyncConnection, model: str, source: Source) -> None:
        """The file may take over what the store has; nobody else changes what the file says."""
        query = sa.select(routes.c.source).where(routes.c.model == model)
        if source == "store" and (await connection.execute(query)).scalar() == "file":
            raise InvalidRequest(
                f"The route {model} comes from the configuration file: change it there.", param="model"
            )


async def _insert_row(connection: AsyncConnection, row: dict[str, Any]) -> bool:
    """False when another process was faster."""
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
        "enabled": document.enabled,
        "note": document.note,
        "updated_at": time.time(),
    }


def _route_of_row(row: Any) -> StoredRoute | None:
    """None for one that another version wrote: it must not stop the others."""
    stored = {
        "model": row.model,
        "alias_of": row.alias_of,
        "candidates": json.loads(row.candidates),
        "enabled": row.enabled,
        "note": row.note,
    }
    try:
        return StoredRoute(read_route(stored), row.source, row.updated_at)
    except InvalidRequest as error:
        log.error("route.refused", model=row.model, reason=error.message)
        return None
