"""Waiting tasks in tests of the pool: create, admit and end them, and let time pass for their accounts."""

from collections.abc import Sequence

import sqlalchemy as sa

from app.accounts.notices import PoolNotice
from app.accounts.status import AccountStatus
from app.db.operator_tables import suspensions
from app.db.tables import accounts, cooldowns, slots, tasks, timeline
from app.keys.key import ClientKey
from app.tasks.admission.admission import AdmissionController
from app.tasks.task import Task
from tests.tasks.conftest import Bench, dispatcher_for


def admission(bench: Bench) -> AdmissionController:
    components = bench.components
    dispatcher = dispatcher_for(components.database)
    return AdmissionController(
        components.database, catalog=components.catalog, dispatcher=dispatcher, events=components.events
    )


def key(name: str) -> ClientKey:
    return ClientKey(id=name, name=name, owner=f"key:{name}")


async def create_tasks(bench: Bench, count: int, *, of: str = "tester", **told: object) -> list[Task]:
    return [await bench.create(f"{of} {number}", key=key(of), **told) for number in range(count)]


async def accounts_by_task(bench: Bench) -> dict[str, str]:
    """Tasks that hold a slot, with their accounts' names."""
    names = {each.account.id: each.account.name for each in await bench.components.pool.current_statuses()}
    async with bench.components.database.read() as connection:
        rows = await connection.execute(sa.select(slots.c.task_id, slots.c.account_id))
        return {row.task_id: names[row.account_id] for row in rows}


async def end_tasks(bench: Bench, tasks_: Sequence[str]) -> None:
    """End tasks that hold a slot, as a run would."""
    for task_id in tasks_:
        taken = await bench.components.repository.take(task_id)
        assert taken is not None
        await bench.components.repository.move(taken, taken.state, "failed", error_code="x", finished_at=1.0)


async def let_time_pass(bench: Bench, seconds: float) -> None:
    """Move every stored time ``seconds`` into the past."""
    shifts = {
        cooldowns: ("since", "until", "trial_at"),
        tasks: ("not_before",),
        timeline: ("at",),
        accounts: ("quota_resets_at", "expires_at"),
        suspensions: ("since", "next_look_at"),
    }
    async with bench.components.database.write() as connection:
        for table, names in shifts.items():
            moved = {name: table.c[name] - seconds for name in names}
            if table is cooldowns:  # 0: no trial is out
                moved["trial_at"] = sa.case(
                    (cooldowns.c.trial_at > 0, moved["trial_at"]), else_=cooldowns.c.trial_at
                )
            await connection.execute(sa.update(table).values(**moved))
    await bench.components.pool.refresh()


async def account_status(bench: Bench, name: str) -> AccountStatus:
    return await bench.components.accounts.find(name)


def collect_notices(bench: Bench) -> list[PoolNotice]:
    """A list that fills with the notices published from now on."""
    notices: list[PoolNotice] = []
    bench.components.pool.on_notice(notices.append)
    return notices
