"""Writes batches of rows, so that one row that no store takes costs none of the others."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from app.db.session import WRITE_FAILED, is_bad_value

log = structlog.get_logger()
Row = TypeVar("Row")


async def write_in_halves(
    waiting: list[Row],
    write: Callable[[list[Row]], Awaitable[None]],
    *,
    refused: Callable[[Row, Exception], None],
) -> Exception | None:
    """Write the rows and take them out of ``waiting``. ``write`` is one transaction.

    A batch that can't be written is halved until the row that spoils it is alone: that one is given to ``refused`` and
    dropped. Returns the error of a database that is away; the rows that it did not take are still ``waiting``.
    """
    size = len(waiting)
    while waiting:
        part = waiting[:size]
        try:
            await write(part)
        except WRITE_FAILED as error:
            if not is_bad_value(error):
                return error
            if len(part) > 1:
                size = len(part) // 2
                continue
            refused(part[0], error)
        del waiting[: len(part)]
        size = max(2 * size, 1)
    return None
