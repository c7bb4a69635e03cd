"""How many statements the moves of a task are: each is a round trip to PostgreSQL, so their number is the speed.

``make bench`` measures times; these are counts, the same on every machine.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from app.catalog.price import ModelPrice
from app.db.tables import slots, tasks
from app.keys.key import ClientKey
from app.providers.base import Operation
from app.tasks.task import StoredFile, Task, TaskResult
from tests.tasks.conftest import Bench

MANY = 20
RICH = ClientKey(id="rich", name="rich", owner="key:rich", budget_total=Decimal(1000))
RESULT = TaskResult(
    files=(StoredFile(name="video.mp4", key="k", content_type="video/mp4", bytes=1),)
).model_dump_json()
# One task, and twenty at once: statements, with BEGIN and COMMIT on PostgreSQL.
STEPS = ("take", "submitting", "running", "storing", "completed")
MOST = {
    "postgresql": {"create": 6, "take": 1, "submitting": 1, "running": 4, "storing": 1, "completed": 8},
    "sqlite": {"create": 4, "take": 1, "submitting": 2, "running": 3, "storing": 2, "completed": 13},
}
REMEMBERED = re.compile(
    r"SELECT .*\bFROM (routes|accounts|cooldowns|suspensions|prices|options)\b", re.DOTALL
)
"""Read again when the news of a change arrives, at whatever moment that is; a task reads them in its transaction."""
ONE_BY_ONE = {"submitting": 1, "running": 1, "storing": 1, "completed": 1}
"""On SQLite a move is a statement for each task, which is no round trip."""


def in_transaction(connection: sa.Connection) -> bool:
    return connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT"


@contextmanager
def counted(bench: Bench) -> Iterator[list[str]]:
    seen: list[str] = []

    def executed(connection: sa.Connection, _cursor: Any, statement: str, *_more: Any) -> None:
        if in_transaction(connection) or not REMEMBERED.match(statement):
            seen.append(statement)

    def begun(connection: sa.Connection) -> None:
        if in_transaction(connection):
            seen.append("BEGIN")

    engine = bench.components.database.writing_engine
    listeners: list[tuple[str, Callable[..., None]]] = [("before_cursor_execute", executed)]
    if bench.components.database.is_postgres:
        listeners += [("begin", begun), ("commit", lambda _: seen.append("COMMIT"))]
    for name, listener in listeners:
        event.listen(engine, name, listener)
    try:
        yield seen
    finally:
        for name, listener in listeners:
            event.remove(engine, name, listener)


async def dispatch(bench: Bench, made: list[Task], account_id: str) -> None:
    async with bench.components.database.write() as connection:
        await connection.execute(sa.update(tasks).values(account_id=account_id, upstream_model="sora-2"))
        rows = [{"task_id": task.id, "account_id": account_id, "kind": "video", "at": 1.0} for task in made]
        await connection.execute(sa.insert(slots), rows)


@pytest.mark.parametrize("number", [1, MANY])
async def test_no_step_of_a_task_has_more_statements_than_it_needs(bench: Bench, number: int) -> None:
    account = await bench.account()
    await bench.components.money.prices.set_price("sora-2", ModelPrice(per_call=Decimal("0.5")))
    found: dict[str, int] = {}
    prompts = [f"film {n}" for n in range(number)]
    await bench.create("one that warms what is remembered", key=RICH)
    with counted(bench) as seen:
        made = await asyncio.gather(*(bench.create(prompt, key=RICH) for prompt in prompts))
    found["create"] = len(seen)
    await dispatch(bench, made, account.id)
    repository = bench.components.repository
    for step in STEPS:
        with counted(bench) as seen:
            done = await asyncio.gather(*(advance(bench, task, step) for task in made))
        found[step] = len(seen)
        made = done if step == "take" else made
    store = "postgresql" if bench.components.database.is_postgres else "sqlite"
    assert await repository.open_counts() == {"queued": 1, "slots": 0}
    more = {step: (number - 1) * each for step, each in ONE_BY_ONE.items()} if store == "sqlite" else {}
    assert found == {step: most + more.get(step, 0) for step, most in MOST[store].items()}


async def advance(bench: Bench, task: Task, step: str) -> Task:
    repository = bench.components.repository
    if step == "take":
        taken = await repository.take(task.id)
        assert taken is not None
        return taken
    if step == "submitting":
        await repository.move(task, "queued", "submitting", fitted=None)
    elif step == "running":
        operation = Operation(id=task.id, path=f"/videos/{task.id}")
        await repository.accept(task, operation, now=2.0, deadline_at=1e10)
    elif step == "storing":
        await repository.move(task, "running", "storing", made_at=3.0)
    else:
        ended = {"finished_at": 4.0, "expires_at": 1e10, "result": RESULT, "progress": 100.0}
        await repository.move(task, "storing", "completed", **ended)
    return task
