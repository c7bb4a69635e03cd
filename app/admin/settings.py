"""`/admin/api/settings`: what the environment says, how the parts are, and the documents that may be changed."""

from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter

from app.admin.access import At, OwnerRoute
from app.admin.panel import Panel
from app.admin.wishes import Wish
from app.db.operator_tables import options
from app.errors import FilmgateError, NotFound
from app.media.delivery.chain import Tried
from app.options.document import MASK, Document, masked

router = APIRouter(route_class=OwnerRoute, prefix="/settings")


class NewDocument(Wish):
    value: dict[str, Any]


@router.get("", summary="Settings and health")
async def get_settings(at: At) -> dict[str, Any]:
    """What comes from the environment is read-only here; of secrets only whether they are set."""
    facts = at.panel.facts
    return {
        "environment": facts.environment,
        "health": {**facts.health, "checks": await _checked(at.panel)},
        "documents": sorted(at.panel.documents),
        "mask": MASK,
    }


@router.get("/{name}", summary="A document of options")
async def get_document(name: str, at: At) -> dict[str, Any]:
    return await _shown(at.panel, _kind(at.panel, name))


@router.put("/{name}", summary="Write a document of options")
async def put_document(name: str, wish: NewDocument, at: At) -> dict[str, Any]:
    """Whole; a secret that comes back as its mask, or not at all, stays what it is. Other processes notice
    within a few seconds."""
    kind = _kind(at.panel, name)
    before = await at.panel.options.shown(kind)
    async with at.panel.database.write() as connection:
        written = await at.panel.options.write_within(connection, kind, wish.value)
        await at.panel.audit.record(
            connection,
            at.actor.name,
            "settings.written",
            target=f"settings/{name}",
            before=before,
            after=masked(written),
        )
    return await _shown(at.panel, kind)


@router.post("/delivery/test", summary="Try every stage of delivery")
async def test_delivery(at: At) -> dict[str, Any]:
    """As it is written; resolvers are told that it is a test."""
    tried = await at.panel.chain.test()
    return {"ok": all(each.ok for each in tried), "steps": [_step(each) for each in tried]}


@router.post("/notices/test", summary="Send every receiver of notices a sample")
async def test_notices(at: At) -> dict[str, Any]:
    """As it is written, at once and outside the outbox."""
    sent = await at.panel.notices.test()
    steps = [
        {
            "step": name,
            "ok": outcome.delivered,
            "message": outcome.error or f"It answered with HTTP {outcome.status}.",
            "milliseconds": round(outcome.milliseconds, 1),
        }
        for name, outcome in sent
    ]
    return {"ok": all(step["ok"] for step in steps), "steps": steps}


async def _checked(panel: Panel) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, check in panel.facts.checks.items():
        try:
            await check()
        except FilmgateError as error:
            found[name] = error.code
        else:
            found[name] = "ok"
    return found


def _step(each: Tried) -> dict[str, Any]:
    return {
        "step": f"{each.stage} {each.name}",
        "ok": each.ok,
        "message": each.error,
        "milliseconds": each.milliseconds,
    }


def _kind(panel: Panel, name: str) -> type[Document]:
    kind = panel.documents.get(name)
    if kind is None:
        raise NotFound(f"There are no such options: {name[:100]}")
    return kind


async def _shown(panel: Panel, kind: type[Document]) -> dict[str, Any]:
    query = sa.select(options.c.updated_at).where(options.c.name == kind.document)
    async with panel.database.read() as connection:
        updated_at = (await connection.execute(query)).scalar()
    return {
        "name": kind.document,
        "value": await panel.options.shown(kind),
        "updated_at": updated_at,
        "default": updated_at is None,
        "schema": kind.model_json_schema(),
    }
