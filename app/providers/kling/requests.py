"""Builds Kling's requests: which of its paths, and the fields of that path. https://kling.ai/document-api"""

from collections.abc import Mapping
from typing import Any

from app.errors import UnsupportedWish
from app.generation import Action, GenerationRequest, Role
from app.providers.fact_checks import settle_request
from app.providers.inputs import (
    at_most,
    check_request,
    extra_fields,
    nearest_ratio,
    nearest_tier,
    refuse_fields,
    whole_seconds,
    without_none,
)
from app.providers.kling.inputs import (
    CLIPS,
    IMAGE,
    IMAGES,
    MOTION,
    OMNI,
    TEXT,
    input_fields,
    shot_fields,
)
from app.providers.model_facts import ModelFacts, read_facts

RATIOS = ("16:9", "9:16", "1:1", "21:9")
TIERS: Mapping[str, int] = {"720p": 720, "1080p": 1080, "4k": 2160}
MODE_WORDS = {"720p": "std", "1080p": "pro", "4k": "4k"}
FRAMES: frozenset[Role] = frozenset({"first_frame", "last_frame"})
ROLES: frozenset[Role] = FRAMES | {"reference_image", "reference_video", "source_video"}
GENERATE: frozenset[Action] = frozenset({"generate"})
GENERATE_OR_EDIT: frozenset[Action] = frozenset({"generate", "edit"})
RESERVED = {
    "model", "model_name", "prompt", "duration", "mode", "image", "image_tail", "image_list", "image_url",
    "video_list", "video_url", "multi_shot", "shot_type", "multi_prompt", "callback_url", "external_task_id",
}  # fmt: skip
"""What ``extra`` can't set: these choose the model, the price, the inputs or the id that the task is found by."""


def model_of(name: str) -> ModelFacts | None:
    """None for a model that we don't know: Kling decides."""
    return read_facts("kling").find_model(name)


def path_of(request: GenerationRequest) -> str:
    """The path that starts the work. The same path is polled, so the operation keeps it."""
    known = model_of(request.model)
    if known is None:
        # What newer models take beside frames, they take at this path.
        beside = request.media_with("reference_image", *CLIPS)
        omni = bool(beside) or "omni" in request.model.lower()
    else:
        omni = known.traits.get("path") == "omni"
    if omni:
        return OMNI
    if request.media_with("reference_video"):
        return MOTION
    if request.media_with("reference_image"):
        return IMAGES
    return IMAGE if request.media else TEXT


def request_body(request: GenerationRequest, *, external_id: str) -> dict[str, Any]:
    """The body for ``path_of(request)``. Raises ``UnsupportedWish`` for what it has no field for."""
    known, path = model_of(request.model), path_of(request)
    request = settle_request(request, known)
    edits = path == OMNI and bool(request.media_with("source_video"))
    roles = ROLES if known is None else frozenset(known.inputs)
    check_request(request, roles, actions=GENERATE_OR_EDIT if edits else GENERATE)
    refuse_fields(request, "characters", "seed")
    for role, most in known.inputs.items() if known else ():
        at_most(request, role, most)
    seconds = whole_seconds(request)
    fields: dict[str, Any] = {
        "model_name": request.model,
        "prompt": request.prompt or None,
        "negative_prompt": request.negative_prompt,
        "duration": None if seconds is None else str(seconds),
        "mode": _mode_field(request, known),
        "aspect_ratio": _ratio_field(request, known, path),
        "watermark_info": None if request.watermark is None else {"enabled": request.watermark},
        "external_task_id": external_id,
    }
    fields |= shot_fields(request, known) | input_fields(request, path, most_clips=1 if known else None)
    if path in {OMNI, MOTION}:
        refuse_fields(request, "negative_prompt")
    if path == MOTION:
        refuse_fields(request, "seconds")
        fields |= {"mode": fields["mode"] or "std"}
    return _extra_fields(request, known, path) | without_none(fields)


def _extra_fields(request: GenerationRequest, known: ModelFacts | None, path: str) -> dict[str, Any]:
    sounds = path not in {MOTION, IMAGES} and (known is None or known.sound == "choice")
    uses = ["keep_original_sound"] if request.media_with(*CLIPS) else []
    uses += ["character_orientation"] if path == MOTION else []
    extra = extra_fields(request, RESERVED, uses=uses, sound="sound" if sounds else "")
    if request.sound is not None:
        extra["sound"] = "on" if request.sound else "off"
    return extra


def _mode_field(request: GenerationRequest, known: ModelFacts | None) -> str | None:
    """Kling's word for a resolution. Raises ``UnsupportedWish`` where it makes what else is asked only in another one."""
    tiers = known.tiers if known else TIERS
    if known is None and request.resolution and request.resolution.lower() not in tiers:
        return request.resolution
    tier = nearest_tier(request, tiers)
    mode = MODE_WORDS[tier] if tier else None
    needed, param = _needed_mode(request, known)
    if needed is None or mode == needed:
        return mode
    # Unsaid is the cheaper mode, in which these models do not make it. https://kling.ai/document-api
    if mode is not None:
        what = param.replace("generate_audio", "sound").replace("_", " ")
        raise UnsupportedWish(f"{request.model} makes a {what} only in 1080p, not in {tier}", param=param)
    return needed


def _needed_mode(request: GenerationRequest, known: ModelFacts | None) -> tuple[str | None, str]:
    traits = known.traits if known else {}
    if request.media_with("last_frame") and "last_frame_mode" in traits:
        return traits["last_frame_mode"], "last_frame"
    if "sound_mode" in traits and (request.sound or request.extra.get("sound") == "on"):
        return traits["sound_mode"], "generate_audio"
    return None, ""


def _ratio_field(request: GenerationRequest, known: ModelFacts | None, path: str) -> str | None:
    if path in {IMAGE, MOTION}:
        refuse_fields(request, "aspect_ratio")  # the film has the shape of the picture or the clip
        return None
    if known is None and request.aspect_ratio:
        return request.aspect_ratio
    ratios = known.ratios if known else RATIOS
    shaped = bool(request.media_with("first_frame", "source_video"))
    if shaped and not request.aspect_ratio:
        return None
    ratio = nearest_ratio(request, ratios)
    return "16:9" if ratio is None and path == OMNI and not shaped else ratio  # it has no default there
