"""`filmgate`, which sends itself SIGKILL at one exact moment: for tests of what a crash leaves behind.

``MORTAL=settle:before`` dies before the commit of the first transaction that writes a ledger row of that kind,
``settle:after`` right behind that commit; ``usage:…`` does the same for usage rows, ``accounts:…`` (or another
table) for the first change of a row there. Without it nothing happens.
"""

import os
import signal
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import Pool

from app.cli import main

WHAT, _, WHEN = os.environ.get("MORTAL", "").partition(":")
DOOMED = "doomed"


def _writes_it(statement: str, parameters: Any) -> bool:
    if WHAT == "usage":
        return "INSERT INTO usage" in statement
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


event.listen(Engine, "before_cursor_execute", _executing)
event.listen(Engine, "commit", _committing)
event.listen(Pool, "checkin", _returned)

if __name__ == "__main__":
    main()
