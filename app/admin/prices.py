"""`/admin/api/prices`: what models cost."""

from decimal import Decimal
from typing import Any

from fastapi import APIRouter, Response

from app.admin.access import AdminRequest, OwnerRoute
from app.admin.bodies import PanelBody
from app.admin.paging import whole_list
from app.admin.panel import PanelServices
from app.catalog.price import read_price
from app.catalog.prices import PriceLine

router = APIRouter(route_class=OwnerRoute, prefix="/prices")


class PriceBody(PanelBody):
    document: dict[str, Any]


@router.get("", summary="Prices")
async def list_prices(at: AdminRequest) -> dict[str, Any]:
    """Also those that are there by default."""
    return whole_list([_price_object(line) for line in await at.panel.gateway.prices.list_lines()])


@router.put("/{model:path}", summary="Set a price")
async def set_price(model: str, wish: PriceBody, at: AdminRequest) -> dict[str, Any]:
    """In US dollars, in place of the one of the same name: `per_call`, `per_second` and `per_image` by size
    or resolution, `per_million_input`, `per_million_output`, `per_unit`. Holds for new tasks."""
    before = await _known_price(at.panel, model)
    await at.panel.gateway.prices.set_price(model, read_price(wish.document))
    after = await _known_price(at.panel, model)
    await at.record_change("price.set", f"prices/{model}", before=before, after=after)
    return after or {}


@router.delete("/{model:path}", status_code=204, summary="Remove a price")
async def remove_price(model: str, at: AdminRequest) -> Response:
    before = await _known_price(at.panel, model)
    await at.panel.gateway.prices.remove_price(model)
    await at.record_change("price.removed", f"prices/{model}", before=before)
    return Response(status_code=204)


async def _known_price(panel: PanelServices, model: str) -> dict[str, Any] | None:
    lines = await panel.gateway.prices.list_lines()
    return next((_price_object(line) for line in lines if line.model == model.strip()), None)


def _price_object(line: PriceLine) -> dict[str, Any]:
    return {
        "model": line.model,
        "document": plain_amounts(line.price.model_dump(exclude_defaults=True)),
        "source": line.source,
        "read_only": line.source == "file",
    }


def plain_amounts(value: Any) -> Any:
    """Amounts as plain digits."""
    if isinstance(value, dict):
        return {name: plain_amounts(held) for name, held in value.items()}
    return f"{value:f}" if isinstance(value, Decimal) else value
