"""`filmgate`, which sends itself SIGKILL at one exact moment: for tests of what a crash leaves behind.

``MORTAL=settle:before`` dies before the commit of the first transaction that writes a ledger row of that kind,
``settle:after`` right behind that commit; ``usage:…`` does the same for usage rows, ``held:…`` for the end of a task
whose money is held, ``turn:…`` for the update that lets a film's next segment go, ``again:…`` for the row of one that is
made again, ``join:…`` for the joining of its segments, ``adopted:…`` for one that runs again, ``went_on:…`` for one that goes
on after an attempt, ``second_slot:…`` for the second time that one gets an account, ``film_hashes:…`` for the first film that
is labelled, ``pauses:…`` (or ``batch_lines``, ``client_files``) for the first row there, ``accounts:…`` (or another table) for the first change of a row there. ``group:…`` is the first commit of SQLite
that makes three writes durable at once. Without it nothing happens.
"""

import os
import re
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import Pool

from app.cli import main
from app.db.sqlite import SAVEPOINT, SqliteWriter
from app.media.inspection import MediaInspector

WHAT, _, WHEN = os.environ.get("MORTAL", "").partition(":")
DOOMED = "doomed"
GIVEN: list[str] = []
AGAIN = re.compile(r"\d+\.[1-9]")
"""What the row of a segment has as its ``idempotency_key`` that is made again."""
WRITES, GROUP_SIZE = "writes", 3


def _values(parameters: Any) -> Iterator[Any]:
    for row in parameters if isinstance(parameters, list) else [parameters]:
        yield from row.values() if isinstance(row, dict) else row


def _writes_it(statement: str, parameters: Any) -> bool:
    if WHAT == "usage":
        return "INSERT INTO usage" in statement
    if WHAT == "adopted":
        return statement.startswith("INSERT INTO slots") and "ON CONFLICT" in statement
    if WHAT == "second_slot":
        if statement.startswith("INSERT INTO slots"):
            GIVEN.append(statement)
            return len(GIVEN) == 2
        return False
    if WHAT == "went_on":
        return statement.startswith("INSERT INTO attempts")
    if WHAT == "held":
        marks_it = statement.startswith("UPDATE tasks SET money") and "held" in parameters
        return marks_it and "ledger" not in statement  # which an hourly look at older tasks names
    if WHAT in ("group", "join"):
        return False
    if WHAT == "turn":
        return statement.startswith("UPDATE tasks SET request=")
    if WHAT == "again":
        return "INSERT INTO tasks" in statement and any(
            isinstance(value, str) and AGAIN.fullmatch(value) for value in _values(parameters)
        )
    if WHAT in ("film_hashes", "pauses", "batch_lines", "client_files"):
        return f"INSERT INTO {WHAT}" in statement
    if statement.startswith(f"UPDATE {WHAT} "):
        return True
    rows = parameters if isinstance(parameters, list) else [parameters]
    return "INSERT INTO ledger" in statement and any(WHAT in row for row in rows)


def _executing(
    connection: Connection, _cursor: object, statement: str, parameters: Any, *_more: object
) -> None:
    if WHAT and _writes_it(statement, parameters):
        connection.info[DOOMED] = True


def _committing(connection: Connection) -> None:
    if WHEN == "before" and connection.info.get(DOOMED):
        os.kill(os.getpid(), signal.SIGKILL)


def _returned(_connection: object, record: Any) -> None:
    if WHEN == "after" and record.info.get(DOOMED):
        os.kill(os.getpid(), signal.SIGKILL)


def _run_sql(writer: SqliteWriter, sql: str) -> None:
    """SQLite's transactions, which SQLAlchemy knows nothing of."""
    connection = writer._connection
    assert connection is not None
    if sql == SAVEPOINT:
        connection.info[WRITES] = connection.info.get(WRITES, 0) + 1
        if WHAT == "group" and connection.info[WRITES] == GROUP_SIZE:
            connection.info[DOOMED] = True
    if sql == "BEGIN IMMEDIATE":
        connection.info[WRITES] = 0
    if sql == "COMMIT":
        _committing(connection)
    _plain(writer, sql)
    if sql == "COMMIT":
        _returned(None, connection)


async def _join_clips(
    inspector: MediaInspector, paths: Sequence[Path], target: Path, *, seconds: Sequence[float]
) -> None:
    if WHEN == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    await _plain_join(inspector, paths, target, seconds=seconds)
    os.kill(os.getpid(), signal.SIGKILL)


_plain_join = MediaInspector.join_clips
if WHAT == "join":
    MediaInspector.join_clips = _join_clips  # type: ignore[method-assign]
_plain = SqliteWriter._run_sql
SqliteWriter._run_sql = _run_sql  # type: ignore[method-assign]
event.listen(Engine, "before_cursor_execute", _executing)
event.listen(Engine, "commit", _committing)
event.listen(Pool, "checkin", _returned)

if __name__ == "__main__":
    main()
