"""Builds the body of ``/videos/generations``: https://docs.z.ai/api-reference/video/generate-video"""

from typing import Any

from app.errors import UnsupportedWish
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.fact_checks import pick_size, settle_request
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    nearest_ratio,
    refuse_fields,
    whole_seconds,
    without_none,
)
from app.providers.model_facts import ModelFacts, read_facts

ROLES: frozenset[Role] = frozenset({"first_frame", "last_frame", "reference_image"})
RESERVED = {
    "model", "prompt", "image_url", "size", "duration", "request_id", "user_id", "sensitive_word_check", "n",
}  # fmt: skip
"""Fields that ``extra`` must not set: they choose the model, the price or the inputs, are our own id of the request, or
turn the vendor's filter off."""


def facts_of(model: str) -> ModelFacts | None:
    return read_facts("zhipu").find_model(model)


def request_body(request: GenerationRequest, *, request_id: str) -> dict[str, Any]:
    """Raises ``UnsupportedWish`` for a value without a field there."""
    facts = facts_of(request.model)
    request = settle_request(request, facts)
    check_request(request, set(facts.inputs) if facts else ROLES)
    refuse_fields(request, "characters", "seed", "negative_prompt")
    fields = {
        "model": request.model,
        "prompt": request.prompt or None,
        "image_url": _image_inputs(request),
        "duration": _duration(request, facts),
        "style": request.style,
        "watermark_enabled": request.watermark,
        "request_id": request_id,
        **_shape_fields(request, facts),
    }
    return extra_fields(request, RESERVED, sound="with_audio") | without_none(fields)


def _duration(request: GenerationRequest, facts: ModelFacts | None) -> int | None:
    """Not told to a model that has no field for its only length."""
    seconds = whole_seconds(request)
    return None if facts and "seconds" in facts.traits.get("untold", ()) else seconds


def _shape_fields(request: GenerationRequest, facts: ModelFacts | None) -> dict[str, str | None]:
    """Vidu's models have a field for the ratio, CogVideoX only sizes. Of a model that is not known, neither is judged."""
    if facts is None:
        refuse_fields(request, "resolution")
        return {"size": request.size, "aspect_ratio": request.aspect_ratio}
    ratio = nearest_ratio(request, facts.ratios) if facts.ratios and request.aspect_ratio else None
    return {"size": pick_size(request, facts), "aspect_ratio": ratio}


def _image_inputs(request: GenerationRequest) -> str | list[str] | None:
    """One field for all: one picture is the first frame, a list is first and last frame, or the references."""
    first, last = at_most(request, "first_frame", 1), at_most(request, "last_frame", 1)
    references = request.media_with("reference_image")
    if references and (first or last):
        raise UnsupportedWish("frames and reference images can't go together", param="reference_image")
    if last and not first:
        raise UnsupportedWish("a last frame needs a first frame", param="last_frame")
    if references or last:
        return [_picture(item) for item in (*first, *last, *references)]
    return _picture(first[0]) if first else None


def _picture(item: MediaInput) -> str:
    """At most 5 MB, as an address or a data URI."""
    return item.url or as_data_uri(item)
