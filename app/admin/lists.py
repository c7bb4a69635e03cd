"""Lists of the panel: read newest first and page by page, or downloaded as CSV."""

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from starlette.responses import StreamingResponse

from app.db.connection import AsyncConnection
from app.errors import InvalidRequest
from app.usage.reports import safe_cell

Conditions = Sequence[sa.ColumnElement[bool]]
MOST_SCANNED = 20_000
"""Rows read for one page. A rare match is found some pages later, and no page takes long."""
MOST_EXPORTED = 100_000
"""Rows of one CSV file."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """At most ``limit`` rows that follow the row with the id ``after``."""

    limit: int = 50
    after: str | None = None

    def numeric_cursor(self) -> int | None:
        """The cursor of a table whose ids are numbers. Raises ``InvalidRequest``."""
        if self.after is None:
            return None
        if not (self.after.isascii() and self.after.isdigit() and len(self.after) < 16):
            raise InvalidRequest("after is not a cursor of this list", param="after")
        return int(self.after)


@dataclass(frozen=True, slots=True)
class FoundPage:
    """A page of rows, and the cursor of the next one; None on the last page."""

    rows: list[Any]
    next: str | None


async def find_page(
    connection: AsyncConnection,
    query: sa.Select[Any],
    page: PageRequest,
    *,
    by: sa.Column[Any],
    served: Conditions = (),
    sifted: Conditions = (),
) -> FoundPage:
    """Rows ordered by the column ``by``, newest first. ``served`` are conditions that an index answers.

    ``sifted`` conditions have no index: at most ``MOST_SCANNED`` rows are read for them, so a page may hold few
    rows or none and still have a next one.
    """
    last: Any = None
    if sifted:
        scanned = _newest_first(sa.select(by).where(*served), by, page).offset(MOST_SCANNED).limit(1)
        last = (await connection.execute(scanned)).scalar()
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


def csv_response(
    batches: AsyncIterator[Sequence[Mapping[str, Any]]], columns: Sequence[str], *, name: str
) -> StreamingResponse:
    """A CSV file that is sent batch by batch. A spreadsheet shows its cells and runs none of them."""
    return StreamingResponse(
        _csv_lines(batches, columns),
        media_type="text/csv; charset=utf-8",
        headers=download_headers(name),
    )


def download_headers(name: str) -> dict[str, str]:
    """The headers of a file that the browser saves as ``name`` and keeps in no cache."""
    return {
        "content-disposition": f'attachment; filename="{name}"',
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }


async def _csv_lines(
    batches: AsyncIterator[Sequence[Mapping[str, Any]]], columns: Sequence[str]
) -> AsyncIterator[str]:
    yield "\ufeff" + _csv_text([columns])  # without a byte order mark Excel does not read UTF-8
    async for batch in batches:
        yield _csv_text([[csv_cell(row.get(column), column) for column in columns] for row in batch])


def csv_cell(value: Any, column: str = "") -> str:
    """Times as ISO 8601; a text that looks like a formula begins with an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        if column == "at" or column.endswith("_at"):
            return datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds")
        return str(value)
    return safe_cell(str(value))


def _csv_text(rows: Sequence[Sequence[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue()
