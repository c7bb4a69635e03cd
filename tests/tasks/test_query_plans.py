"""What is asked again and again reads no tasks that have ended: there may be millions of them."""

from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from app.tasks.admission.admission import AdmissionController
from app.worker import Worker
from tests.tasks.conftest import dispatcher_for, replica, settings_for
from tests.upstream import FakeUpstream


async def test_neither_admission_nor_the_sweep_reads_tasks_that_have_ended(
    tmp_path: Path, upstream: FakeUpstream
) -> None:
    asked: dict[str, Any] = {}

    def executed(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if "tasks" in statement and not statement.startswith(("INSERT", "EXPLAIN")):
            asked[statement] = parameters

    async with replica(settings_for(tmp_path, ""), upstream) as bench:
        await bench.account()
        await bench.create()
        database = bench.components.database
        admission = AdmissionController(
            database,
            catalog=bench.components.catalog,
            dispatcher=dispatcher_for(database),
            events=bench.components.events,
        )
        event.listen(Engine, "before_cursor_execute", executed)
        try:
            assert await admission.admit() == 1
            await Worker(bench.components)._sweep_once()
        finally:
            event.remove(Engine, "before_cursor_execute", executed)
        assert len(asked) > 8
        plans = {statement: plan_of(database, statement, values) for statement, values in asked.items()}
    assert any("tasks_expiring" in step for steps in plans.values() for step in steps)
    whole = ("SCAN tasks", "SCAN tasks USING COVERING INDEX tasks_by_key")
    assert {statement for statement, steps in plans.items() if any(step in whole for step in steps)} == set()


def plan_of(database: Any, statement: str, values: Any) -> list[str]:
    with database.writing_engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        return [row[3] for row in rows]
