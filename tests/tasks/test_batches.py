"""Rows and files of batches: claimed by one process at a time, and gone with their owner or their age."""

import asyncio
import time

import pytest
import sqlalchemy as sa

from app.db.operator_tables import batch_lines, batches, client_files
from app.errors import InvalidRequest, NotFound
from app.tasks import batches as rows
from app.tasks.batches import BatchRepository, forget_owner, prune_batches
from tests.tasks.conftest import KEY, Bench


def repository(bench: Bench) -> BatchRepository:
    return BatchRepository(bench.components.database, bench.components.store)


async def begun(bench: Bench, owner: str = KEY.owner) -> str:
    found = repository(bench)
    file = await found.add_file(owner, "x.jsonl", b"{}\n")
    made = await found.create(owner, "k", input_file_id=file.id, labels={}, base_url="http://x")
    await found.add_line(made, 1, custom_id="a", task_id=None, error={"code": "c", "message": "m"})
    await found.add_line(made, 1, custom_id="b", task_id="t", error=None)
    return str(made.id)


async def left(bench: Bench) -> list[int]:
    async with bench.components.database.read() as connection:
        tables = client_files, batches, batch_lines
        counts = [sa.select(sa.func.count()).select_from(table) for table in tables]
        return [int((await connection.execute(count)).scalar_one()) for count in counts]


async def test_one_process_at_a_time_advances_a_batch(bench: Bench) -> None:
    batch_id = await begun(bench)
    found = repository(bench)
    claims = await asyncio.gather(*(found.claim_next() for _ in range(5)))
    assert [each.id for each in claims if each is not None] == [batch_id]
    [mine] = [each for each in claims if each is not None]
    assert [(row.line, row.custom_id) for row in await found.line_rows(mine)] == [(1, "a")]
    assert await found.move(mine, "in_progress", total=1)
    assert not await found.move(mine, "in_progress", total=9)
    await found.leave(mine, seconds=-1)
    again = await found.claim_next()
    assert again is not None and (again.status, again.total) == ("in_progress", 1)
    assert (await found.request_cancel(KEY.owner, batch_id)).status == "cancelling"
    assert not await found.move(again, "completed", ended_at=1.0)


async def test_answers_are_written_once_however_often(bench: Bench) -> None:
    await begun(bench)
    found = repository(bench)
    mine = await found.claim_next()
    assert mine is not None
    ids = {await found.write_answers(mine, "output", [{"custom_id": "ä"}]) for _ in range(2)}
    assert len(ids) == 1 and await found.write_answers(mine, "error", []) is None
    assert await left(bench) == [2, 1, 1]
    [file_id] = ids
    assert file_id is not None
    assert await found.file_content(KEY.owner, file_id) == '{"custom_id": "ä"}\n'.encode()


async def test_they_go_with_their_owner_and_their_age(bench: Bench) -> None:
    database, store = bench.components.database, bench.components.store
    await begun(bench)
    await begun(bench, "key:other")
    await forget_owner(database, store, KEY.owner)
    assert await left(bench) == [1, 1, 1]
    found, later = repository(bench), time.time() + 100 * 86_400
    mine = await found.claim_next()
    assert mine is not None
    await prune_batches(database, store, now=later, days=90)
    assert await left(bench) == [1, 1, 1]  # it is open
    with pytest.raises(InvalidRequest):
        await found.delete_file(mine.owner, mine.input_file_id)
    assert await found.move(mine, "completed", ended_at=time.time())
    await prune_batches(database, store, now=later, days=90)
    assert await left(bench) == [0, 0, 0]
    with pytest.raises(NotFound):
        await store.get(f"batches/{mine.input_file_id}")


async def test_files_of_an_owner_are_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MOST_FILES", 1)
    await begun(bench)
    with pytest.raises(InvalidRequest, match="1 files"):
        await repository(bench).add_file(KEY.owner, "y", b"")
