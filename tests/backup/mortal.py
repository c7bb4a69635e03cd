"""`filmgate`, which sends itself SIGKILL at one exact moment of a restore or a move.

``MORTAL=put:2`` dies before the second file is put, ``insert:3`` before the third batch of rows, ``commit:1`` before the
first commit of rows, ``committed:1`` right behind it.
"""

import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from app.backup.row_stores import PostgresRows, SqliteRows
from app.cli import main
from app.media.store import MediaStore

WHAT, _, NUMBER = os.environ.get("MORTAL", "").partition(":")
seen: Counter[str] = Counter()


def reach(moment: str) -> None:
    seen[moment] += 1
    if moment == WHAT and seen[moment] == int(NUMBER):
        os.kill(os.getpid(), signal.SIGKILL)


def mortal(
    method: Callable[..., Awaitable[Any]], before: str, after: str = ""
) -> Callable[..., Awaitable[Any]]:
    async def call(*given: Any, **named: Any) -> Any:
        reach(before)
        answer = await method(*given, **named)
        reach(after)
        return answer

    return call


for rows in (SqliteRows, PostgresRows):
    rows.insert_rows = mortal(rows.insert_rows, "insert")  # type: ignore[assignment, method-assign]
    rows.commit = mortal(rows.commit, "commit", "committed")  # type: ignore[assignment, method-assign]
MediaStore.put = mortal(MediaStore.put, "put")  # type: ignore[assignment, method-assign]

if __name__ == "__main__":
    main()
