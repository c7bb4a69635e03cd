"""Cursors: every list of the panel is read newest first, a page at a time, by the id it goes on from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Depends, Query
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import InvalidRequest

Conditions = Sequence[sa.ColumnElement[bool]]
MOST_SCANNED = 20_000
"""Rows that are looked through for one page: what is rare is found some pages later, and none takes long."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What was asked for: at most ``limit`` rows that follow ``after``."""

    limit: int = 50
    after: str | None = None

    def numeric_cursor(self) -> int | None:
        """The cursor of a table whose ids are numbers. Raises ``InvalidRequest``."""
        if self.after is None:
            return None
        if not (self.after.isascii() and self.after.isdigit() and len(self.after) < 16):
            raise InvalidRequest("after is no cursor of this list", param="after")
        return int(self.after)


async def read_page(
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[str | None, Query(max_length=200)] = None,
) -> PageRequest:
    return PageRequest(limit, after or None)


PageQuery = Annotated[PageRequest, Depends(read_page)]
Since = Annotated[float | None, Query(alias="from", ge=0, le=1e11, allow_inf_nan=False)]
Until = Annotated[float | None, Query(alias="to", ge=0, le=1e11, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class FoundPage:
    """A page of rows, and the cursor of the next one; None at the end."""

    rows: list[Any]
    next: str | None

    def as_answer(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The answer of a list, its rows as they are shown."""
        return {"data": list(rows), "next": self.next}


async def find_page(
    connection: AsyncConnection,
    query: sa.Select[Any],
    page: PageRequest,
    *,
    by: sa.Column[Any],
    served: Conditions = (),
    sifted: Conditions = (),
) -> FoundPage:
    """Newest first by the column ``by``. ``served``: conditions that an index answers.

    ``sifted`` ones are looked for in so many rows at most: a page may hold few rows, or none, and still have
    a next one.
    """
    last: Any = None
    if sifted:
        looked_at = _newest_first(sa.select(by).where(*served), by, page).offset(MOST_SCANNED).limit(1)
        last = (await connection.execute(looked_at)).scalar()
        query = query.where(*sifted) if last is None else query.where(*sifted, by >= last)
    newest = _newest_first(query.where(*served), by, page).limit(page.limit + 1)
    rows = list((await connection.execute(newest)).all())
    if len(rows) > page.limit:
        rows = rows[: page.limit]
        last = rows[-1]._mapping[by.name]
    return FoundPage(rows, None if last is None else str(last))


def _newest_first(query: sa.Select[Any], column: sa.Column[Any], page: PageRequest) -> sa.Select[Any]:
    if page.after is not None:
        cursor = page.numeric_cursor() if isinstance(column.type, sa.Integer) else page.after
        query = query.where(column < cursor)
    return query.order_by(column.desc())


def span_conditions(
    column: sa.ColumnElement[Any], *, since: float | str | None, until: float | str | None
) -> list[sa.ColumnElement[bool]]:
    """From ``since`` up to, not including, ``until``."""
    bounds = [column >= since if since is not None else None, column < until if until is not None else None]
    return [bound for bound in bounds if bound is not None]


def whole_list(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The answer of a list that is never longer than a page."""
    return {"data": list(rows), "next": None}
