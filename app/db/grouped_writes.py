"""Writes of one kind that come together are written together: one transaction, and one statement for many rows.

Whoever comes while a group is being written waits for the next one, so a calm gateway writes each row at once, and a busy
one pays for a transaction and its round trips once for many.

Crash points. Nobody is answered before the transaction that holds his row is committed. One that was rolled back because
of a row of its own is repeated row by row, so that an error meets the one who caused it. When the database goes away, all
of a group hear it, as nobody knows what became of the commit. Who is cancelled while his group is being written is written
all the same.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from app.db.session import DATABASE_AWAY, is_permanent

Row = TypeVar("Row")
Answer = TypeVar("Answer")
MOST_TOGETHER = 32
"""On SQLite the statements of a group keep the event loop for some milliseconds."""


class GroupedWrites(Generic[Row, Answer]):
    """``write`` is one transaction; it returns the answers in the order of its rows."""

    def __init__(self, write: Callable[[Sequence[Row]], Awaitable[Sequence[Answer]]]) -> None:
        self._write = write
        self._waiting: list[tuple[Row, asyncio.Future[Answer]]] = []
        self._work: asyncio.Task[None] | None = None

    async def add(self, row: Row) -> Answer:
        """Returns, or raises what ``write`` raised, when the transaction with this row is over."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, answer))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._write_groups())
        return await answer

    async def close(self) -> None:
        """Waits for what is being written."""
        if self._work is not None:
            await asyncio.wait([self._work])

    async def _write_groups(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
            wanted = [each for each in group if not each[1].done()]
            if wanted:
                await self._write_group(wanted)

    async def _write_group(self, group: list[tuple[Row, asyncio.Future[Answer]]]) -> None:
        rows = [row for row, _ in group]
        # Whatever it raises, none of the group waits for ever.
        [found] = await asyncio.gather(self._write(rows), return_exceptions=True)
        error = found if isinstance(found, BaseException) else None
        if error is not None and len(group) > 1 and _comes_from_a_row(error):
            for each in group:
                await self._write_group([each])
            return
        answers = [None] * len(group) if isinstance(found, BaseException) else found
        for (_, waiting), answer in zip(group, answers, strict=True):
            if waiting.done():
                continue  # cancelled meanwhile
            if error is None:
                waiting.set_result(answer)  # type: ignore[arg-type]
            else:
                waiting.set_exception(error)


def _comes_from_a_row(error: BaseException) -> bool:
    """Then nothing of the group was committed."""
    return is_permanent(error) or not isinstance(error, DATABASE_AWAY)
