"""Builds PixVerse's requests: the path and its JSON body, to which the uploaded pictures are added."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.errors import UnsupportedWish
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.fact_checks import settle_request
from app.providers.inputs import (
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

TEXT, IMAGE = "/openapi/v2/video/text/generate", "/openapi/v2/video/img/generate"
TRANSITION, FUSION = "/openapi/v2/video/transition/generate", "/openapi/v2/video/fusion/generate"
QUALITIES: Mapping[str, int] = {"360p": 360, "540p": 540, "720p": 720, "1080p": 1080}
RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16", "2:3", "3:2", "21:9")
ROLES: frozenset[Role] = frozenset({"first_frame", "last_frame", "reference_image"})
RESERVED = {
    "model", "prompt", "duration", "quality", "img_id", "img_ids", "first_frame_img", "last_frame_img",
    "image_references", "template_id", "webhook_id",
}  # fmt: skip
"""Fields that ``extra`` must not set: they choose the model, the price or the inputs."""
# PixVerse has no defaults for these fields.
DEFAULTS = {"duration": 5, "quality": "720p"}


def model_of(name: str) -> ModelFacts | None:
    """None for a model that we don't know: PixVerse decides."""
    return read_facts("pixverse").find_model(name)


def submit_path(request: GenerationRequest) -> str:
    if request.media_with("reference_image"):
        return FUSION
    if request.media_with("last_frame"):
        return TRANSITION
    return IMAGE if request.media else TEXT


def request_body(request: GenerationRequest) -> dict[str, Any]:
    """The body for ``submit_path(request)`` without its pictures. Raises ``UnsupportedWish``."""
    known, path = model_of(request.model), submit_path(request)
    request = settle_request(request, known)
    check_request(request, known.inputs if known else ROLES)
    refuse_fields(request, "characters")
    fields = {
        "model": request.model,
        "prompt": _prompt_of(request),
        "negative_prompt": request.negative_prompt,
        "duration": whole_seconds(request),
        "quality": _quality_of(request, known),
        "aspect_ratio": _ratio_of(request, known, path),
        "seed": request.seed,
        "water_mark": request.watermark,
    }
    extra = extra_fields(request, RESERVED, sound="generate_audio_switch")
    return extra | DEFAULTS | without_none(fields)


def picture_inputs(request: GenerationRequest) -> tuple[MediaInput, ...]:
    """The pictures to upload, in the order of ``picture_fields``."""
    known = model_of(request.model)
    first, last = at_most(request, "first_frame", 1), at_most(request, "last_frame", 1)
    references = request.media_with("reference_image")
    if known is not None:
        at_most(request, "reference_image", known.inputs.get("reference_image", 0))
    if last and not first:
        raise UnsupportedWish("a last frame needs a first frame", param="last_frame")
    if first and references:
        raise UnsupportedWish("frames and reference images can't go together", param="reference_image")
    return (*first, *last, *references)


def picture_fields(path: str, uploaded: Sequence[int | str]) -> dict[str, Any]:
    """``uploaded``: what PixVerse calls each picture."""
    if path == FUSION:
        parts = [
            {"type": "subject", "img_id": name, "ref_name": _reference_name(number)}
            for number, name in enumerate(uploaded, 1)
        ]
        return {"image_references": parts}
    names = ("img_id",) if path == IMAGE else ("first_frame_img", "last_frame_img")
    return dict(zip(names, uploaded, strict=False))


def _reference_name(number: int) -> str:
    return f"image{number}"


def _prompt_of(request: GenerationRequest) -> str:
    """PixVerse puts a reference where the prompt names it, as ``@image1``; one that is not named is named at the end."""
    names = [f"@{_reference_name(n)}" for n, _ in enumerate(request.media_with("reference_image"), 1)]
    words = request.prompt.split()
    unnamed = [name for name in names if name not in words]
    return " ".join([request.prompt, *unnamed]) + " " if unnamed else request.prompt


def _quality_of(request: GenerationRequest, known: ModelFacts | None) -> str | None:
    if known is None and request.resolution:
        return request.resolution
    quality = nearest_tier(request, known.tiers if known else QUALITIES)
    longest = known.traits.get("longest_1080p") if known else None
    if longest and quality == "1080p" and (request.seconds or 0) > longest:
        text = f"{request.model} makes at most {longest} seconds in 1080p"
        raise UnsupportedWish(text, param="seconds")
    return quality


def _ratio_of(request: GenerationRequest, known: ModelFacts | None, path: str) -> str | None:
    if path in {IMAGE, TRANSITION}:
        refuse_fields(request, "aspect_ratio")  # the first frame determines the shape
        return None
    return told_ratio(request, known.ratios if known else (), usual=RATIOS) or "16:9"
