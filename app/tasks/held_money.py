"""Money that is held for ended tasks until the operator decides: how much, and for which."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from app.db.session import Database
from app.db.tables import ledger, tasks
from app.errors import OutcomeUnknown
from app.usage.ledger import NOTHING, has_open_reservation

HELD = tasks.c.money == sa.literal_column("'held'")
"""Written as in the partial index, which is not used otherwise."""


@dataclass(frozen=True, slots=True)
class HeldMoney:
    """How many ended tasks hold money, and how much, in US dollars."""

    tasks: int
    amount: Decimal


async def mark_unmarked_holds(database: Database) -> int:
    """Mark the tasks whose money an older version, beside this one, left reserved; how many."""
    # The first condition as in the partial index, which is not used otherwise.
    unknown = tasks.c.error_code == sa.literal_column(f"'{OutcomeUnknown.code}'"), tasks.c.money.is_(None)
    async with database.write_many() as connection:
        mark = sa.update(tasks).where(*unknown, has_open_reservation(tasks.c.id)).values(money="held")
        return (await connection.execute(mark)).rowcount


async def sum_held_money(database: Database) -> HeldMoney:
    query = held_rows(sa.func.count().label("tasks"), sa.func.sum(ledger.c.amount).label("amount"))
    async with database.read() as connection:
        row = (await connection.execute(query)).one()
    return HeldMoney(int(row.tasks), row.amount or NOTHING)


def held_rows(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    reserved = sa.and_(ledger.c.task_id == tasks.c.id, ledger.c.kind == "reserve")
    return sa.select(*columns).select_from(tasks.join(ledger, reserved)).where(HELD)
