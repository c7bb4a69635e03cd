"""Keeps the deadlines of tasks away that wait for nothing but a pause of the operator.

A task has at least ten minutes left when its pause ends, and none ends as overdue meanwhile. One conditional update of waiting
rows, repeatable at any point and by several processes at once.
"""

import sqlalchemy as sa

from app.catalog.catalog import Catalog
from app.db.session import Database
from app.db.tables import tasks
from app.tasks.admission.waiting import WAITING, Group, waiting_groups

LEFT_SECONDS = 600.0
"""That a held task has left at least, once it has been looked at."""
SPARE_SECONDS = 300.0
"""With less left it is given ``LEFT_SECONDS``, so that rows are not written at every look."""


async def keep_held_tasks(database: Database, catalog: Catalog, *, now: float) -> int:
    """How many deadlines were moved."""
    if not await catalog.pauses.current():
        return 0
    await catalog.current_statuses()
    async with database.read() as connection:
        groups = [group for group in await waiting_groups(connection) if is_held_back(catalog, group)]
    moved = 0
    for kind, model in groups:
        soon = tasks.c.kind == kind, tasks.c.model == model, tasks.c.deadline_at < now + SPARE_SECONDS
        kept = sa.update(tasks).where(*WAITING, *soon).values(deadline_at=now + LEFT_SECONDS)
        async with database.write_many() as connection:
            moved += (await connection.execute(kept)).rowcount
    return moved


def is_held_back(catalog: Catalog, group: Group) -> bool:
    """Whether no account may take the model's tasks, and a pause is a reason for it."""
    wait = catalog.wait_for(*group)
    return wait is not None and wait.count.counted["paused"] > 0
