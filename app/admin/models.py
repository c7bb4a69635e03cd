"""`/admin/api/models`, `/routes`, `/prices` and `/explain`: public names, who serves them, why, and what they cost."""

from dataclasses import asdict
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from app.admin.access import AdminRequest, AdminRoute
from app.admin.bodies import ListAnswer, Name, Note, PanelAnswer, PanelBody
from app.admin.panel import PanelServices
from app.catalog.catalog import Catalog, ModelCard
from app.catalog.explanation import AccountExplanation, chosen_text, explain_accounts, read_kind
from app.catalog.presets import PRESETS
from app.catalog.price import read_price
from app.catalog.price_units import require_counted_parts, uncounted_parts
from app.catalog.prices import PriceLine
from app.catalog.retirements import NamedModel, find_retirements
from app.catalog.route_documents import CandidateDocument, RetryRule, read_route
from app.catalog.route_repository import StoredRoute
from app.errors import NotFound
from app.providers.base import Capabilities

router = APIRouter(route_class=AdminRoute)


class RouteBody(PanelBody):
    """A route is replaced as a whole: a field that is not sent takes its default."""

    alias_of: Name | None = None
    candidates: tuple[CandidateDocument, ...] = ()
    retry: RetryRule | None = None
    enabled: bool = True
    note: Note = ""


class PriceBody(PanelBody):
    document: dict[str, Any]


class SecondsRange(PanelAnswer):
    min: float
    max: float


class CapabilitiesObject(PanelAnswer):
    """What a model accepts; ``inputs`` are the roles of its inputs. Empty or None: the upstream decides."""

    seconds: SecondsRange | None
    sizes: list[str]
    max_pixels: int | None
    inputs: list[str]
    native_shots: bool
    remix: bool
    cancel: bool


class ModelObject(PanelAnswer):
    """A public name. ``candidates`` counts the accounts that serve it, ``usable`` those that can take work now."""

    name: str
    kind: str
    preset: bool
    alias_of: str | None
    route: str | None
    capabilities: CapabilitiesObject | None
    price: dict[str, Any] | None
    candidates: int
    usable: int
    retires: str | None
    """The vendor's last day for it, where that is near or over, as ``2026-12-03``."""
    successor: str | None


class RouteObject(PanelAnswer):
    """A route as it is written; each candidate without the fields that have their default."""

    model: str
    alias_of: str | None
    enabled: bool
    note: str
    candidates: list[dict[str, Any]]
    retry: RetryRule | None
    source: str
    read_only: bool
    updated_at: float


class ReasonObject(PanelAnswer):
    """Why one account would be chosen or not. ``rank`` counts from 1 over the accounts that are usable now;
    ``figure`` is the account's own of what the step of the route prefers: US dollars a second (``cheapest``), seconds
    (``fastest``), a share (``most_reliable``)."""

    account_id: str
    account: str
    provider: str
    verdict: str
    text: str
    rank: int | None
    order: int | None
    tier: int
    weight: float
    upstream_model: str | None
    until: float | None
    taken: int
    slots: int | None
    prefer: str | None
    figure: float | None
    chosen: bool


class ExplainAnswer(ListAnswer[ReasonObject]):
    """``path`` are the names that ``model`` resolves to, one after the other; ``verdict`` is a sentence."""

    model: str
    kind: str
    route: str | None
    path: list[str]
    verdict: str


class PriceObject(PanelAnswer):
    """The price of a name or family, amounts in US dollars as decimal text."""

    model: str
    document: dict[str, Any]
    source: str
    read_only: bool
    uncounted: list[str]
    """Parts that never count for what the model makes."""


@router.get("/models", summary="List models with their capabilities")
async def list_models(request: AdminRequest) -> ListAnswer[ModelObject]:
    """Every name that an account serves now."""
    cards = await request.panel.gateway.catalog.list_models()
    return ListAnswer(data=[await model_object(request.panel, card) for card in cards])


@router.get("/routes", summary="List routes")
async def list_routes(request: AdminRequest) -> ListAnswer[RouteObject]:
    routes = await request.panel.gateway.catalog.routes.list()
    return ListAnswer(data=[_route_object(route) for route in routes])


@router.get("/routes/{model:path}", summary="Show a route")
async def get_route(model: str, request: AdminRequest) -> RouteObject:
    return _route_object(await request.panel.gateway.catalog.routes.get(model))


@router.put("/routes/{model:path}", summary="Write a route")
async def put_route(model: str, body: RouteBody, request: AdminRequest) -> RouteObject:
    """Replaces the route of this name. `model` is a public name, or a family such as `veo*`."""
    routes = request.panel.gateway.catalog.routes
    given = {name: value for name, value in body.model_dump(mode="json").items() if value is not None}
    document = read_route(given | {"model": model})
    before = await _known_route(request.panel, model)
    written = _route_object(await routes.put(document))
    await request.record_change("route.written", f"routes/{model}", before=before, after=written.model_dump())
    return written


@router.delete("/routes/{model:path}", status_code=204, summary="Remove a route")
async def remove_route(model: str, request: AdminRequest) -> Response:
    before = await _known_route(request.panel, model)
    await request.panel.gateway.catalog.routes.delete(model)
    await request.record_change("route.removed", f"routes/{model}", before=before)
    return Response(status_code=204)


