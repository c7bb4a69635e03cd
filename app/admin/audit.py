"""`/admin/api/audit`: who changed what, with the values before and after, also as CSV."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from fastapi.responses import StreamingResponse

from app.admin.access import AdminRequest, AdminRoute
from app.admin.audit_log import AuditFilter
from app.admin.bodies import ListAnswer, PanelAnswer
from app.admin.lists import (
    MOST_EXPORTED,
    PageQuery,
    PageRequest,
    csv_response,
)

router = APIRouter(route_class=AdminRoute)


class AuditEntry(PanelAnswer):
    """One change. ``before`` and ``after`` hold the values that the action changes, secrets masked."""

    id: int
    at: float
    actor: str
    action: str
    target: str
    before: Any
    after: Any


CSV_COLUMNS = tuple(AuditEntry.model_fields)


AuditFilterQuery = Annotated[AuditFilter, Depends()]


@router.get("/audit", summary="List changes made through the panel")
async def list_changes(
    wanted: AuditFilterQuery, page: PageQuery, request: AdminRequest
) -> ListAnswer[AuditEntry]:
    """Newest first; `action` and `target` match prefixes."""
    result = await request.panel.audit.find_page(wanted, page)
    return ListAnswer(data=[_audit_entry(row) for row in result.rows], next=result.next)


@router.get("/audit.csv", summary="Export the changes as CSV", response_class=StreamingResponse)
async def export_changes(wanted: AuditFilterQuery, request: AdminRequest) -> Response:
    """At most 100,000 rows, newest first."""

    async def change_batches() -> AsyncIterator[list[dict[str, Any]]]:
        page, sent = PageRequest(limit=1000), 0
        while sent < MOST_EXPORTED:
            result = await request.panel.audit.find_page(wanted, page)
            yield [_csv_row(_audit_entry(row)) for row in result.rows]
            if result.next is None:
                return
            sent += len(result.rows)
            page = replace(page, after=result.next)

    return csv_response(change_batches(), CSV_COLUMNS, name="audit.csv")


def _audit_entry(row: Any) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        at=row.at,
        actor=row.actor,
        action=row.action,
        target=row.target,
        before=json.loads(row.before) if row.before else None,
        after=json.loads(row.after) if row.after else None,
    )


def _csv_row(entry: AuditEntry) -> dict[str, Any]:
    sides = {"before": _json_text(entry.before), "after": _json_text(entry.after)}
    return entry.model_dump() | sides


def _json_text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)
