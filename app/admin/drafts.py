"""`/admin/api/drafts`: what the playground's form holds, kept under a name for all who may make films."""

import json
import time
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Response

from app.admin.access import AdminRequest, AdminRoute
from app.admin.bodies import ListAnswer, Name, PanelAnswer, PanelBody
from app.db.operator_tables import drafts
from app.errors import InvalidRequest, NotFound, PayloadTooLarge
from app.tasks.task import new_id

router = APIRouter(route_class=AdminRoute, prefix="/drafts")
MOST_DRAFTS = 500
MOST_BYTES = 12_000_000
"""Of one draft, with its pictures."""


class DraftObject(PanelAnswer):
    """``updated_at`` in UTC seconds; ``author`` has saved it last."""

    id: str
    name: str
    author: str
    updated_at: float


class DraftDetail(DraftObject):
    """``inputs``: the fields of the playground as the panel wrote them."""

    inputs: dict[str, Any]


class DraftBody(PanelBody):
    name: Name
    inputs: dict[str, Any]


class DraftChange(PanelBody):
    """What is left out stays as it is."""

    name: Name | None = None
    inputs: dict[str, Any] | None = None


@router.get("", summary="List drafts")
async def list_drafts(request: AdminRequest) -> ListAnswer[DraftObject]:
    """The newest first, without what they hold."""
    columns = drafts.c.id, drafts.c.name, drafts.c.author, drafts.c.updated_at
    query = sa.select(*columns).order_by(drafts.c.updated_at.desc(), drafts.c.id).limit(MOST_DRAFTS)
    async with request.panel.database.read() as connection:
        rows = (await connection.execute(query)).all()
    return ListAnswer(data=[DraftObject(**row._mapping) for row in rows])


@router.get("/{draft_id}", summary="Show a draft")
async def get_draft(draft_id: str, request: AdminRequest) -> DraftDetail:
    return await _find_draft(request, draft_id)


@router.post("", status_code=201, summary="Save a draft")
async def create_draft(body: DraftBody, request: AdminRequest) -> DraftDetail:
    row = {
        "id": new_id(time.time()),
        "name": body.name,
        "document": _written(body.inputs),
        "author": request.actor.name,
        "updated_at": time.time(),
    }
    async with request.panel.database.write() as connection:
        kept = (await connection.execute(sa.select(sa.func.count()).select_from(drafts))).scalar_one()
        if kept >= MOST_DRAFTS:
            raise InvalidRequest(f"There are {MOST_DRAFTS} drafts; delete some first.", param="name")
        await connection.execute(sa.insert(drafts).values(row))
    await request.record_change("draft.saved", f"drafts/{row['id']}", after={"name": body.name})
    return await _find_draft(request, str(row["id"]))


@router.patch("/{draft_id}", summary="Rename or overwrite a draft")
async def change_draft(draft_id: str, body: DraftChange, request: AdminRequest) -> DraftDetail:
    before = await _find_draft(request, draft_id)
    values: dict[str, Any] = {"author": request.actor.name, "updated_at": time.time()}
    if body.name is not None:
        values["name"] = body.name
    if body.inputs is not None:
        values["document"] = _written(body.inputs)
    async with request.panel.database.write() as connection:
        await connection.execute(sa.update(drafts).where(drafts.c.id == draft_id).values(values))
    changed = await _find_draft(request, draft_id)
    await request.record_change(
        "draft.saved", f"drafts/{draft_id}", before={"name": before.name}, after={"name": changed.name}
    )
    return changed


@router.delete("/{draft_id}", status_code=204, summary="Delete a draft")
async def delete_draft(draft_id: str, request: AdminRequest) -> Response:
    before = await _find_draft(request, draft_id)
    async with request.panel.database.write() as connection:
        await connection.execute(sa.delete(drafts).where(drafts.c.id == draft_id))
    await request.record_change("draft.deleted", f"drafts/{draft_id}", before={"name": before.name})
    return Response(status_code=204)


async def _find_draft(request: AdminRequest, draft_id: str) -> DraftDetail:
    query = sa.select(drafts).where(drafts.c.id == draft_id)
    async with request.panel.database.read() as connection:
        row = (await connection.execute(query)).mappings().first()
    if row is None:
        raise NotFound(f"No such draft: {draft_id[:100]}")
    shown = {name: row[name] for name in DraftObject.model_fields}
    return DraftDetail(**shown, inputs=json.loads(row["document"]))


def _written(inputs: dict[str, Any]) -> str:
    text = json.dumps(inputs, ensure_ascii=False)
    if len(text) > MOST_BYTES:
        raise PayloadTooLarge("The pictures of this draft are too large to be kept with it.")
    return text
