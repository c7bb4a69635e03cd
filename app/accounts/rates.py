"""How many submissions each account got in the last minute, for those that have a limit by the minute."""

import json
from collections import Counter
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.status import AccountStatus
from app.db.tables import timeline

MINUTE = 60.0


async def recent_submissions(
    connection: AsyncConnection, standings: Iterable[AccountStatus], *, now: float
) -> Counter[str]:
    """By account; nothing is counted where nobody is limited."""
    found: Counter[str] = Counter()
    if all(standing.account.rpm is None for standing in standings):
        return found
    recent = timeline.c.event == sa.literal_column("'dispatched'"), timeline.c.at > now - MINUTE
    query = sa.select(timeline.c.detail, sa.func.count()).where(*recent).group_by(timeline.c.detail)
    for detail, count in await connection.execute(query):
        found[json.loads(detail)["account"]] += count
    return found
