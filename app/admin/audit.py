"""`/admin/api/audit`: who changed what, before and after."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from app.admin.access import AdminRequest, OwnerRoute
from app.admin.paging import PageQuery, PageRequest, Since, Until
from app.admin.sheets import csv_response

router = APIRouter(route_class=OwnerRoute)
FilterText = Annotated[str | None, Query(max_length=200)]
CSV_COLUMNS = ("id", "at", "actor", "action", "target", "before", "after")
MOST_EXPORTED = 100_000


@router.get("/audit", summary="Changes made through the panel")
async def list_changes(
    page: PageQuery,
    at: AdminRequest,
    *,
    actor: FilterText = None,
    action: FilterText = None,
    target: FilterText = None,
    since: Since = None,
    until: Until = None,
) -> dict[str, Any]:
    """Newest first; `action` and `target` also by how they begin."""
    wanted = {"actor": actor, "action": action, "target": target}
    found = await at.panel.audit.find_page(wanted, since=since, until=until, page=page)
    return found.as_answer(found.rows)


@router.get("/audit.csv", summary="The same as CSV", response_class=StreamingResponse)
async def export_changes(
    at: AdminRequest,
    *,
    actor: FilterText = None,
    action: FilterText = None,
    target: FilterText = None,
    since: Since = None,
    until: Until = None,
) -> Response:
    wanted = {"actor": actor, "action": action, "target": target}

    async def change_batches() -> AsyncIterator[list[dict[str, Any]]]:
        page, sent = PageRequest(limit=1000), 0
        while sent < MOST_EXPORTED:
            found = await at.panel.audit.find_page(wanted, since=since, until=until, page=page)
            yield [row | {side: _json_text(row[side]) for side in ("before", "after")} for row in found.rows]
            if found.next is None:
                return
            sent += len(found.rows)
            page = replace(page, after=found.next)

    return csv_response(change_batches(), CSV_COLUMNS, name="audit.csv")


def _json_text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)
