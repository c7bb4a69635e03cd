"""The audit log: who changed what through the panel, one row for each change, with secrets masked."""

import json
import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from app.admin.lists import FoundPage, PageRequest, find_page, span_conditions
from app.admin.masking import mask_secrets
from app.db.connection import AsyncConnection
from app.db.operator_tables import audit
from app.db.session import Database

if TYPE_CHECKING:
    from app.admin.queries import AuditFilter

LONGEST_SIDE = 20_000
"""Characters of one side of a change. A longer side is cut and stored as ``{"cut": …}``."""


class AuditLog:
    """Writes rows, and finds them for the log's page."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_alone(
        self, actor: str, action: str, target: str, *, before: Any = None, after: Any = None
    ) -> None:
        """In a transaction of its own, after the change. A crash in between leaves the change without a row."""
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
        """In the transaction of the change: both are committed, or neither."""
        row = {
            "at": time.time(),
            "actor": actor[:80],
            "action": action,
            "target": target[:200],
            "before": _side_document(before),
            "after": _side_document(after),
        }
        await connection.execute(sa.insert(audit), row)

    async def find_page(self, wanted: "AuditFilter", page: PageRequest) -> FoundPage:
        """Newest first."""
        span = span_conditions(audit.c.at, since=wanted.since, until=wanted.until)
        sifted = [audit.c.actor == wanted.actor] if wanted.actor else []
        for column, text in ((audit.c.action, wanted.action), (audit.c.target, wanted.target)):
            if text:
                sifted.append(column.startswith(text, autoescape=True))
        query = sa.select(audit)
        async with self._database.read() as connection:
            return await find_page(connection, query, page, by=audit.c.id, served=span, sifted=sifted)


def _side_document(value: Any) -> str | None:
    if value is None:
        return None
    text = json.dumps(mask_secrets(value), ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_SIDE else json.dumps({"cut": text[:LONGEST_SIDE]}, ensure_ascii=False)
