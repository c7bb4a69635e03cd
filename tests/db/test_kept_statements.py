"""A statement that comes again is SQLite's own, and says the same as through SQLAlchemy."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app.db.among import among
from app.db.kept_statements import find_kept
from app.db.session import Database
from app.db.tables import metadata, spending

ROWS = [
    {"key_id": f"key-{number}", "period": "total", "reserved": Decimal("0.25"), "spent": Decimal(number)}
    for number in range(3)
]
INSERT = sa.insert(spending).inline()
SPEND = sa.update(spending).where(spending.c.key_id == sa.bindparam("of_key")).values(reserved=Decimal("1.5"))
FIND = (
    sa.select(spending.c.key_id, spending.c.spent.label("paid"))
    .where(among(spending.c.key_id, "ids"))
    .order_by(spending.c.key_id)
)
SPENT = sa.delete(spending).returning(spending.c.reserved)


async def test_the_first_time_and_all_later_ones_say_the_same(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'filmgate.db'}")
    metadata.create_all(database.writing_engine)
    said: list[Any] = []
    for _ in range(3):
        async with database.write() as connection:
            await connection.execute(INSERT, ROWS)
        with pytest.raises(IntegrityError):
            async with database.write() as connection:
                await connection.execute(INSERT, ROWS[:1])
        async with database.write() as connection:
            changed = (await connection.execute(SPEND, {"of_key": "key-1"})).rowcount
            rows = (await connection.execute(FIND, {"ids": ["key-2", "key-0", "nobody"]})).all()
            none = (await connection.execute(FIND, {"ids": []})).first()
            deleted = sorted((await connection.execute(SPENT)).scalars())
        said.append((changed, [(row.key_id, row.paid) for row in rows], none, deleted))
    quarter = Decimal("0.25")
    assert said[0] == (
        1,
        [("key-0", Decimal(0)), ("key-2", Decimal(2))],
        None,
        [quarter, quarter, Decimal("1.5")],
    )
    assert said == [said[0]] * 3
    await database.close()


def test_what_is_built_for_one_use_or_by_its_values_is_sqlalchemys() -> None:
    dialect = sa.create_engine("sqlite://").dialect
    once = sa.select(spending)
    listed = sa.select(spending).where(spending.c.key_id.in_(["a", "b"]))
    assert find_kept(once, None, dialect) is None
    assert find_kept(once, None, dialect) is not None
    assert [find_kept(listed, None, dialect) for _ in range(3)] == [None] * 3


async def test_one_of_many_texts_is_found_by_its_index(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'filmgate.db'}")
    metadata.create_all(database.writing_engine)
    text = str(FIND.compile(dialect=database.writing_engine.dialect))
    async with database.read() as connection:
        plan = (await connection.execute(sa.text(f"EXPLAIN QUERY PLAN {text}".replace("?", "'[]'")))).all()
    await database.close()
    steps = [row.detail for row in plan]
    assert [step for step in steps if " spending " in step] == [
        "SEARCH spending USING INDEX sqlite_autoindex_spending_1 (key_id=?)"
    ], steps
