"""Builds Vidu requests: the path and its JSON body."""

from collections.abc import Mapping
from typing import Any

from app.errors import UnsupportedWish
from app.generation import GenerationRequest, Role
from app.providers.fact_checks import settle_request
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    nearest_tier,
    refuse_fields,
    told_ratio,
    whole_seconds,
    without_none,
)
from app.providers.model_facts import ModelFacts, read_facts

TEXT = "/ent/v2/text2video"
IMAGE = "/ent/v2/img2video"
FRAMES = "/ent/v2/start-end2video"
REFERENCES = "/ent/v2/reference2video"

RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4")
TIERS: Mapping[str, int] = {"360p": 360, "540p": 540, "720p": 720, "1080p": 1080, "2K": 1440, "4K": 2160}
ROLES: frozenset[Role] = frozenset({"first_frame", "last_frame", "reference_image"})
RESERVED = {"model", "prompt", "images", "duration", "resolution", "payload", "callback_url", "off_peak"}
"""Fields that ``extra`` must not set: they choose the model, the price, the inputs or our idempotency key."""


def model_of(name: str) -> ModelFacts | None:
    """None for a model that we don't know: Vidu decides."""
    return read_facts("vidu").find_model(name)


def submit_path(request: GenerationRequest) -> str:
    if request.media_with("reference_image"):
        return REFERENCES
    if request.media_with("last_frame"):
        return FRAMES
    return IMAGE if request.media else TEXT


def request_body(request: GenerationRequest, *, payload: str) -> dict[str, Any]:
    """The body for ``submit_path(request)``. Raises ``UnsupportedWish`` for a value without a field there."""
    known, path = model_of(request.model), submit_path(request)
    request = settle_request(request, known)
    check_request(request, ROLES)
    refuse_fields(request, "characters", "negative_prompt")
    fields: dict[str, Any] = {
        "model": request.model,
        "prompt": request.prompt or None,
        "images": _image_inputs(request, known, path) or None,
        "duration": whole_seconds(request),
        "seed": request.seed,
        "resolution": _resolution_of(request, known),
        "aspect_ratio": _ratio_of(request, known, path),
        "watermark": request.watermark,
        "payload": payload,
    }
    return extra_fields(request, RESERVED, sound="audio") | without_none(fields)


def _resolution_of(request: GenerationRequest, known: ModelFacts | None) -> str | None:
    if known is None and request.resolution:
        return request.resolution
    tier = nearest_tier(request, known.tiers if known else TIERS)
    long = known.traits.get("long") if known else None
    if long and tier and (request.seconds or 0) > long["over"] and tier not in long["tiers"]:
        text = f"{request.model} makes more than {long['over']} seconds only in {', '.join(long['tiers'])}"
        raise UnsupportedWish(text, param="seconds")
    return tier


def _ratio_of(request: GenerationRequest, known: ModelFacts | None, path: str) -> str | None:
    if path in {IMAGE, FRAMES}:
        refuse_fields(request, "aspect_ratio")  # the first frame determines the shape
        return None
    return told_ratio(request, known.ratios if known else (), usual=RATIOS)


def _image_inputs(request: GenerationRequest, known: ModelFacts | None, path: str) -> list[str]:
    first, last = at_most(request, "first_frame", 1), at_most(request, "last_frame", 1)
    references = request.media_with("reference_image")
    if known is not None:
        at_most(request, "reference_image", known.inputs["reference_image"])
    if path == REFERENCES and (first or last):
        raise UnsupportedWish("frames and reference images can't go together", param="reference_image")
    if last and not first:
        raise UnsupportedWish("a last frame needs a first frame", param="last_frame")
    return [as_data_uri(item) for item in (*first, *last, *references)]
