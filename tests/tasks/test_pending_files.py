"""Files whose row never came are deleted, and a row that comes too late names none."""

import hashlib
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import clock
from app.db.operator_tables import marks
from app.errors import ServiceUnavailable
from app.generation import MediaInput
from app.tasks.pending_files import ROW_SECONDS, announce_files, confirm_files, sweep_files
from tests.tasks.conftest import Bench

BYTES = b"a picture"
INPUT = MediaInput(
    role="first_frame", content_type="image/png", content=BYTES, sha256=hashlib.sha256(BYTES).hexdigest()
)


def stored(folder: Path) -> list[Path]:
    return [path for path in (folder / "files" / "inputs").rglob("*") if path.is_file()]


async def sweep(bench: Bench, *, later: float) -> int:
    return await sweep_files(bench.components.database, bench.components.store, now=clock.now() + later)


async def test_inputs_of_a_task_stay_and_those_of_none_go(bench: Bench, tmp_path: Path) -> None:
    await bench.account()
    await bench.create(media=(INPUT,))
    database, store = bench.components.database, bench.components.store
    await announce_files(database, "inputs/of-a-create-that-died")
    await store.put("inputs/of-a-create-that-died/0.png", BYTES)
    assert await sweep(bench, later=ROW_SECONDS) == 0  # it may still come
    assert await sweep(bench, later=2 * ROW_SECONDS) == 1
    assert len(stored(tmp_path)) == 1
    assert await sweep(bench, later=2 * ROW_SECONDS) == 0


async def test_a_row_after_the_sweep_may_have_begun_is_refused(bench: Bench) -> None:
    database = bench.components.database
    await announce_files(database, "inputs/late")
    async with database.write() as connection:
        await connection.execute(sa.update(marks).values(until=clock.now() - 1))
    with pytest.raises(ServiceUnavailable):
        async with database.write() as connection:
            await confirm_files(connection, "inputs/late")
    with pytest.raises(ServiceUnavailable):
        await announce_files(database, "inputs/late")
