"""`/admin/api/prices`: what models cost."""

from decimal import Decimal
from typing import Any

from fastapi import APIRouter, Response

from app.admin.access import At, OwnerRoute
from app.admin.paging import whole
from app.admin.panel import Panel
from app.admin.wishes import Wish
from app.catalog.price import read_price
from app.catalog.prices import PriceLine

router = APIRouter(route_class=OwnerRoute, prefix="/prices")


class PriceWish(Wish):
    document: dict[str, Any]


@router.get("", summary="Prices")
async def list_prices(at: At) -> dict[str, Any]:
    """Also those that are there by default."""
    return whole([_shown(line) for line in await at.panel.gateway.prices.lines()])


@router.put("/{model:path}", summary="Set a price")
async def set_price(model: str, wish: PriceWish, at: At) -> dict[str, Any]:
    """In US dollars, in place of the one of the same name: `per_call`, `per_second` and `per_image` by size
    or resolution, `per_million_input`, `per_million_output`, `per_unit`. Holds for new tasks."""
    before = await _known(at.panel, model)
    await at.panel.gateway.prices.set(model, read_price(wish.document))
    after = await _known(at.panel, model)
    await at.note("price.set", f"prices/{model}", before=before, after=after)
    return after or {}


@router.delete("/{model:path}", status_code=204, summary="Remove a price")
async def remove_price(model: str, at: At) -> Response:
    before = await _known(at.panel, model)
    await at.panel.gateway.prices.remove(model)
    await at.note("price.removed", f"prices/{model}", before=before)
    return Response(status_code=204)


async def _known(panel: Panel, model: str) -> dict[str, Any] | None:
    lines = await panel.gateway.prices.lines()
    return next((_shown(line) for line in lines if line.model == model.strip()), None)


def _shown(line: PriceLine) -> dict[str, Any]:
    return {
        "model": line.model,
        "document": document_of(line.price.model_dump(exclude_defaults=True)),
        "source": line.source,
        "read_only": line.source == "file",
    }


def document_of(value: Any) -> Any:
    """Amounts as plain digits."""
    if isinstance(value, dict):
        return {name: document_of(held) for name, held in value.items()}
    return f"{value:f}" if isinstance(value, Decimal) else value
