"""`filmgate`, which sends itself SIGKILL at one exact moment: for tests of what a crash leaves behind.

``MORTAL=settle:before`` dies before the commit of the first transaction that writes a ledger row of that kind,
``settle:after`` right behind that commit; ``usage:…`` does the same for usage rows, ``held:…`` for the end of a task
whose money is held, ``adopted:…`` for one that runs again, ``accounts:…`` (or another table) for the first change of a row there. ``group:…`` is the first commit of SQLite that
makes three writes durable at once. Without it nothing happens.
"""

import os
import signal
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import Pool

from app.cli import main
from app.db.sqlite import SAVEPOINT, SqliteWriter

WHAT, _, WHEN = os.environ.get("MORTAL", "").partition(":")
DOOMED = "doomed"
WRITES, GROUP_SIZE = "writes", 3


def _writes_it(statement: str, parameters: Any) -> bool:
    if WHAT == "usage":
        return "INSERT INTO usage" in statement
    if WHAT == "adopted":
        return statement.startswith("INSERT INTO slots") and "ON CONFLICT" in statement
    if WHAT == "held":
        marks_it = statement.startswith("UPDATE tasks SET money") and "held" in parameters
        return marks_it and "ledger" not in statement  # which an hourly look at older tasks names
    if WHAT == "group":
        return False
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


_plain = SqliteWriter._run_sql
SqliteWriter._run_sql = _run_sql  # type: ignore[method-assign]
event.listen(Engine, "before_cursor_execute", _executing)
event.listen(Engine, "commit", _committing)
event.listen(Pool, "checkin", _returned)

if __name__ == "__main__":
    main()
