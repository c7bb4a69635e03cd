"""Builds the body of ``/video/submit``: https://docs.siliconflow.cn/cn/api-reference/videos/videos_submit"""

from typing import Any

from app.generation import GenerationRequest
from app.providers.fact_checks import pick_size, settle_request
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    refuse_unsupported,
    without_none,
)
from app.providers.model_facts import ModelFacts, read_facts

RESERVED = {"model", "prompt", "image_size", "image", "n", "batch_size", "seconds", "duration", "size"}
"""Fields that ``extra`` must not set: they choose the model, the price or the inputs, or are no field here."""


def facts_of(model: str) -> ModelFacts | None:
    return read_facts("siliconflow").find_model(model.removeprefix("Pro/"))


def request_body(request: GenerationRequest) -> dict[str, Any]:
    """Raises ``UnsupportedWish`` for a value without a field there."""
    facts = facts_of(request.model)
    request = settle_request(request, facts)
    check_request(request, set(facts.inputs) if facts else {"first_frame"})
    refuse_unsupported(request, *_unknown_wishes(facts))
    first = at_most(request, "first_frame", 1)
    fields = {
        "model": request.model,
        "prompt": request.prompt or None,
        "image_size": _image_size(request, facts),
        "image": as_data_uri(first[0]) if first else None,
        "negative_prompt": request.negative_prompt,
        "seed": request.seed,
    }
    return extra_fields(request, RESERVED) | without_none(fields)


def _unknown_wishes(facts: ModelFacts | None) -> tuple[str, ...]:
    """A known model has one length, which the catalog compares; of another there is no saying what it would make."""
    return () if facts else ("seconds", "aspect_ratio", "resolution")


def _image_size(request: GenerationRequest, facts: ModelFacts | None) -> str | None:
    """Required by the vendor, so a client that names none gets the model's first."""
    if facts is None:
        return request.size
    return pick_size(request, facts) or facts.sizes[0]
