"""Whether the books agree, in one look at the store: also right while a gateway writes, and with many rows."""

from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.money import BILLION

# One statement, so that all of it is of the same moment.
BALANCE_QUERY = sa.text("""
SELECT key_id, SUM(reserved), SUM(spent) FROM (
    SELECT key_id, amount AS reserved, 0 AS spent FROM ledger WHERE kind = 'reserve'
    UNION ALL
    SELECT closing.key_id, -held.amount, CASE closing.kind WHEN 'settle' THEN closing.amount ELSE 0 END
    FROM ledger AS closing JOIN ledger AS held ON held.task_id = closing.task_id AND held.kind = 'reserve'
    WHERE closing.kind IN ('settle', 'release')
    UNION ALL
    SELECT key_id, 0, cost FROM usage WHERE task_id IS NULL
    UNION ALL
    SELECT key_id, -reserved, -spent FROM spending WHERE period = 'total'
) AS entries GROUP BY key_id HAVING SUM(reserved) <> 0 OR SUM(spent) <> 0 ORDER BY key_id
""")


@dataclass(frozen=True, slots=True)
class LedgerImbalance:
    """By how many US dollars a key's rows are more than its sums say."""

    key_id: str
    reserved: Decimal
    spent: Decimal


async def find_imbalances(connection: AsyncConnection) -> list[LedgerImbalance]:
    """Keys whose sums are not what their rows add up to: none, unless somebody wrote in the store by hand."""
    rows = await connection.execute(BALANCE_QUERY)
    return [LedgerImbalance(row[0], Decimal(row[1]) / BILLION, Decimal(row[2]) / BILLION) for row in rows]
