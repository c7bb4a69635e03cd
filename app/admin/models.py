"""`/admin/api/models`, `/routes` and `/explain`: what a public name means, who serves it, and why."""

from dataclasses import asdict
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Query, Response

from app.admin.access import AdminRequest, OwnerRoute
from app.admin.bodies import Name, Note, PanelBody
from app.admin.paging import whole_list
from app.admin.panel import PanelServices
from app.admin.prices import plain_amounts
from app.catalog.catalog import ModelCard
from app.catalog.explanation import chosen_text, explain_accounts
from app.catalog.presets import PRESETS
from app.catalog.route_documents import CandidateDocument, read_route
from app.catalog.route_repository import StoredRoute
from app.errors import InvalidRequest, NotFound
from app.generation import Kind
from app.providers.base import Capabilities

router = APIRouter(route_class=OwnerRoute)


class RouteBody(PanelBody):
    """A route is written whole: what is not sent takes its default."""

    alias_of: Name | None = None
    candidates: tuple[CandidateDocument, ...] = ()
    enabled: bool = True
    note: Note = ""


@router.get("/models", summary="Models with their capabilities")
async def list_models(at: AdminRequest) -> dict[str, Any]:
    """Every name that somebody serves now."""
    cards = await at.panel.gateway.catalog.list_models()
    return whole_list([await model_object(at.panel, card) for card in cards])


@router.get("/routes", summary="Routes")
async def list_routes(at: AdminRequest) -> dict[str, Any]:
    return whole_list([_route_object(route) for route in await at.panel.gateway.catalog.routes.list()])


@router.get("/routes/{model:path}", summary="A route")
async def get_route(model: str, at: AdminRequest) -> dict[str, Any]:
    return _route_object(await at.panel.gateway.catalog.routes.get(model))


@router.put("/routes/{model:path}", summary="Write a route")
async def put_route(model: str, wish: RouteBody, at: AdminRequest) -> dict[str, Any]:
    """In place of the one of the same name. `model` is a public name, or a family like `veo*`."""
    routes = at.panel.gateway.catalog.routes
    given = {name: value for name, value in wish.model_dump(mode="json").items() if value is not None}
    document = read_route(given | {"model": model})
    before = await _known_route(at.panel, model)
    written = await routes.put(document)
    await at.record_change("route.written", f"routes/{model}", before=before, after=_route_object(written))
    return _route_object(written)


@router.delete("/routes/{model:path}", status_code=204, summary="Remove a route")
async def remove_route(model: str, at: AdminRequest) -> Response:
    before = await _known_route(at.panel, model)
    await at.panel.gateway.catalog.routes.delete(model)
    await at.record_change("route.removed", f"routes/{model}", before=before)
    return Response(status_code=204)


@router.get("/explain", summary="Why each account would, or would not, be chosen")
async def explain_model(
    at: AdminRequest,
    *,
    model: Annotated[str, Query(min_length=1, max_length=200)],
    kind: Annotated[str | None, Query(max_length=20)] = None,
) -> dict[str, Any]:
    """Nothing is reserved or sent."""
    catalog = at.panel.gateway.catalog
    await catalog.current_statuses()
    wanted = _read_kind(kind) if kind else catalog.kind_of(model)
    reasons = await explain_accounts(catalog, wanted, model)
    verdict = chosen_text(reasons)
    if verdict is None:
        verdict = catalog.unavailable_error(wanted, model).message if reasons else "There is no account."
    resolution = catalog.resolve_name(model)
    return whole_list([asdict(each) | {"chosen": each.verdict == "chosen"} for each in reasons]) | {
        "model": model,
        "kind": wanted,
        "route": resolution.route.model if resolution.route else None,
        "path": list(resolution.path),
        "verdict": verdict,
    }


async def model_object(panel: PanelServices, card: ModelCard) -> dict[str, Any]:
    catalog = panel.gateway.catalog
    resolution = catalog.resolve_name(card.name)
    path = list(resolution.path)
    return {
        "name": card.name,
        "kind": card.kind,
        "preset": card.name in PRESETS,
        "alias_of": path[-1] if path[-1] != card.name else None,
        "route": resolution.route.model if resolution.route else None,
        "capabilities": _capabilities_object(card.capabilities),
        "price": await price_of(panel, card.name),
        "candidates": len(catalog.candidates(card.kind, card.name)),
        "usable": len(catalog.able_candidates(card.kind, card.name)),
    }


async def price_of(panel: PanelServices, model: str) -> Any:
    """The price of a name, as it would be written; None when it costs nothing."""
    price = await panel.gateway.prices.current_price(model)
    return plain_amounts(price.model_dump(exclude_defaults=True)) if price is not None else None


def _capabilities_object(found: Capabilities | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "seconds": {"min": found.seconds[0], "max": found.seconds[1]} if found.seconds else None,
        "sizes": sorted(found.sizes),
        "max_pixels": found.max_pixels,
        "inputs": sorted(found.roles),
        "native_shots": found.native_shots,
        "remix": found.remix,
        "cancel": found.cancel,
    }


def _read_kind(word: str) -> Kind:
    for kind in get_args(Kind):
        if kind == word:
            return kind  # type: ignore[no-any-return]
    raise InvalidRequest(f"kind must be one of {', '.join(get_args(Kind))}", param="kind")


async def _known_route(panel: PanelServices, model: str) -> dict[str, Any] | None:
    try:
        return _route_object(await panel.gateway.catalog.routes.get(model))
    except NotFound:
        return None


def _route_object(route: StoredRoute) -> dict[str, Any]:
    document = route.document.model_dump(mode="json", exclude={"candidates"})
    return document | {
        "candidates": [
            each.model_dump(mode="json", exclude_defaults=True) for each in route.document.candidates
        ],
        "source": route.source,
        "read_only": route.source == "file",
        "updated_at": route.updated_at,
    }
