"""Writes of one kind that come together: one transaction for many, and each its own answer or error."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from app.db.grouped_writes import MOST_TOGETHER, GroupedWrites

AWAY = OperationalError("COMMIT", None, ConnectionError("gone"))
TAKEN = IntegrityError("INSERT", None, ValueError("taken"))


class Table:
    """Commits a group when ``gate`` is open."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.errors: dict[str, Exception] = {}
        self.writes = GroupedWrites(self._write)

    async def _write(self, rows: Sequence[str]) -> list[str]:
        self.groups.append(list(rows))
        self.begun.set()
        await self.gate.wait()
        for row in rows:
            if row in self.errors:
                raise self.errors[row]
        return [row.upper() for row in rows]

    async def begin(self, *rows: str) -> list[asyncio.Task[str]]:
        adding = [asyncio.create_task(self.writes.add(row)) for row in rows]
        await self.begun.wait()
        return adding


async def test_who_comes_meanwhile_waits_for_the_next_group() -> None:
    table = Table()
    table.gate.clear()
    first = await table.begin("a")
    later = [asyncio.create_task(table.writes.add(row)) for row in "bcd"]
    await asyncio.sleep(0)
    assert table.groups == [["a"]]
    assert not any(adding.done() for adding in [*first, *later])
    table.gate.set()
    assert await asyncio.gather(*first, *later) == ["A", "B", "C", "D"]
    assert table.groups == [["a"], ["b", "c", "d"]]


async def test_a_group_has_an_end() -> None:
    table = Table()
    rows = [f"r{number}" for number in range(2 * MOST_TOGETHER + 1)]
    assert await asyncio.gather(*map(table.writes.add, rows)) == [row.upper() for row in rows]
    assert [len(group) for group in table.groups] == [MOST_TOGETHER, MOST_TOGETHER, 1]


async def test_an_error_of_one_row_meets_him_alone() -> None:
    table = Table()
    table.errors["b"] = TAKEN
    done = await asyncio.gather(*map(table.writes.add, "abc"), return_exceptions=True)
    assert done == ["A", TAKEN, "C"]
    assert table.groups == [["a", "b", "c"], ["a"], ["b"], ["c"]]


async def test_when_the_database_is_away_all_hear_it_and_nothing_is_written_again() -> None:
    """The commit may have been made."""
    table = Table()
    table.errors["b"] = AWAY
    done = await asyncio.gather(*map(table.writes.add, "abc"), return_exceptions=True)
    assert done == [AWAY, AWAY, AWAY]
    assert table.groups == [["a", "b", "c"]]
    assert await table.writes.add("d") == "D"


@pytest.mark.parametrize("begun", [True, False])
async def test_who_is_cancelled_is_written_only_if_his_group_has_begun(begun: bool) -> None:
    table = Table()
    table.gate.clear()
    if not begun:
        await table.begin("before")
    adding = [asyncio.create_task(table.writes.add(row)) for row in "ab"]
    for _ in range(5):
        await asyncio.sleep(0)
    adding[0].cancel()
    table.gate.set()
    assert await adding[1] == "B"
    assert adding[0].cancelled()
    assert table.groups[-1] == (["a", "b"] if begun else ["b"])
