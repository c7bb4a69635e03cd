"""News of what operators change, for every process that keeps it in memory: PostgreSQL's NOTIFY, sent by the commit.

On SQLite there is nobody to tell: other processes see a change when what they keep ends.
"""

from typing import Literal

import sqlalchemy as sa

from app.db.connection import AsyncConnection

CHANGES = "filmgate_changes"
"""The channel. A payload is the kind, and the id where one row has changed: ``keys Ab3dEf9h``."""
Kind = Literal["keys", "accounts", "routes", "prices", "options"]
_NOTIFY = sa.text("SELECT pg_notify(:channel, :payload)")


async def announce_change(connection: AsyncConnection, kind: Kind, which: str = "") -> None:
    """Call it in the transaction that makes the change: nobody hears of it before the commit, or without one."""
    if connection.dialect.name == "postgresql":
        await connection.execute(_NOTIFY, {"channel": CHANGES, "payload": f"{kind} {which}".strip()})
