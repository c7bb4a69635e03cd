"""Pictures in an upstream's answer lie in the media store, not in rows; a crash before the row loses none."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from app import clock
from app.db.tables import receipts, tasks
from app.providers.base import Operation
from app.tasks import receipt_files
from app.tasks.receipt_files import empty_receipts, set_aside
from tests.tasks.conftest import KEY, Bench, until

PICTURE: dict[str, Any] = {"kind": "image", "model": "gpt-image-1"}


@pytest.fixture(autouse=True)
def every_receipt_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipt_files, "ROW_BYTES", 200)


def files_below(folder: Path) -> list[Path]:
    return list(folder.rglob("receipt.json"))


async def rows_of(bench: Bench) -> list[str]:
    async with bench.components.database.read() as connection:
        found = list((await connection.execute(sa.select(tasks.c.operation))).scalars())
        return found + list((await connection.execute(sa.select(receipts.c.operation))).scalars())


async def test_a_picture_lies_in_the_store_until_it_expires(bench: Bench, tmp_path: Path) -> None:
    await bench.account()
    await bench.work()
    task = await bench.ended(await bench.create(**PICTURE))
    assert task.state == "completed"
    assert all("receipt.json" in text and len(text) < 200 for text in await rows_of(bench))
    assert len(files_below(tmp_path)) == 1
    [listed], _ = await bench.components.tasks.page(KEY)
    assert listed.operation_text is None and listed.result is not None
    async with bench.components.database.write() as connection:
        await connection.execute(sa.update(tasks).values(expires_at=clock.now() - 1))

    async def gone() -> bool:
        return not files_below(tmp_path)

    await until(gone)


async def test_a_crash_between_the_file_and_its_row_loses_no_paid_picture(bench: Bench) -> None:
    """The first insert of a receipt fails for good; the next run finds the file and asks nobody."""
    left = [1]

    def executing(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement.startswith("INSERT INTO receipts") and left:
            left.pop()
            raise RuntimeError("the process dies here")

    event.listen(bench.components.database.writing_engine, "before_cursor_execute", executing)
    await bench.account()
    await bench.work()
    task = await bench.ended(await bench.create(**PICTURE))
    counters = bench.upstream.counters()
    assert (task.state, left, sum(counters.submissions.values())) == ("completed", [], 1)


async def test_bytes_that_are_still_in_rows_go_with_the_files(bench: Bench) -> None:
    large = Operation(id="image_1", data={"images": ["A" * 1000]}).model_dump_json()
    await bench.account()
    task = await bench.create()
    row = {"task_id": task.id, "epoch": 1, "account_id": "a", "operation": large, "at": 1.0}
    async with bench.components.database.write() as connection:
        await connection.execute(sa.insert(receipts), row)
        await connection.execute(sa.update(tasks).values(operation=large))
        await empty_receipts(connection, task.id)
    assert [text for text in await rows_of(bench) if text and len(text) > 100] == []


async def test_a_store_that_is_full_leaves_the_bytes_in_the_row(bench: Bench, tmp_path: Path) -> None:
    large = Operation(id="image_1", data={"images": ["A" * 1000]})
    (tmp_path / "files" / "tasks").write_bytes(b"not a folder")
    assert await set_aside(bench.components.store, "0" * 32, large) == large
