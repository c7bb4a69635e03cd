"""What an attempt cost that a vendor ended, while its task goes on elsewhere: charged beside the reservation, which stays for
the next attempt. So no more than one reservation is ever open, and budgets count both."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from app import clock
from app.db.connection import AsyncConnection
from app.db.operator_tables import projects
from app.db.session import INSERTS
from app.db.tables import Money, keys, ledger, spending
from app.errors import InsufficientQuota
from app.usage.ledger import PROJECT_ID, ReservedMoney, period_names

ATTEMPT = "attempt"
"""Of a row of the ledger: what the attempts of a task cost together after which it went on elsewhere."""
_BUDGETS = sa.select(keys.c.budget_monthly, keys.c.budget_daily, keys.c.budget_total)
_PROJECT_BUDGETS = sa.select(
    projects.c.budget_monthly,
    projects.c.budget_daily,
    sa.type_coerce(projects.c.budget_total + projects.c.credited, Money()),
)


async def charge_attempt(
    connection: AsyncConnection, reserved: ReservedMoney, cost: Decimal, *, promised: Decimal | None
) -> None:
    """``promised``: what is left of the most that the client will pay for all attempts. Raises ``InsufficientQuota`` when a
    budget of the key or its project, or what the client promised, does not cover it beside what is reserved; then the caller
    must not commit the transaction."""
    if promised is not None and cost + reserved.amount > promised:
        raise InsufficientQuota("The request's max_cost does not cover another attempt.")
    for holder_id in reserved.holder_ids:
        await _raise_spent(connection, holder_id, cost, at=reserved.at)
    new = INSERTS[connection.dialect.name](ledger).values(_row(reserved, cost))
    total = {"amount": ledger.c.amount + new.excluded.amount, "at": new.excluded.at}
    known = [ledger.c.task_id, ledger.c.kind]
    await connection.execute(new.on_conflict_do_update(index_elements=known, set_=total))


async def _raise_spent(connection: AsyncConnection, holder_id: str, cost: Decimal, *, at: float) -> None:
    budgets = await read_budgets(connection, holder_id)
    for period, budget in sorted(zip(period_names(at), budgets, strict=True)):
        mine = [spending.c.key_id == holder_id, spending.c.period == period]
        if budget is not None:
            # The sum of two columns is a plain number to SQLAlchemy, which a budget in dollars is never above.
            used = sa.type_coerce(spending.c.reserved + spending.c.spent, Money())
            mine.append(sa.type_coerce(used + sa.literal(cost, Money()), Money()) <= budget)
        raised = sa.update(spending).where(*mine).values(spent=spending.c.spent + cost)
        if (await connection.execute(raised)).rowcount == 0 and budget is not None:
            whose = "project's" if holder_id.startswith(PROJECT_ID) else "key's"
            raise InsufficientQuota(f"The {whose} budget does not cover another attempt.")


async def read_budgets(connection: AsyncConnection, holder_id: str) -> tuple[Decimal | None, ...]:
    """Of a key or a project as it is now, in the order of ``period_names``: by month, by day, in total."""
    if holder_id.startswith(PROJECT_ID):
        query = _PROJECT_BUDGETS.where(projects.c.id == holder_id)
    else:
        query = _BUDGETS.where(keys.c.id == holder_id)
    row = (await connection.execute(query)).first()
    return tuple(row) if row is not None else (None, None, None)


def _row(reserved: ReservedMoney, cost: Decimal) -> Mapping[str, Any]:
    return {
        "at": clock.now(),
        "task_id": reserved.task_id,
        "kind": ATTEMPT,
        "owner": reserved.owner,
        "key_id": reserved.key_id,
        "model": reserved.model,
        "amount": cost,
        "project_id": reserved.project_id,
    }
