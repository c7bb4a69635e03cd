"""OpenRouter's lists of models: `/api/v1/models`, in the form that its SDKs read."""

from decimal import Decimal
from typing import Any

from app.catalog.catalog import ModelCard
from app.catalog.price import MILLION, ModelPrice
from app.generation import Kind

OUTPUTS: dict[Kind, str] = {"text": "text", "video": "video", "image": "image", "audio": "audio"}
PARAMETERS = ["max_tokens", "temperature", "top_p", "stop", "seed", "tools", "tool_choice", "response_format"]


def models_document(models: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole list on one page."""
    return {"data": models, "total_count": len(models), "links": {"next": None}}


def listed_model(card: ModelCard, price: ModelPrice | None) -> dict[str, Any]:
    """What nobody here knows of a model is null, or what a gateway can say of any."""
    roles = card.capabilities.roles if card.capabilities else frozenset()
    pictures = ["image"] if any("video" not in role and role != "audio" for role in roles) else []
    output = OUTPUTS.get(card.kind, "text")
    inputs = ["text", *pictures]
    return {
        "id": card.name,
        "canonical_slug": card.name,
        "name": card.name,
        "created": card.created,
        "description": "",
        "context_length": None,
        "architecture": {
            "modality": f"{'+'.join(inputs)}->{output}",
            "input_modalities": inputs,
            "output_modalities": [output],
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": _pricing(price),
        "top_provider": {"is_moderated": False, "context_length": None, "max_completion_tokens": None},
        "per_request_limits": None,
        "supported_parameters": PARAMETERS if card.kind == "text" else [],
        "supported_voices": None,
        "default_parameters": None,
        "links": {"details": f"/api/v1/models/{card.name}/endpoints"},
    }


def _pricing(price: ModelPrice | None) -> dict[str, str]:
    """US dollars per token and per request, as texts."""
    per_token = {
        "prompt": price.per_million_input / MILLION if price else Decimal(0),
        "completion": price.per_million_output / MILLION if price else Decimal(0),
        "request": price.per_call if price else Decimal(0),
    }
    return {name: f"{rate.normalize():f}" for name, rate in per_token.items()}
