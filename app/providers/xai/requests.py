"""Builds xAI requests: the path and its JSON body."""

from collections.abc import Mapping
from typing import Any

from app.errors import UnsupportedWish
from app.generation import Action, GenerationRequest, MediaInput, Role
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    refuse_fields,
    refuse_unsupported,
    told_ratio,
    told_tier,
    whole_seconds,
    without_none,
)
from app.providers.model_facts import ModelFacts, read_facts

USUAL_RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3")
USUAL_TIERS: Mapping[str, int] = {"480p": 480, "720p": 720, "1080p": 1080}
USUAL_IMAGE_TIERS: Mapping[str, int] = {"1k": 1024, "2k": 2048}
ACTIONS: frozenset[Action] = frozenset({"generate", "edit", "extend"})
MAX_IMAGES = 5
MAX_EXTENSION_SECONDS = 10
MAX_REFERENCE_LINES = 720
"""With references xAI makes at most 720p: https://docs.x.ai/docs/guides/video-generations"""
RESERVED = {
    "model", "prompt", "duration", "resolution", "aspect_ratio", "n", "image", "images", "video", "last_frame",
    "reference_images", "reference_audios", "response_format", "storage_options", "api_key", "key",
}  # fmt: skip
MANY = 99
SINGLE: Mapping[Role, int] = {"first_frame": 1, "last_frame": 1, "source_video": 1}
NEW_VIDEO_MODEL = ModelFacts(starts=("",), inputs={"reference_image": MANY, "audio": MANY, **SINGLE})
"""A model that came after the file of facts: every field that xAI's API has, without bounds."""
NEW_IMAGE_MODEL = ModelFacts(
    starts=("",), kind="image", inputs={"first_frame": MANY, "reference_image": MANY}
)


def model_of(name: str) -> ModelFacts | None:
    """None for a text model."""
    known = read_facts("xai").find_model(name)
    if known is not None:
        return known
    if "video" in name:
        return NEW_VIDEO_MODEL
    return NEW_IMAGE_MODEL if "image" in name else None


def video_path_and_body(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    """Path and JSON body. Raises ``UnsupportedWish`` for a value that has no field there."""
    model = model_of(request.model) or NEW_VIDEO_MODEL
    check_request(request, model.inputs if model.kind == "video" else (), kinds={model.kind}, actions=ACTIONS)
    refuse_unsupported(request, "seed", "negative_prompt", "shots")
    if request.action != "generate":
        return _change_path_and_body(request)
    if request.media_with("source_video"):
        raise UnsupportedWish("a video can be edited or extended, not generated from", param="video")
    for role, most in model.inputs.items():
        at_most(request, role, most)
    resolution = told_tier(request, model.tiers, usual=USUAL_TIERS)
    _check_references(request, resolution)
    fields = _input_fields(request) | {
        "duration": whole_seconds(request),
        "aspect_ratio": told_ratio(request, model.ratios, usual=USUAL_RATIOS),
        "resolution": resolution,
    }
    return "/videos/generations", _with_extra_fields(request, fields, sound="generate_audio")


def image_path_and_body(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    """Path and JSON body. Raises ``UnsupportedWish`` for a value that has no field there."""
    model = model_of(request.model) or NEW_IMAGE_MODEL
    check_request(request, model.inputs, kinds={model.kind})
    refuse_unsupported(request, "seed", "negative_prompt", "shots", "seconds")
    if len(request.media) > MAX_IMAGES:
        raise UnsupportedWish(f"{request.model} takes at most {MAX_IMAGES} images", param="image")
    sources = [{**_link_of(item), "type": "image_url"} for item in request.media]
    fields: dict[str, Any] = {
        "aspect_ratio": told_ratio(request, model.ratios, usual=USUAL_RATIOS),
        "resolution": told_tier(request, model.tiers, usual=USUAL_IMAGE_TIERS),
        "response_format": "url",
    }
    if len(sources) == 1:
        fields["image"] = sources[0]
    elif sources:
        fields["images"] = sources
    return ("/images/edits" if sources else "/images/generations"), _with_extra_fields(request, fields)


def _change_path_and_body(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    sources = at_most(request, "source_video", 1)
    if not sources:
        raise UnsupportedWish("xAI takes the video to change itself, not its id", param="video")
    if len(request.media) > 1:
        raise UnsupportedWish("a video is changed by a prompt only", param="input_reference")
    refuse_fields(request, "size", "aspect_ratio", "resolution")
    seconds = whole_seconds(request)
    if request.action == "edit":
        refuse_fields(request, "seconds")
    elif seconds is not None and seconds > MAX_EXTENSION_SECONDS:
        raise UnsupportedWish(f"an extension lasts at most {MAX_EXTENSION_SECONDS} seconds", param="seconds")
    path = "/videos/edits" if request.action == "edit" else "/videos/extensions"
    return path, _with_extra_fields(request, {"video": _link_of(sources[0]), "duration": seconds})


def _input_fields(request: GenerationRequest) -> dict[str, Any]:
    first, last = request.media_with("first_frame"), request.media_with("last_frame")
    pictures, sounds = request.media_with("reference_image"), request.media_with("audio")
    return {
        "image": _link_of(first[0]) if first else None,
        "last_frame": _link_of(last[0]) if last else None,
        "reference_images": [_link_of(item) for item in pictures] or None,
        "reference_audios": [_link_of(item) for item in sounds] or None,
    }


def _check_references(request: GenerationRequest, resolution: str | None) -> None:
    references = request.media_with("reference_image", "audio")
    if not references:
        return
    if request.media_with("first_frame", "last_frame"):
        raise UnsupportedWish("frames and references can't go together", param=references[0].role)
    if USUAL_TIERS.get(resolution or "", 0) > MAX_REFERENCE_LINES:
        text = f"{request.model} makes at most {MAX_REFERENCE_LINES}p from references"
        raise UnsupportedWish(text, param="resolution" if request.resolution else "size")


def _link_of(item: MediaInput) -> dict[str, str]:
    return {"url": as_data_uri(item)}


def _with_extra_fields(
    request: GenerationRequest, fields: Mapping[str, Any], *, sound: str = ""
) -> dict[str, Any]:
    whole = {"model": request.model, "prompt": request.prompt or None, **fields}
    return extra_fields(request, RESERVED, sound=sound) | without_none(whole)
