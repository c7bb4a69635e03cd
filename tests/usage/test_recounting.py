"""Days whose sums an older version did not write are added up again."""

from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from app.db.operator_tables import usage_days
from app.db.session import Database
from app.db.tables import usage
from app.usage import recorder
from app.usage.recounting import recount_days

DAY = 86_400.0
TODAY = 20_778
NOW = TODAY * DAY + 3600


def call(at: float, *, status: int = 200, model: str = "m") -> dict[str, Any]:
    named = {"key_id": "k", "account_id": "a", "model": model, "path": "x", "milliseconds": 1.0}
    return named | {
        "at": at,
        "status": status,
        "cost": Decimal("0.5"),
        "input_tokens": 3,
        "output_tokens": None,
    }


async def write(database: Database, *rows: dict[str, Any], sums: bool) -> None:
    async with database.write() as connection:
        await connection.execute(sa.insert(usage), list(rows))
        if sums:
            await recorder.add_usage(connection, rows)


async def sums_of(database: Database) -> list[tuple[Any, ...]]:
    async with database.read() as connection:
        query = sa.select(usage_days).order_by(usage_days.c.day, usage_days.c.model)
        return [tuple(row) for row in await connection.execute(query)]


async def test_a_day_with_missing_sums_is_added_up_again_and_others_are_left(database: Database) -> None:
    await write(database, call(NOW), call(NOW - DAY), sums=True)
    before = await sums_of(database)
    assert await recount_days(database, now=NOW, request_days=90) == []
    await write(database, call(NOW), call(NOW, status=502, model="n"), sums=False)
    assert await recount_days(database, now=NOW, request_days=90) == [TODAY]
    half = Decimal("0.5")
    assert await sums_of(database) == [
        before[0],
        (TODAY, "k", "a", "m", 2, 0, 6, 0, 2 * half, 0, 0, Decimal(0), 2),
        (TODAY, "k", "a", "n", 1, 1, 3, 0, half, 0, 0, Decimal(0), 1),
    ]
    assert await recount_days(database, now=NOW, request_days=90) == []


async def test_a_day_whose_rows_are_deleted_keeps_its_sums(database: Database) -> None:
    await write(database, call(NOW - 2 * DAY), sums=True)
    async with database.write() as connection:
        await connection.execute(sa.delete(usage))
    before = await sums_of(database)
    assert await recount_days(database, now=NOW, request_days=1) == []
    assert await sums_of(database) == before
