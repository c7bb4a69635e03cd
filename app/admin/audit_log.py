"""Who changed what: one row for every change made through the panel, secrets masked."""

import json
import time
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.admin.masking import mask_secrets
from app.admin.paging import FoundPage, PageRequest, find_page, span_conditions
from app.db.operator_tables import audit
from app.db.session import Database

LONGEST_SIDE = 20_000
"""Characters of one side of a change; what is longer is cut and says so."""


class AuditLog:
    """Written with the change where that is ours, else right after it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_alone(
        self, actor: str, action: str, target: str, *, before: Any = None, after: Any = None
    ) -> None:
        async with self._database.write() as connection:
            await self.record(connection, actor, action, target=target, before=before, after=after)

    async def record(
        self,
        connection: AsyncConnection,
        actor: str,
        action: str,
        *,
        target: str,
        before: Any = None,
        after: Any = None,
    ) -> None:
        """In the caller's transaction."""
        row = {
            "at": time.time(),
            "actor": actor[:80],
            "action": action,
            "target": target[:200],
            "before": _side_document(before),
            "after": _side_document(after),
        }
        await connection.execute(sa.insert(audit), row)

    async def find_page(
        self, wanted: dict[str, str | None], *, since: float | None, until: float | None, page: PageRequest
    ) -> FoundPage:
        """Newest first, as they are shown; ``wanted`` by column, ``action`` and ``target`` also by how they
        begin."""
        span = span_conditions(audit.c.at, since=since, until=until)
        sifted = [audit.c.actor == wanted["actor"]] if wanted.get("actor") else []
        for name in ("action", "target"):
            if wanted.get(name):
                sifted.append(audit.c[name].startswith(wanted[name], autoescape=True))
        async with self._database.read() as connection:
            found = await find_page(
                connection, sa.select(audit), page, by=audit.c.id, served=span, sifted=sifted
            )
        return replace(found, rows=[_audit_entry(row) for row in found.rows])


def _side_document(value: Any) -> str | None:
    if value is None:
        return None
    text = json.dumps(mask_secrets(value), ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_SIDE else json.dumps({"cut": text[:LONGEST_SIDE]}, ensure_ascii=False)


def _audit_entry(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "at": row.at,
        "actor": row.actor,
        "action": row.action,
        "target": row.target,
        "before": json.loads(row.before) if row.before else None,
        "after": json.loads(row.after) if row.after else None,
    }
