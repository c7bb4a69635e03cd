"""CSV that a spreadsheet shows and never runs."""

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi.responses import StreamingResponse

from app.usage.reports import safe_cell


def csv_response(
    rows: AsyncIterator[Sequence[Mapping[str, Any]]], columns: Sequence[str], *, name: str
) -> StreamingResponse:
    """An answer that is written batch by batch."""
    return StreamingResponse(
        _csv_lines(rows, columns),
        media_type="text/csv; charset=utf-8",
        headers={
            "content-disposition": f'attachment; filename="{name}"',
            "x-content-type-options": "nosniff",
            "cache-control": "no-store",
        },
    )


async def _csv_lines(
    rows: AsyncIterator[Sequence[Mapping[str, Any]]], columns: Sequence[str]
) -> AsyncIterator[str]:
    yield "\ufeff" + _csv_text([columns])  # with its mark, or Excel reads UTF-8 as something else
    async for batch in rows:
        yield _csv_text([[csv_cell(row.get(column), column) for column in columns] for row in batch])


def csv_cell(value: Any, column: str = "") -> str:
    """Moments as ISO 8601; a text that looks like a formula begins with an apostrophe."""
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
