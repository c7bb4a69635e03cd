"""`/admin/api/audit`: who changed what, with the values before and after, also as CSV."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from fastapi.responses import StreamingResponse

from app.admin.access import AdminRequest, AdminRoute
from app.admin.bodies import ListAnswer, PanelAnswer
from app.admin.lists import MOST_EXPORTED, PageRequest, csv_response
from app.admin.panel import PanelServices
from app.admin.queries import AuditFilter, PageQuery
from app.admin.target_names import owner_names, target_names

router = APIRouter(route_class=AdminRoute)


class AuditEntry(PanelAnswer):
    """One change. ``before`` and ``after`` hold the values that the action changes, secrets masked. ``target_name`` is the
    name of what was changed, as it was when it is gone; ``target_exists`` says that it can be opened. ``actor_name`` is that
    of a key that has changed itself."""

    id: int
    at: float
    actor: str
    action: str
    target: str
    before: Any
    after: Any
    actor_name: str | None
    target_name: str | None
    target_exists: bool


CSV_COLUMNS = tuple(AuditEntry.model_fields)


AuditFilterQuery = Annotated[AuditFilter, Depends()]


@router.get("/audit", summary="List changes made through the panel")
async def list_changes(
    wanted: AuditFilterQuery, page: PageQuery, request: AdminRequest
) -> ListAnswer[AuditEntry]:
    """Newest first; `action` and `target` match prefixes."""
    result = await request.panel.audit.find_page(wanted, page)
    return ListAnswer(data=await _audit_entries(request.panel, result.rows), next=result.next)


@router.get("/audit.csv", summary="Export the changes as CSV", response_class=StreamingResponse)
async def export_changes(wanted: AuditFilterQuery, request: AdminRequest) -> Response:
    """At most 100,000 rows, newest first."""

    async def change_batches() -> AsyncIterator[list[dict[str, Any]]]:
        page, sent = PageRequest(limit=1000), 0
        while sent < MOST_EXPORTED:
            result = await request.panel.audit.find_page(wanted, page)
            yield [_csv_row(entry) for entry in await _audit_entries(request.panel, result.rows)]
            if result.next is None:
                return
            sent += len(result.rows)
            page = replace(page, after=result.next)

    return csv_response(change_batches(), CSV_COLUMNS, name="audit.csv")


async def _audit_entries(panel: PanelServices, rows: Sequence[Any]) -> list[AuditEntry]:
    targets = await target_names(panel.database, {row.target for row in rows})
    owners = await owner_names(panel.database, {row.actor for row in rows})
    return [_audit_entry(row, targets, owners) for row in rows]


def _audit_entry(row: Any, targets: Mapping[str, str | None], owners: Mapping[str, str]) -> AuditEntry:
    before, after = (json.loads(side) if side else None for side in (row.before, row.after))
    return AuditEntry(
        id=row.id,
        at=row.at,
        actor=row.actor,
        action=row.action,
        target=row.target,
        before=before,
        after=after,
        actor_name=owners.get(row.actor),
        target_name=targets.get(row.target) or _name_in(after) or _name_in(before),
        target_exists=row.target in targets,
    )


def _name_in(side: Any) -> str | None:
    name = side.get("name") if isinstance(side, dict) else None
    return name if isinstance(name, str) else None


def _csv_row(entry: AuditEntry) -> dict[str, Any]:
    sides = {"before": _json_text(entry.before), "after": _json_text(entry.after)}
    return entry.model_dump() | sides


def _json_text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)