@router.get("/explain", summary="Explain which account a model would use, and why")
async def explain_model(
    request: AdminRequest,
    *,
    model: Annotated[str, Query(min_length=1, max_length=200)],
    kind: Annotated[str | None, Query(max_length=20)] = None,
) -> ExplainAnswer:
    """Reserves nothing and sends nothing."""
    catalog = request.panel.gateway.catalog
    await catalog.current_statuses()
    wanted = read_kind(kind) if kind else catalog.kind_of(model)
    reasons = await explain_accounts(catalog, wanted, model)
    verdict = chosen_text(reasons)
    if verdict is None:
        verdict = catalog.unavailable_error(wanted, model).message if reasons else "There is no account."
    resolution = catalog.resolve_name(model)
    return ExplainAnswer(
        data=[_reason_object(reason) for reason in reasons],
        model=model,
        kind=wanted,
        route=resolution.route.model if resolution.route else None,
        path=list(resolution.path),
        verdict=verdict,
    )


@router.get("/prices", summary="List prices")
async def list_prices(request: AdminRequest) -> ListAnswer[PriceObject]:
    """The built-in prices too."""
    lines = await request.panel.gateway.prices.list_lines()
    catalog = request.panel.gateway.catalog
    await catalog.current_statuses()
    return ListAnswer(data=[_price_object(line, catalog) for line in lines])


@router.put("/prices/{model:path}", summary="Set a price")
async def set_price(model: str, body: PriceBody, request: AdminRequest) -> PriceObject:
    """Replaces the price of this name, in US dollars, for new tasks: `per_call`, `per_second` and `per_image` by
    size or resolution, `per_million_input`, `per_million_output`, `per_unit`."""
    before = await _known_price(request.panel, model)
    price = read_price(body.document)
    await require_counted_parts(request.panel.gateway.catalog, model.strip(), price)
    await request.panel.gateway.prices.set_price(model, price)
    after = await _known_price(request.panel, model)
    await request.record_change(
        "price.set",
        f"prices/{model}",
        before=before and before.model_dump(),
        after=after and after.model_dump(),
    )
    if after is None:
        raise NotFound(f"The price of {model[:100]} has just been removed.")
    return after


@router.delete("/prices/{model:path}", status_code=204, summary="Remove a price")
async def remove_price(model: str, request: AdminRequest) -> Response:
    before = await _known_price(request.panel, model)
    await request.panel.gateway.prices.remove_price(model)
    await request.record_change("price.removed", f"prices/{model}", before=before and before.model_dump())
    return Response(status_code=204)


async def model_object(panel: PanelServices, card: ModelCard) -> ModelObject:
    catalog = panel.gateway.catalog
    resolution = catalog.resolve_name(card.name)
    path = list(resolution.path)
    candidates = catalog.candidates(card.kind, card.name)
    served = [each for each in candidates if each.status.enabled]
    named = [NamedModel(card.name, each.account, each.retiring or each.model) for each in served]
    retirement = next(iter(find_retirements(named)), None)
    return ModelObject(
        name=card.name,
        kind=card.kind,
        preset=card.name in PRESETS,
        alias_of=path[-1] if path[-1] != card.name else None,
        route=resolution.route.model if resolution.route else None,
        capabilities=_capabilities_object(card.capabilities),
        price=await _price_document(panel, card.name),
        retires=retirement.day.isoformat() if retirement else None,
        successor=(retirement.successor or None) if retirement else None,
        candidates=len(candidates),
        usable=len(catalog.able_candidates(card.kind, card.name)),
    )


async def _price_document(panel: PanelServices, model: str) -> Any:
    """The price of a name as the operator would write it; None when it costs nothing."""
    price = await panel.gateway.prices.current_price(model)
    return plain_amounts(price.model_dump(exclude_defaults=True)) if price is not None else None


def _capabilities_object(capabilities: Capabilities | None) -> CapabilitiesObject | None:
    if capabilities is None:
        return None
    seconds = capabilities.seconds
    return CapabilitiesObject(
        seconds=SecondsRange(min=seconds[0], max=seconds[1]) if seconds else None,
        sizes=sorted(capabilities.sizes),
        max_pixels=capabilities.max_pixels,
        inputs=sorted(capabilities.roles),
        native_shots=capabilities.native_shots,
        remix=capabilities.remix,
        cancel=capabilities.cancel,
    )


async def _known_route(panel: PanelServices, model: str) -> dict[str, Any] | None:
    """The route as it is now, for the audit log; None where there is none."""
    try:
        return _route_object(await panel.gateway.catalog.routes.get(model)).model_dump()
    except NotFound:
        return None


def _route_object(route: StoredRoute) -> RouteObject:
    candidates = [each.model_dump(mode="json", exclude_defaults=True) for each in route.document.candidates]
    return RouteObject(
        **route.document.model_dump(mode="json", exclude={"candidates"}),
        candidates=candidates,
        source=route.source,
        read_only=route.source == "file",
        updated_at=route.updated_at,
    )


def _reason_object(reason: AccountExplanation) -> ReasonObject:
    return ReasonObject(**asdict(reason), chosen=reason.verdict == "chosen")


async def _known_price(panel: PanelServices, model: str) -> PriceObject | None:
    lines = await panel.gateway.prices.list_lines()
    catalog = panel.gateway.catalog
    return next((_price_object(line, catalog) for line in lines if line.model == model.strip()), None)


def _price_object(line: PriceLine, catalog: Catalog) -> PriceObject:
    return PriceObject(
        model=line.model,
        document=plain_amounts(line.price.model_dump(exclude_defaults=True)),
        source=line.source,
        read_only=line.source == "file",
        uncounted=uncounted_parts(catalog, line.model, line.price),
    )


def plain_amounts(value: Any) -> Any:
    """A document with its amounts as decimal digits, never as 1E+2."""
    if isinstance(value, dict):
        return {name: plain_amounts(held) for name, held in value.items()}
    return f"{value:f}" if isinstance(value, Decimal) else value
