"""`/admin/api/settings`: what the environment says, how the parts are, and the documents that may be changed."""

from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter

from app.admin.access import AdminRequest, OwnerRoute
from app.admin.bodies import PanelBody
from app.admin.panel import PanelServices
from app.db.operator_tables import options
from app.errors import FilmgateError, NotFound
from app.media.delivery.chain import StageTest
from app.options.document import MASK, OptionsDocument, masked_values

router = APIRouter(route_class=OwnerRoute, prefix="/settings")


class DocumentBody(PanelBody):
    value: dict[str, Any]


@router.get("", summary="Settings and health")
async def get_settings(at: AdminRequest) -> dict[str, Any]:
    """What comes from the environment is read-only here; of secrets only whether they are set."""
    facts = at.panel.facts
    return {
        "environment": facts.environment,
        "health": {**facts.health, "checks": await _check_health(at.panel)},
        "documents": sorted(at.panel.documents),
        "mask": MASK,
    }


@router.get("/{name}", summary="A document of options")
async def get_document(name: str, at: AdminRequest) -> dict[str, Any]:
    return await _document_object(at.panel, _document_class(at.panel, name))


@router.put("/{name}", summary="Write a document of options")
async def put_document(name: str, wish: DocumentBody, at: AdminRequest) -> dict[str, Any]:
    """Whole; a secret that comes back as its mask, or not at all, stays what it is. Other processes notice
    within a few seconds."""
    kind = _document_class(at.panel, name)
    before = await at.panel.options.read_masked(kind)
    async with at.panel.database.write() as connection:
        written = await at.panel.options.write_within(connection, kind, wish.value)
        await at.panel.audit.record(
            connection,
            at.actor.name,
            "settings.written",
            target=f"settings/{name}",
            before=before,
            after=masked_values(written),
        )
    return await _document_object(at.panel, kind)


@router.post("/delivery/test", summary="Try every stage of delivery")
async def test_delivery(at: AdminRequest) -> dict[str, Any]:
    """As it is written; resolvers are told that it is a test."""
    tried = await at.panel.chain.test_stages()
    return {"ok": all(each.ok for each in tried), "steps": [_step_object(each) for each in tried]}


@router.post("/notices/test", summary="Send every receiver of notices a sample")
async def test_notices(at: AdminRequest) -> dict[str, Any]:
    """As it is written, at once and outside the outbox."""
    sent = await at.panel.notices.send_samples()
    steps = [
        {
            "step": name,
            "ok": outcome.is_delivered,
            "message": outcome.error or f"It answered with HTTP {outcome.status}.",
            "milliseconds": round(outcome.milliseconds, 1),
        }
        for name, outcome in sent
    ]
    return {"ok": all(step["ok"] for step in steps), "steps": steps}


async def _check_health(panel: PanelServices) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, check in panel.facts.checks.items():
        try:
            await check()
        except FilmgateError as error:
            found[name] = error.code
        else:
            found[name] = "ok"
    return found


def _step_object(each: StageTest) -> dict[str, Any]:
    return {
        "step": f"{each.stage} {each.name}",
        "ok": each.ok,
        "message": each.error,
        "milliseconds": each.milliseconds,
    }


def _document_class(panel: PanelServices, name: str) -> type[OptionsDocument]:
    kind = panel.documents.get(name)
    if kind is None:
        raise NotFound(f"There are no such options: {name[:100]}")
    return kind


async def _document_object(panel: PanelServices, kind: type[OptionsDocument]) -> dict[str, Any]:
    query = sa.select(options.c.updated_at).where(options.c.name == kind.document)
    async with panel.database.read() as connection:
        updated_at = (await connection.execute(query)).scalar()
    return {
        "name": kind.document,
        "value": await panel.options.read_masked(kind),
        "updated_at": updated_at,
        "default": updated_at is None,
        "schema": kind.model_json_schema(),
    }
