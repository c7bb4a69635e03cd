"""kill -9 between a film that is copied and one that is stored: whatever was served has its labels, is known by its hash,
and was bought once. What each crash leaves behind stands in ``app/tasks/labelling.py``."""

import asyncio
import hashlib
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.components import Components
from app.db.operator_tables import film_hashes
from app.db.tables import tasks
from app.media.labels.options import LabelOptions
from tests.faults.ledger import Ledger
from tests.faults.test_books import House, house
from tests.media.test_labels import label
from tests.tasks.conftest import Bench, bench, upstream
from tests.tasks.conftest import until as later
from tests.tasks.test_labels import BOTH, film_of, set_rules

__all__ = ["bench", "house", "upstream"]
pytestmark = pytest.mark.slow


async def _switch_on(components: Components) -> None:
    await components.options.write(LabelOptions, BOTH)


async def _hashes(components: Components) -> set[str]:
    async with components.database.read() as connection:
        return set((await connection.execute(sa.select(film_hashes.c.sha256))).scalars())


async def _states(components: Components) -> list[tuple[str, str | None]]:
    async with components.database.read() as connection:
        rows = await connection.execute(sa.select(tasks.c.state, tasks.c.result))
        return [(row.state, row.result) for row in rows]


@pytest.mark.parametrize(
    ("moment", "known", "stored"),
    [
        ("film_hashes:before", 0, False),  # labelled, and nobody knows
        ("film_hashes:after", 1, False),  # labelled, and not stored
        ("settle:before", 1, True),  # stored, and not completed
    ],
)
@pytest.mark.parametrize("house", ["sqlite", "postgres"], indirect=True)
def test_no_crash_lets_an_unlabelled_film_out(
    house: House, moment: str, known: int, stored: bool, tmp_path: Path
) -> None:
    house.gateway.prepare(_switch_on)
    asked = Ledger()
    with house.doom(moment), house.gateway.client() as client:
        asked.ask_more(client, 1)
        house.died()
    assert house.gateway.prepare(_states) == [("storing", None)]
    assert len(house.gateway.prepare(_hashes)) == known
    left = [path for path in (house.gateway.folder / "files").rglob("video.mp4") if path.is_file()]
    assert len(left) == stored
    for path in left:
        assert label(path)["ContentProducer"] == "我的服务"
    house.finish(asked)
    [[_, result]] = house.gateway.prepare(_states)
    assert result is not None
    [path] = (house.gateway.folder / "files").rglob("video.mp4")
    assert label(path)["ContentProducer"] == "我的服务"
    assert hashlib.sha256(path.read_bytes()).hexdigest() in house.gateway.prepare(_hashes)
    assert house.upstream.counters().jobs == 1


async def test_a_film_whose_labelling_process_is_killed_is_labelled_all_the_same(
    bench: Bench, tmp_path: Path
) -> None:
    """Whatever the process is doing at that moment, three times."""
    await set_rules(bench, **BOTH)
    await bench.account()
    await bench.work()
    task = await bench.create()
    killed: set[int] = set()

    async def kill_next() -> bool:
        for pid in bench.components.inspector.process_ids:
            if pid not in killed:
                killed.add(pid)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                return True
        found = await bench.components.repository.get(task.id)
        return found is not None and found.has_ended

    for _ in range(3):
        await later(kill_next)
        await asyncio.sleep(0)
    ended = await bench.ended(task)
    file, path = await film_of(bench, ended, tmp_path)
    assert killed and file.labels == ("implicit", "visible")
    assert label(path)["ProduceID"] == task.id
