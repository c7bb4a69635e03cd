"""What an attempt cost that a vendor ended, while its task goes on elsewhere: charged beside the reservation, which stays for
the next attempt. So no more than one reservation is ever open, and budgets count both."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.session import INSERTS
from app.db.tables import keys, ledger, spending
from app.errors import InsufficientQuota
from app.usage.ledger import ReservedMoney, period_names

ATTEMPT = "attempt"
"""Of a row of the ledger: what the attempts of a task cost together after which it went on elsewhere."""
_BUDGETS = sa.select(
    keys.c.budget_monthly, keys.c.budget_daily, keys.c.budget_total
)  # in the order of ``period_names``


async def charge_attempt(
    connection: AsyncConnection, reserved: ReservedMoney, cost: Decimal, *, promised: Decimal | None
) -> None:
    """``promised``: what is left of the most that the client will pay for all attempts. Raises ``InsufficientQuota`` when a budget of the key, or what the client promised, does not cover it beside what is reserved; then the caller must
    not commit the transaction."""
    if promised is not None and cost + reserved.amount > promised:
        raise InsufficientQuota("The request's max_cost does not cover another attempt.")
    row = (await connection.execute(_BUDGETS.where(keys.c.id == reserved.key_id))).first()
    budgets = tuple(row) if row is not None else (None, None, None)
    for period, budget in sorted(zip(period_names(reserved.at), budgets, strict=True)):
        mine = [spending.c.key_id == reserved.key_id, spending.c.period == period]
        if budget is not None:
            mine.append(
                spending.c.reserved + spending.c.spent + sa.literal(cost, spending.c.spent.type) <= budget
            )
        raised = sa.update(spending).where(*mine).values(spent=spending.c.spent + cost)
        if (await connection.execute(raised)).rowcount == 0 and budget is not None:
            raise InsufficientQuota("The key's budget does not cover another attempt.")
    new = INSERTS[connection.dialect.name](ledger).values(_row(reserved, cost))
    total = {"amount": ledger.c.amount + new.excluded.amount, "at": new.excluded.at}
    known = [ledger.c.task_id, ledger.c.kind]
    await connection.execute(new.on_conflict_do_update(index_elements=known, set_=total))


def _row(reserved: ReservedMoney, cost: Decimal) -> Mapping[str, Any]:
    return {
        "at": clock.now(),
        "task_id": reserved.task_id,
        "kind": ATTEMPT,
        "owner": reserved.owner,
        "key_id": reserved.key_id,
        "model": reserved.model,
        "amount": cost,
    }
