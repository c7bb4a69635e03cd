"""A page of a list reads a bounded number of rows, and all pages together have every match."""

import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from app.admin import lists
from app.admin.audit_log import AuditLog
from app.admin.lists import PageRequest
from app.admin.queries import AuditFilter
from app.admin.task_search import TaskSearch, TaskSearchFilter, id_at
from app.db.session import Database
from app.db.tables import tasks

COUNT = 100
START = 1_795_000_000.0


@pytest.fixture
async def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    monkeypatch.setattr(lists, "MOST_SCANNED", 15)
    found = Database(database_url)
    async with found.write() as connection:
        await connection.execute(sa.insert(tasks), [row(number) for number in range(COUNT)])
    yield found
    await found.close()


def row(number: int) -> dict[str, Any]:
    at = START + number
    prompt = f"prompt {number}" + (" with 大象" if number % 40 == 7 else "")
    return {
        "id": id_at(at),
        "owner": "key:k",
        "key_id": f"k{number % 3}",
        "dialect": "openai",
        "kind": "image" if number % 25 == 3 else "video",
        "model": f"m{number % 2}",
        "request": json.dumps({"kind": "video", "model": "m", "prompt": prompt}, ensure_ascii=False),
        "state": "failed" if number % 10 == 1 else "completed",
        "error_code": "submission_unknown" if number % 20 == 1 else None,
        "fingerprint": "f",
        "request_id": f"req-{number}",
        "created_at": at,
        "deadline_at": at,
    }


FILTERS = [
    (TaskSearchFilter(), range(COUNT)),
    (TaskSearchFilter(kind="image"), range(3, COUNT, 25)),
    (TaskSearchFilter(text="大象"), range(7, COUNT, 40)),
    (TaskSearchFilter(text="PROMPT 42"), [42]),
    (TaskSearchFilter(text="nobody said this"), []),
    (TaskSearchFilter(text=" req-7 "), [7]),
    (TaskSearchFilter(states=("failed",)), range(1, COUNT, 10)),
    (TaskSearchFilter(states=("unknown",)), range(1, COUNT, 20)),
    (TaskSearchFilter(states=("failed", "completed"), key="k1", kind="image"), [28]),
    (TaskSearchFilter(model="m1", states=("failed",), text="prompt 6"), [61]),
    (TaskSearchFilter(kind="image", since=START + 20, until=START + 60), [28, 53]),
    (TaskSearchFilter(states=("open",)), []),
    (TaskSearchFilter(error="submission_unknown"), range(1, COUNT, 20)),
]


async def test_pages_together_have_every_match(database: Database) -> None:
    search = TaskSearch(database)
    for (wanted, expected), limit in itertools.product(FILTERS, (1, 4, 200)):
        seen: list[str] = []
        page: PageRequest | None = PageRequest(limit=limit)
        while page is not None:
            found = await search.find_page(wanted, page)
            assert len(found.rows) <= limit and len(seen) <= COUNT, wanted
            seen += [task.id for task in found.rows]
            page = PageRequest(limit=limit, after=found.next) if found.next else None
        assert seen == [id_at(START + number) for number in sorted(expected, reverse=True)], wanted
        assert [task.id async for batch in search.find_all(wanted, most=1000) for task in batch] == seen
    assert sum([len(batch) async for batch in search.find_all(TaskSearchFilter(model="m0"), most=30)]) == 30


async def test_pages_of_the_audit_log_have_every_match(database: Database) -> None:
    log = AuditLog(database)
    for number in range(60):
        await log.record_alone("admin", "key.made" if number % 29 == 2 else "key.updated", f"keys/{number}")
    found: list[str] = []
    page = PageRequest(limit=10)
    while True:
        got = await log.find_page(AuditFilter(action="key.made"), page)
        found += [row.target for row in got.rows]
        if got.next is None:
            break
        page = PageRequest(limit=10, after=got.next)
    assert found == ["keys/31", "keys/2"]
