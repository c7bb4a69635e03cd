"""The statements of tasks' creation and moves. They are built once: building one anew costs more than running it.

PostgreSQL gets the moves of many tasks in one statement, as each statement is a round trip; SQLite one by one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa

from app.db.connection import AsyncConnection
from app.db.joined_writes import as_json, given_rows, plain_type
from app.db.tables import slots, tasks, timeline
from app.tasks.states import State
from app.tasks.task import insert_rows, timeline_row

ROW_NAMES = ["task_id", "epoch", "at", "event", "detail"]


_ROW_COLUMNS = [sa.column(f"row_{name}", plain_type(timeline.c[name])) for name in ROW_NAMES]
INSERT_TASK = sa.insert(tasks)
FREE_SLOT = sa.delete(slots).where(slots.c.task_id == sa.bindparam("of_task"))


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


@dataclass(frozen=True, slots=True)
class RecordedMove:
    """A move and what its row of the timeline says."""

    move: TaskMove
    detail: Mapping[str, Any]

    @property
    def row(self) -> dict[str, Any]:
        return timeline_row(self.move.task_id, epoch=self.move.epoch, event=self.move.new, detail=self.detail)


async def write_moves(connection: AsyncConnection, moves: Sequence[TaskMove]) -> set[str]:
    """The ids of the tasks that were moved. Of the others another run has the task, or it has ended."""
    if connection.dialect.name != "postgresql":
        return {move.task_id for move in moves if await move.write(connection)}
    moved: set[str] = set()
    for names, alike in _by_columns(moves).items():
        found = await connection.execute(
            _moves_statement(names), {"given": as_json(move.parameters for move in alike)}
        )
        moved.update(found.scalars())
    return moved


async def write_recorded(connection: AsyncConnection, moves: Sequence[RecordedMove]) -> set[str]:
    """``write_moves`` with the rows of the timeline: on PostgreSQL in one statement, which may commit by itself."""
    if connection.dialect.name != "postgresql":
        moved = await write_moves(connection, [each.move for each in moves])
        await insert_rows(connection, [each.row for each in moves if each.move.task_id in moved])
        return moved
    rows = {each.move.task_id: {f"row_{name}": value for name, value in each.row.items()} for each in moves}
    moved = set()
    for names, alike in _by_columns(each.move for each in moves).items():
        given = {"given": as_json(move.parameters | rows[move.task_id] for move in alike)}
        moved.update((await connection.execute(_recorded_statement(names), given)).scalars())
    return moved


def _by_columns(moves: Iterable[TaskMove]) -> Mapping[tuple[str, ...], list[TaskMove]]:
    found: dict[tuple[str, ...], list[TaskMove]] = defaultdict(list)
    for move in sorted(moves, key=lambda move: move.task_id):  # in which progress locks rows too
        found[tuple(move.values)].append(move)
    return found


@cache
def _move_statement(names: tuple[str, ...]) -> sa.Update:
    new = {name: sa.bindparam(f"new_{name}", type_=tasks.c[name].type) for name in ("state", *names)}
    mine = tasks.c.id == sa.bindparam("of_task"), tasks.c.epoch == sa.bindparam("of_epoch")
    return _moving(new).where(*mine, tasks.c.state == sa.bindparam("of_state"))


def _moving(new: Mapping[str, sa.ColumnElement[Any]]) -> sa.Update:
    values: dict[str, sa.ColumnElement[Any]] = {**new}
    if "finished_at" in new and "expires_at" in new:  # the files of a deleted task go at once
        values["expires_at"] = sa.case((tasks.c.deleted, new["finished_at"]), else_=new["expires_at"])
    return sa.update(tasks).values(values)


@cache
def _moves_statement(names: tuple[str, ...]) -> sa.Update:
    return _moving_given(names, _given_rows(names)).returning(tasks.c.id)


@cache
def _recorded_statement(names: tuple[str, ...]) -> sa.Insert:
    given = _given_rows(names, *_ROW_COLUMNS)
    moved = _moving_given(names, given).returning(tasks.c.id).cte("moved")
    rows = sa.select(*(given.c[f"row_{name}"] for name in ROW_NAMES))
    rows = rows.select_from(given.join(moved, moved.c.id == given.c.of_task))
    return sa.insert(timeline).from_select(ROW_NAMES, rows).add_cte(moved).returning(timeline.c.task_id)


def _moving_given(names: tuple[str, ...], given: sa.FromClause) -> sa.Update:
    mine = tasks.c.id == given.c.of_task, tasks.c.epoch == given.c.of_epoch
    new = {name: given.c[f"new_{name}"] for name in ("state", *names)}
    return _moving(new).where(*mine, tasks.c.state == given.c.of_state)


def _given_rows(names: tuple[str, ...], *more: sa.ColumnClause[Any]) -> sa.FromClause:
    """The parameters of many moves."""
    fixed = sa.column("of_task", sa.Text), sa.column("of_epoch", sa.Integer), sa.column("of_state", sa.Text)
    new = [sa.column(f"new_{name}", plain_type(tasks.c[name])) for name in ("state", *names)]
    return given_rows([*fixed, *new, *more], name="given")
