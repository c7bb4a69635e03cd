"""`/v1/models`: every name this gateway serves now, with what it can do."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from app.catalog.catalog import ModelCard
from app.dialects.http.gateway import CallerKey, Services
from app.dialects.openapi.document import operation_schema
from app.errors import ModelNotFound

router = APIRouter(prefix="/v1/models", tags=["Models"])


@router.get("", summary="List models", openapi_extra=operation_schema(answer="ModelList"))
async def list_models(key: CallerKey, services: Services) -> Response:
    cards = await services.catalog.list_models()
    data = [_model_object(card) for card in cards if key.may_use(card.name)]
    return JSONResponse({"object": "list", "data": data, "success": True})


@router.get("/{name:path}", summary="Get a model", openapi_extra=operation_schema(answer="Model"))
async def get_model(name: str, key: CallerKey, services: Services) -> Response:
    for card in await services.catalog.list_models():
        if card.name == name and key.may_use(name):
            price = await services.prices.current_price(name)
            told = price.model_dump(mode="json", exclude_defaults=True) if price is not None else None
            capabilities = _capabilities_object(card)
            if capabilities is not None:
                capabilities["price"] = told
            return JSONResponse(_model_object(card) | {"capabilities": capabilities})
    raise ModelNotFound(f"The model {name[:200]} does not exist here.", param="model")


def _model_object(card: ModelCard) -> dict[str, Any]:
    permission = {
        "id": f"modelperm-{card.name}",
        "object": "model_permission",
        "created": card.created,
        "allow_create_engine": True,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": False,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }
    return {
        "id": card.name,
        "object": "model",
        "created": card.created,
        "owned_by": "filmgate",
        "permission": [permission],
        "root": card.name,
        "parent": None,
    }


def _capabilities_object(card: ModelCard) -> dict[str, Any] | None:
    found = card.capabilities
    if found is None:
        return None
    return {
        "kind": card.kind,
        "seconds": {"min": found.seconds[0], "max": found.seconds[1]} if found.seconds else None,
        "sizes": sorted(found.sizes),
        "max_pixels": found.max_pixels,
        "inputs": sorted(found.roles),
        "native_shots": found.native_shots,
        "remix": found.remix,
        "cancel": found.cancel,
    }
