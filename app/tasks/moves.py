"""The statements of a task's creation and moves. They are built once: building one anew costs more than running it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.tables import slots, tasks, timeline
from app.tasks.states import State
from app.tasks.task import detail_text

_ROW = {
    "task_id": sa.bindparam("row_task", type_=timeline.c.task_id.type),
    "epoch": sa.bindparam("row_epoch", type_=timeline.c.epoch.type),
    "at": sa.bindparam("row_at", type_=timeline.c.at.type),
    "event": sa.bindparam("row_event", type_=timeline.c.event.type),
    "detail": sa.bindparam("row_detail", type_=timeline.c.detail.type),
}
INSERT_TASK = sa.insert(tasks)
FREE_SLOT = sa.delete(slots).where(slots.c.task_id == sa.bindparam("of_task"))
_INSERT_ROW = sa.insert(timeline).inline().values(_ROW)


@dataclass(frozen=True, slots=True)
class TaskMove:
    """A change of state by the run that has raised the epoch to ``epoch``, and of other columns with it."""

    task_id: str
    epoch: int
    old: State
    new: State
    values: Mapping[str, Any]

    @property
    def parameters(self) -> dict[str, Any]:
        mine = {"of_task": self.task_id, "of_epoch": self.epoch, "of_state": self.old, "new_state": self.new}
        return mine | {f"new_{name}": value for name, value in self.values.items()}

    async def write(self, connection: AsyncConnection) -> bool:
        """False: another run has the task, or it has ended."""
        done = await connection.execute(_move_statement(tuple(self.values)), self.parameters)
        return done.rowcount > 0

    async def write_with_row(self, connection: AsyncConnection, *, detail: dict[str, Any]) -> bool:
        """``write``, and the row of the timeline: on PostgreSQL in one statement."""
        row = {
            "row_task": self.task_id,
            "row_epoch": self.epoch,
            "row_at": clock.now(),
            "row_event": self.new,
            "row_detail": detail_text(detail),
        }
        if connection.dialect.name == "postgresql":
            both = _move_with_row_statement(tuple(self.values))
            return (await connection.execute(both, self.parameters | row)).rowcount > 0
        done = await self.write(connection)
        if done:
            await connection.execute(_INSERT_ROW, row)
        return done


@cache
def _move_statement(names: tuple[str, ...]) -> sa.Update:
    new = {name: sa.bindparam(f"new_{name}", type_=tasks.c[name].type) for name in ("state", *names)}
    values: dict[str, sa.ColumnElement[Any]] = {**new}
    if "finished_at" in new and "expires_at" in new:  # the files of a deleted task go at once
        values["expires_at"] = sa.case((tasks.c.deleted, new["finished_at"]), else_=new["expires_at"])
    mine = tasks.c.id == sa.bindparam("of_task"), tasks.c.epoch == sa.bindparam("of_epoch")
    return sa.update(tasks).where(*mine, tasks.c.state == sa.bindparam("of_state")).values(values)


@cache
def _move_with_row_statement(names: tuple[str, ...]) -> sa.Insert:
    moved = _move_statement(names).returning(tasks.c.id).cte("moved")
    row = sa.select(*_ROW.values()).select_from(moved)
    return sa.insert(timeline).inline().from_select(list(_ROW), row).add_cte(moved)
